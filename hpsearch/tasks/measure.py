"""Measuring a model on a set: what a trainer lends to the set's task, and what the task returns.

A task knows no tensors and no trainer. A trainer lends its model as a `Model`, bound to one split of one set, so that
other trainers can use the same tasks with their own models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from hpsearch.metrics.losses import Sums

if TYPE_CHECKING:  # numpy takes its time to import, and a config is read without it
    import numpy as np
    from numpy.typing import NDArray

    from hpsearch.data.token_arrays import PairTokens, TextTokens

Tokens: TypeAlias = "TextTokens | PairTokens"
SHOWN = 20  # examples among the samples


class Model(Protocol):
    """A model on the tokens of one split of one set."""

    @property
    def tokens(self) -> Tokens:
        """The split's tokens."""
        ...

    def losses(self) -> Sums:
        """The losses of every target of the split, each once."""
        ...

    def choices(self, tokens: Sequence[int]) -> tuple[Sums, NDArray[np.int64]]:
        """`losses`, and for each example the place among `tokens` of the likeliest at its one target."""
        ...

    def decode(self) -> tuple[Sequence[int], list[str]]:
        """The examples chosen for decoding, the same ones each time, and the text that the model makes of each."""
        ...


@dataclass
class Scores:
    """What a task measures on one set."""

    metrics: dict[str, float] = field(default_factory=dict)
    samples: dict[str, Any] = field(default_factory=dict)  # what to show of it: see `examples_sample`
    signatures: dict[str, str] = field(default_factory=dict)  # {metric: how it was computed}


class Measure:
    """How one set is measured, the same at every evaluation; a task with metrics of its own overrides it."""

    decodes = False  # whether a part of it decodes, and so may be measured more rarely

    def score(self, model: Model) -> tuple[Sums, Scores]:
        """The losses, and the metrics that need no decoding."""
        return model.losses(), Scores()

    def decode(self, model: Model) -> Scores:
        """The metrics of what the model decodes; called where `decodes`."""
        raise NotImplementedError


def examples_sample(task: str, examples: Sequence[dict[str, str]]) -> dict[str, Any]:
    """A sample that is shown as text: some examples, {what: text} each."""
    return {"task": task, "examples": list(examples[:SHOWN])}


def confusion_sample(task: str, labels: Sequence[str], counts: Sequence[Sequence[int]]) -> dict[str, Any]:
    """A sample that is shown as a picture: how often each label (row) was taken for each label (column)."""
    return {"task": task, "labels": list(labels), "confusion": counts}
