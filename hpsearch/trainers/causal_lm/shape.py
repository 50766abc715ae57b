"""Which configs need more memory than others."""

from __future__ import annotations

import json

from hpsearch.trainers.values import Shape
from hpsearch.training.config import TrainConfig


def shape(config: TrainConfig) -> Shape:
    """The shape of a config: sizes of model, batch and decoding; tokenizer, data and number formats as kinds."""
    model, training, evaluation = config.model, config.training, config.evaluation
    sizes = (
        model.n_layers,
        model.width,
        model.n_heads,
        model.context,
        model.mlp_width or 8 * model.width / 3,
        model.n_kv_heads or model.n_heads,
        min(training.batch_size, training.micro_batch_size or training.batch_size),
        evaluation.beam_size,
        evaluation.max_new_tokens,
        evaluation.decode_sample,
        config.tokenizer.vocab_size,
    )
    kinds = [model.tied_embeddings, model.dropout > 0, training.precision, training.compile, training.cuda_graph]
    about = [config.tokenizer.kind, config.tokenizer.file, config.model_dump(mode="json", include={"data"})]
    return Shape(sizes, json.dumps([*kinds, *about], sort_keys=True))
