"""A metric: its name, its direction, and how to judge its values."""

from __future__ import annotations

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


LOSSES = tuple(
    Metric(
        name,
        "minimize",
        best=None,
        constant="the trainings do not differ: each may be of one step, or the learning rates of no effect",
    )
    for name in ("loss", "perplexity", "bits_per_byte")
)
"""The metrics of every task, from the losses of its target tokens."""
