"""A metric: its name, its direction, and how to judge its values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """One metric of a task; `val/NAME` may be an objective."""

    name: str
    direction: Literal["minimize", "maximize"] = "maximize"
    best: float | None = 1.0  # the best possible value
    constant: str = ""  # the likely cause and a remedy if it is the same at every evaluation
    chance: tuple[float, float] | None = None  # up to the first: no better than chance; from the second: clearly better
    known_as: str = ""  # a better-known metric, which is shown beside it
    chosen_by: str = ""  # the objective to suggest if a set is at chance by this metric
    perfect_by: str = ""  # the metric that is 1 for a perfect model when this one is 0
    about: str = ""  # what it measures, with its unit


_LOSSES = {
    "loss": "the mean loss of the target tokens, in nats per token",
    "perplexity": "e to the loss: of how many equally likely tokens the model is as unsure",
    "bits_per_byte": "the loss in bits per byte of the scored text, which can be compared between vocabularies",
}
LOSSES = tuple(
    Metric(
        name,
        "minimize",
        best=None,
        constant="the trainings do not differ: each may be of one step, or the learning rates of no effect",
        about=about,
    )
    for name, about in _LOSSES.items()
)
"""The metrics of every task, from the losses of its target tokens."""

OF_TEXT = ("perplexity", "bits_per_byte")  # losses that say nothing of the labels of a head


def of_head(metrics: Mapping[str, float], *, objective: str) -> dict[str, float]:
    """The metrics of a head, an output for each label: without those of text, unless a loss is the objective.

    Studies of a loss are compared by bits per byte.
    """
    if objective.rpartition("/")[2] in _LOSSES:
        return dict(metrics)
    return {name: value for name, value in metrics.items() if name.rpartition("/")[2] not in OF_TEXT}
