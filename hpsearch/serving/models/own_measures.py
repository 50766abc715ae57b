"""Metrics of our own models, by the evaluator of their training."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hpsearch.data.corpus import Corpus
from hpsearch.data.splits import LABEL
from hpsearch.data.token_arrays import Encoder, map_set, write
from hpsearch.errors import DataError
from hpsearch.serving.models.examples import Examples
from hpsearch.serving.models.folder import ModelFolder
from hpsearch.serving.models.generation import Generation
from hpsearch.serving.models.own import OwnModel
from hpsearch.training.batches import rows_of
from hpsearch.training.config import TrainConfig
from hpsearch.training.evaluation import Evaluator, Measured
from hpsearch.training.uses import SetUse


def measured(model: OwnModel, folder: ModelFolder, use: SetUse, on: Examples, how: Generation) -> Measured:
    """The metrics of the model on the examples, as an evaluation of its training would have them.

    The examples are encoded as the model's own set `use`, and measured in the precision of its training. It decodes as
    in its training, unless `how` says otherwise.
    """
    limits = {"max_new_tokens": how.tokens(use.max_new_tokens, model.context), "beam_size": how.beams(use.beam_size)}
    evaluation = on.evaluation.model_copy(update=limits if use.kind == "pair" else {})
    config = TrainConfig.model_validate(
        {
            "data": {use.name: on.section},
            "model": model.model.config,
            "evaluation": evaluation,
            "training": {"precision": (folder.trained.get("training") or {}).get("precision", "auto")},
        }
    )
    with tempfile.TemporaryDirectory(prefix="hpsearch-evaluate-") as place:
        corpus = _corpus(model, use, on, Path(place))
        rows = rows_of(corpus, on.split, config, model.model.embedding.weight.device)
        return Evaluator(corpus, rows, config, sample=None).measure(model.model)


def _corpus(model: OwnModel, use: SetUse, on: Examples, folder: Path) -> Corpus:
    """The examples as the tokens of a corpus of one set, with the train split that chooses how they are scored."""
    if use.labels:
        check_labels(on, use.labels)
    encoder, labels = Encoder(use.name, model.tokenizer, list(use.labels)), set(use.labels)
    parts = {"train": [one for one in on.reference if LABEL not in one or one[LABEL] in labels], on.split: on.examples}
    splits = {part: write(folder, part, on.section.encode(some, encoder)) for part, some in parts.items()}
    about: dict[str, Any] = {"task": use.task, "label_names": list(use.labels), "label_ids": list(use.label_ids)}
    sets = {use.name: map_set(folder, use.name, about | {"splits": splits})}
    return Corpus(sets, model.tokenizer, folder, fingerprint="", counts={})


def check_labels(on: Examples, labels: tuple[str, ...]) -> None:
    """Raises DataError for a label that the model does not know."""
    unknown = sorted({example[LABEL] for example in on.examples} - set(labels))
    if unknown:
        some, known = ", ".join(map(repr, unknown[:5])), ", ".join(map(repr, labels[:10]))
        raise DataError(
            f"data.{on.name}: labels that the model does not know: {some}{', ...' * (len(unknown) > 5)}; "
            f"it knows {known}{', ...' * (len(labels) > 10)}"
        )
