"""What trainings with fresh seeds say of the best trials of a search. Pure functions of values.

The best value of a search is flattered: of n trials of equal worth, the best one's seed was lucky. So the finalists are
trained again with seeds that the search has not used, and ranked by those values alone.

sigma   standard deviation of one training's value over seeds, pooled over the finalists: each finalist's sum of squared
        deviations from its own mean, added up, over the degrees of freedom, the sum of (r - 1).
margin  of a mean t * sigma / sqrt(r), with the 97.5% quantile of Student's t (2.45 of 6 degrees of freedom, 4.3 of 2):
        half of its 95% interval. Of a difference q / sqrt(2) * sigma * sqrt(1 / r1 + 1 / r2), with the 95% quantile q
        of the studentized range of all finalists (Tukey 1949, Kramer 1956), since the winner is the best of them; of
        two finalists that is t again.
tie     two means are equal, or differ by less than their margin.
shifts  with one fresh seed each, sigma is about the standard deviation, over the finalists, of d / sqrt(1 + 1 / r), or
        more: d is a mean less the value in the search. What all d share is the luck of the chosen, and is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import Any

from hpsearch.quantiles import of_pairs, student


@dataclass(frozen=True)
class Finalist:
    """A trial of the search that was trained again."""

    trial: int
    searched: float  # its value in the search
    values: tuple[float, ...]  # of the fresh seeds; nan: that training diverged

    @property
    def mean(self) -> float:
        """The mean over the fresh seeds; nan if one of them diverged."""
        return fmean(self.values)


@dataclass(frozen=True)
class Confirmation:
    """The finalists, the best one first: by their means over fresh seeds alone, diverged ones last."""

    finalists: tuple[Finalist, ...]
    sigma: float | None  # standard deviation over seeds; None: no finalist has two values
    freedom: int  # its degrees of freedom
    minimize: bool = True

    @property
    def winner(self) -> Finalist:
        """The finalist with the best mean."""
        return self.finalists[0]

    @property
    def tied(self) -> tuple[int, ...]:
        """The trials whose means cannot be told from the winner's; if sigma is unknown, those with an equal mean."""
        return tuple(one.trial for one in self.finalists[1:] if self.is_tie(self.winner, one))

    @property
    def searched(self) -> float:
        """The best value that a finalist had in the search."""
        return (min if self.minimize else max)(one.searched for one in self.finalists)

    @property
    def optimism(self) -> float:
        """By how much the best value of the search is better than the winner's mean over fresh seeds."""
        found = self.winner.mean - self.searched
        return found if self.minimize else -found

    @property
    def shifts(self) -> tuple[float, int]:
        """What sigma is at least, by how far means are from the search's values, and of how many repeats; or (0, 0)."""
        known = [one for one in self.finalists if math.isfinite(one.mean - one.searched)]
        if len(known) < 2:
            return 0.0, 0
        shifts = [(one.mean - one.searched) / math.sqrt(1 + 1 / len(one.values)) for one in known]
        return stdev(shifts), sum(len(one.values) for one in known)

    def margin(self, finalist: Finalist) -> float | None:
        """Half of the 95% interval of a finalist's mean; None if sigma is unknown."""
        return None if self.sigma is None else student(self.freedom) * self.sigma / math.sqrt(len(finalist.values))

    def of(self, trial: int) -> Finalist | None:
        """The finalist of a trial; None if it is none."""
        return next((one for one in self.finalists if one.trial == trial), None)

    def margin_between(self, one: Finalist, other: Finalist) -> float | None:
        """Half of the 95% interval of the difference of two means, for all pairs at once; None if sigma is unknown."""
        if self.sigma is None:
            return None
        means = sum(math.isfinite(finalist.mean) for finalist in self.finalists)
        error = self.sigma * math.sqrt(1 / len(one.values) + 1 / len(other.values))
        return of_pairs(means, self.freedom) * error

    def is_tie(self, one: Finalist, other: Finalist) -> bool:
        """Whether two means are equal or differ by less than their margin."""
        margin = self.margin_between(one, other)
        return one.mean == other.mean or (margin is not None and abs(one.mean - other.mean) < margin)

    def to_dict(self) -> dict[str, Any]:
        """Returns JSON-able evidence; numbers that are not finite become None."""
        found = {
            "winner": self.winner.trial,
            "seed_sigma": self.sigma,
            "degrees_of_freedom": self.freedom,
            "tied": list(self.tied),
            "optimism": finite(self.optimism),
        }
        finalists = [
            {
                **asdict(one),
                "values": [finite(value) for value in one.values],
                "mean": finite(one.mean),
                "margin": self.margin(one),
            }
            for one in self.finalists
        ]
        return {**found, "finalists": finalists}


def confirmation(
    searched: Mapping[int, float], fresh: Mapping[int, Sequence[float]], *, minimize: bool = True
) -> Confirmation:
    """Ranks finalists; `searched`: trial -> its value in the search, `fresh`: trial -> its values with fresh seeds."""
    finalists = [Finalist(trial, searched[trial], tuple(values)) for trial, values in fresh.items()]
    sign = 1 if minimize else -1
    finalists.sort(key=lambda one: (math.isnan(one.mean), sign * (finite(one.mean) or 0.0), one.trial))
    sigma, freedom = pooled_sigma(one.values for one in finalists)
    return Confirmation(tuple(finalists), sigma, freedom, minimize)


def pooled_sigma(groups: Iterable[Sequence[float]]) -> tuple[float | None, int]:
    """Returns the pooled standard deviation within groups and its degrees of freedom; None without any.

    Groups with a value that is not finite are left out.
    """
    squares, freedom = 0.0, 0
    for values in groups:
        if len(values) > 1 and all(map(math.isfinite, values)):
            mean = fmean(values)
            squares += math.fsum((value - mean) ** 2 for value in values)
            freedom += len(values) - 1
    return (math.sqrt(squares / freedom), freedom) if freedom else (None, 0)


def finite(value: float) -> float | None:
    """Returns the value, None in place of nan and infinities."""
    return value if math.isfinite(value) else None
