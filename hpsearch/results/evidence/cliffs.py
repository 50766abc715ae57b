"""A cliff beside a band of good values: where trials fail.

Within one step beyond the end of a band (a factor of 2 where the range has `log`, a tenth of the range or the next
value elsewhere) every trial has diverged or is worse than the best one by more than ten sigma, and one has diverged or
there are two. Only final values can be too bad: a trial that has not ended, or that the budget has cut short, may
become better. Of a handful of trials (bands.fewest) only those that diverged show a cliff.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hpsearch.results.evidence.range_scale import ROUNDING, RangeScale

CLIFF = 10.0  # sigma


@dataclass(frozen=True)
class Cliff:
    """Where trials fail beside a band."""

    side: str  # upper or lower
    start: float  # the value of the hyperparameter from where on they do
    diverged: bool  # else they are far worse


@dataclass(frozen=True)
class Other:
    """A trial that is not good."""

    params: Mapping[str, Any]
    fails: bool  # it diverged, or is worse than the best one by more than CLIFF sigma
    diverged: bool = False


def cliff_beside(
    name: str, place: RangeScale, best: float, values: Sequence[float], others: Sequence[Other]
) -> Cliff | None:
    """The cliff beside a band; None if there is none."""
    there = [other for other in others if name in other.params]
    low, high = place(values[0]), place(values[-1])
    above = [one for one in there if 0 < place(one.params[name]) - high <= place.step() + ROUNDING]
    below = [one for one in there if 0 < low - place(one.params[name]) <= place.step() + ROUNDING]
    found: list[Cliff] = []
    for side, beyond in (("upper", above), ("lower", below)):
        diverged = any(one.diverged for one in beyond)
        if beyond and all(one.fails for one in beyond) and (diverged or len(beyond) > 1):
            start = (min if side == "upper" else max)(one.params[name] for one in beyond)
            found.append(Cliff(side, start, diverged))
    return min(found, key=lambda cliff: abs(place(cliff.start) - place(best)), default=None)
