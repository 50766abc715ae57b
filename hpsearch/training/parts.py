"""What a training consists of besides its config: data, model, loss and evaluator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from hpsearch.contract import Handle
from hpsearch.training.batches import Rows, rows_of
from hpsearch.training.config import TrainConfig
from hpsearch.training.corpus import open_corpus, state_digest, trained_on
from hpsearch.training.evaluation import Evaluator
from hpsearch.training.loss import loss_sum
from hpsearch.training.model import Llama


@dataclass(frozen=True)
class Parts:
    """The data, the model and the evaluator of a training."""

    rows: dict[str, Rows]  # of the train split, by set
    evaluator: Evaluator  # on the valid split
    model: Callable[[], nn.Module]  # makes it, on the device; draws random numbers
    loss: Callable[[Any, Any], Tensor]  # (model, batch) -> the summed loss of its targets
    identity: str  # seals checkpoints: the config and its data
    draws: bool  # whether a step draws random numbers


Build: TypeAlias = Callable[[Any, Handle, torch.device], Parts]  # (config, handle, device)


def parts(config: TrainConfig, handle: Handle, device: torch.device) -> Parts:
    """The parts of a language model that is trained from scratch."""
    corpus = open_corpus(config, handle.settings)
    rows = rows_of(trained_on(config, corpus), "train", config, device)
    valid = rows_of(corpus, "valid", config, device)
    return Parts(
        rows=rows,
        evaluator=Evaluator(corpus, valid, config, sample=config.evaluation.decode_sample),
        model=lambda: Llama(config.model, vocab_size=corpus.tokenizer.vocab_size).to(device),
        loss=loss_sum,
        identity=state_digest(config, corpus),
        draws=bool(config.model.dropout),  # nothing else does
    )
