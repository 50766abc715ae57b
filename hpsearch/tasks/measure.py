"""How a task measures a model on a data set: what the trainer provides, and what the task returns.

A task knows no trainer. A trainer wraps its model as a `Model` for one split of one set, so that other trainers can
use the same tasks with their own models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from hpsearch.tasks.scores.losses import Sums
from hpsearch.tasks.scores.replicates import Replicates

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
        """The losses of all targets of the split."""
        ...

    def choices(self, tokens: Sequence[int]) -> tuple[Sums, NDArray[np.int64]]:
        """The losses, and for each example the index in `tokens` of the most likely token at its target."""
        ...

    def decode(self) -> tuple[Sequence[int], list[str]]:
        """The indices of the decoded examples, the same at every evaluation, and the model's output for each."""
        ...


@dataclass
class Scores:
    """What a task measures on one set."""

    metrics: dict[str, float] = field(default_factory=dict)
    samples: dict[str, Any] = field(default_factory=dict)  # shown to the user: see `examples_sample`
    signatures: dict[str, str] = field(default_factory=dict)  # {metric: how it was computed}
    replicates: Replicates = field(default_factory=dict)  # of the metrics that models are compared by


class Measure:
    """Measures one set at every evaluation; a task with its own metrics overrides `score` or `decode`."""

    decodes = False  # whether `decode` is called, which may be at fewer evaluations

    def score(self, model: Model) -> tuple[Sums, Scores]:
        """The losses, and the metrics that need no decoding."""
        return model.losses(), Scores()

    def decode(self, model: Model) -> Scores:
        """The metrics of the model's outputs; called if `decodes`."""
        raise NotImplementedError


def examples_sample(task: str, examples: Sequence[dict[str, str]]) -> dict[str, Any]:
    """A sample that is shown as text: some examples, each {name: text}."""
    return {"task": task, "examples": list(examples[:SHOWN])}


def confusion_sample(task: str, labels: Sequence[str], counts: Sequence[Sequence[int]]) -> dict[str, Any]:
    """A sample that is shown as a picture: the confusion matrix (rows: true labels, columns: predicted)."""
    return {"task": task, "labels": list(labels), "confusion": counts}


def sample_rows(n_rows: int, sample: int | None) -> list[int]:
    """All examples, or `sample` evenly spaced ones."""
    if sample is None or sample >= n_rows:
        return list(range(n_rows))
    return [i * n_rows // sample for i in range(sample)]
