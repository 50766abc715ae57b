"""The loss of a batch as the steps sum it."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor
from torch.nn import functional as F

from hpsearch.training.batches import Batch
from hpsearch.training.evaluation import score
from hpsearch.training.model import Llama

ROUND_TARGETS_TO = 64
IGNORED = -100  # a target that is none


def loss_sum(model: Llama, batch: Batch) -> Tensor:
    """The summed cross-entropy (nats) of a batch's targets.

    Their number is rounded up (what is added is ignored): each new shape costs the CPU's and the GPU's matrix kernels
    a preparation of their own, and takes memory.
    """
    missing = -len(batch.targets) % ROUND_TARGETS_TO
    if batch.positions is None or missing == 0:
        return F.cross_entropy(score(model, batch), batch.targets, reduction="sum")
    rounded = replace(
        batch, positions=F.pad(batch.positions, (0, missing)), targets=F.pad(batch.targets, (0, missing), value=IGNORED)
    )
    return F.cross_entropy(score(model, rounded), rounded.targets, ignore_index=IGNORED, reduction="sum")
