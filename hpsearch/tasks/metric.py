"""A metric as people ask for it: its name, which way it is better, and what its values mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """One metric of a task; `val/NAME` may be an objective."""

    name: str
    direction: Literal["minimize", "maximize"] = "maximize"
    best: float | None = 1.0  # the best value that there is
    constant: str = ""  # the likely reason, and a remedy, where it is the same at every evaluation
    chance: tuple[float, float] | None = None  # at most the first: no better than chance; at least the second: clearly
    known_as: str = ""  # the metric that people know better, which is shown beside it
    chosen_by: str = ""  # the metric to be the objective instead, where a set is at chance by this one
    perfect_by: str = ""  # the metric that is 1 where all is right though this one is 0


LOSSES = tuple(
    Metric(
        name,
        "minimize",
        best=None,
        constant="the trainings do not differ: each may be of one step, or the learning rates of no effect",
    )
    for name in ("loss", "perplexity", "bits_per_byte")
)
"""The metrics of every task, over the tokens of its targets."""
