"""The training loss of a batch."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor
from torch.nn import functional as F

from hpsearch.training.batches import Batch
from hpsearch.training.evaluation import score
from hpsearch.training.model import Llama

ROUND_TARGETS_TO = 64
IGNORED = -100  # padding of targets


def loss_sum(model: Llama, batch: Batch) -> Tensor:
    """The summed cross-entropy (nats) of a batch's targets.

    Targets are padded to a multiple of 64 with ignored ones: each new shape costs time and memory in the kernels
    of CPU and GPU.
    """
    missing = -len(batch.targets) % ROUND_TARGETS_TO
    if batch.positions is None or missing == 0:
        return F.cross_entropy(score(model, batch), batch.targets, reduction="sum")
    rounded = replace(
        batch, positions=F.pad(batch.positions, (0, missing)), targets=F.pad(batch.targets, (0, missing), value=IGNORED)
    )
    return F.cross_entropy(score(model, rounded), rounded.targets, ignore_index=IGNORED, reduction="sum")
