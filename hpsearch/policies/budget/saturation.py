"""Whether more trials are expected to gain less than the noise between seeds. Pure functions of values.

Of n values in random order, the best of the first half is worse than the best of all by, in expectation,

    G = sum over j of P(j) * (y_(j+1) - y_(j)),    P(j) = C(n - j, h) / C(n, h),    h = n // 2,

where y_(1) is the best value, y_(2) the next, and P(j), about 2^-j, is the chance that a random half has none of the
j best: what the second half of the trials was worth, whatever the order was in which they came (a U-statistic; David
and Nagaraja, *Order Statistics*, 2003, chapter 3). Doubling the number once more is worth no more than that: the best
of n values approaches the end of their distribution as n^(-1/a) (Fisher and Tippett 1928, Weibull's case: a loss has a
lower end). A sampler that learns draws better values later; so the trials are also taken in their own order, and the
larger one of the two gains counts.

The aim is that of Makarova et al. 2022 (*Automatic Termination for Hyperparameter Optimization*), who end a Gaussian
process's search once what it may still gain is below the noise of one value. This needs no model of the search.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hpsearch.journal.history import History
from hpsearch.journal.trial_history import number
from hpsearch.results.evidence import bands
from hpsearch.space.search import Stop

FEWEST = 24  # trials that have ended, before a search may: by fewer it is misled (benchmarks/search/README.md)
LEAST_VALUES = 5  # of them that have a final value


@dataclass(frozen=True)
class Saturation:
    """What as many trials again are expected to gain, and what a gain must be to count."""

    trials: int
    gain: float
    least: float
    why: str  # what `least` is

    @property
    def is_reached(self) -> bool:
        """Whether more trials are not worth it."""
        return self.gain < self.least

    def __str__(self) -> str:
        expected = f"another {self.trials} trials are expected to improve the best value by {self.gain:.2g}"
        return f"the search ends by search.stop: {expected}, less than {self.least:.2g} ({self.why})"


def saturation(history: History, stop: Stop) -> Saturation | None:
    """What more trials are expected to gain; None if too few have ended, or nobody asks."""
    if not stop.enabled:
        return None
    ended = [trial for trial in history.longest() if trial.outcome is not None or trial.paused]
    if len(ended) < FEWEST:
        return None
    least, why = _least(history, stop)
    sign = 1.0 if history.direction == "minimize" else -1.0
    values = [sign * number(trial.value) if trial.counts else math.nan for trial in ended]
    gain = expected_gain(values)
    return None if gain is None or least is None else Saturation(len(ended), gain, least, why)


def expected_gain(values: Sequence[float]) -> float | None:
    """What doubling the number of values is expected to lower the best one by; None if too few are finite.

    values: in the order of the trials, nan for those that ended early; these are as bad as the worst.
    """
    known = [value for value in values if math.isfinite(value)]
    if len(known) < LEAST_VALUES:
        return None
    worst = max(known)
    filled = [value if math.isfinite(value) else worst for value in values]
    half = len(filled) // 2
    in_order = min(filled[:half]) - min(filled)
    return max(in_order, _in_any_order(sorted(filled), half))


def _in_any_order(ranked: Sequence[float], half: int) -> float:
    """G of the values, the best first."""
    n, gain, chance = len(ranked), 0.0, 1.0
    for j in range(1, n - half + 1):
        chance *= (n - half - j + 1) / (n - j + 1)  # C(n - j, h) / C(n, h)
        gain += chance * (ranked[j] - ranked[j - 1]) if j < n else 0.0
    return gain


def _least(history: History, stop: Stop) -> tuple[float | None, str]:
    """The least gain that counts, and where it comes from; None if the noise is not known."""
    if stop.gain is not None:
        return stop.gain, "search.stop.gain"
    near = bands.near(history)
    if near is None:
        return None, ""
    how = bands.source(near.assumed, near.repeats) or "measured"
    return stop.sigmas * near.sigma, f"{stop.sigmas:g} sigma of seeds, {how}"
