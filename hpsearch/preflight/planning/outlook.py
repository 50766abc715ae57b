"""How many trials a study will have, when it ends and what it takes. Pure functions.

Trials go to workers as these become free. What limits the study is the first limit of its budget that is reached; the
confirmation counts to the time and not to the trials, as in a run.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from hpsearch.policies.finalists import expected
from hpsearch.space.budget import Budget
from hpsearch.space.search import Confirm


@dataclass(frozen=True)
class Outlook:
    """What a study is expected to come to."""

    trials: int
    confirmed: int  # trainings with fresh seeds
    seconds: float  # of the whole study
    device_hours: float
    money: float | None  # None: the budget has no price
    earliest: float  # seconds: 10% of such studies end before
    latest: float  # 90% of such studies end before
    limit: str  # of the budget, that ends it: trials, hours, device_hours, money, or space (each config was tried)

    def to_dict(self) -> dict[str, Any]:
        """JSON data."""
        return asdict(self)


@dataclass(frozen=True)
class Pace:
    """How fast trials are trained."""

    seconds: float  # of a whole training
    share: float  # of it that trials have on average; 1: none is stopped early
    start: float  # seconds until the first worker can train
    workers: int
    devices: int  # that they hold: GPUs, or processes on the CPU
    spread: float = 0.0  # standard deviation of the seconds of a config, relative to their mean
    doubt: float = 0.0  # the same of the share between studies

    def deviation(self, trials: int) -> float:
        """How far a study of some trials may be from what is expected, relative to it."""
        drawn = self.spread / math.sqrt(max(1, trials))
        return math.sqrt(drawn**2 + (self.doubt / self.share) ** 2 + PRECISION**2)


PRECISION = 0.1  # relative error of the cost model (benchmarks/README.md, Plans)
DECILE = 1.28  # standard deviations of a normal distribution beyond which 10% lie


def outlook(budget: Budget, confirm: Confirm, pace: Pace, *, configs: int | None) -> Outlook:
    """What a study comes to at a pace; configs: how many the space has, None: infinitely many."""
    most = min(budget.trials or math.inf, configs or math.inf)
    limited = _limited(budget, confirm, pace)
    trials = int(most) if most < math.inf and _fits(int(most), budget, confirm, pace) else limited(most)
    confirmed, seconds = _taken(trials, confirm, pace)
    limit = "trials" if budget.trials is not None and most == budget.trials else "space"
    if trials < most:
        limit = _first(budget, trials + 1, confirm, pace)
        seconds = max(seconds, min(budget.seconds, pace.start + budget.device_seconds / pace.devices))
    hours = _device_seconds(seconds, pace) / 3600
    money = None if budget.price_per_hour is None else hours * budget.price_per_hour
    early, late = (_end(trials, budget, confirm, pace, sign=sign) for sign in (-1, 1))
    return Outlook(max(1, trials), confirmed, seconds, hours, money, min(early, seconds), max(late, seconds), limit)


def _end(trials: int, budget: Budget, confirm: Confirm, pace: Pace, *, sign: int) -> float:
    """The end of a study of the fastest or the slowest tenth, within the limits of time."""
    slower = replace(pace, seconds=pace.seconds * math.exp(sign * DECILE * pace.deviation(trials)))
    return min(_taken(trials, confirm, slower)[1], budget.seconds, pace.start + budget.device_seconds / pace.devices)


def _limited(budget: Budget, confirm: Confirm, pace: Pace) -> Callable[[float], int]:
    """The largest number of trials, below some, that the limits of time allow (bisection)."""

    def found(most: float) -> int:
        low, high = 0, 1
        while high < most and _fits(high, budget, confirm, pace):
            low, high = high, high * 2
        high = int(min(high, most))
        while low + 1 < high:
            middle = (low + high) // 2
            low, high = (middle, high) if _fits(middle, budget, confirm, pace) else (low, middle)
        return low

    return found


def _fits(trials: int, budget: Budget, confirm: Confirm, pace: Pace) -> bool:
    """Whether so many trials and their confirmation end within the limits of time."""
    seconds = _taken(trials, confirm, pace)[1]
    return seconds <= budget.seconds and _device_seconds(seconds, pace) <= budget.device_seconds


def _taken(trials: int, confirm: Confirm, pace: Pace) -> tuple[int, float]:
    """The trainings of the confirmation, and the seconds of the whole study."""
    own = trials * pace.seconds * pace.share
    confirmed = expected(confirm, trials=trials, cost=pace.seconds, spent=own)
    return confirmed, pace.start + _parallel(trials, own, pace) + _parallel(confirmed, confirmed * pace.seconds, pace)


def _parallel(count: int, seconds: float, pace: Pace) -> float:
    """Seconds for some trainings on all workers; at the end half of the last one is waited for by the others."""
    if not count:
        return 0.0
    each, used = seconds / count, min(count, pace.workers)
    return max(each, seconds / used + each * (used - 1) / (2 * used))


def _device_seconds(seconds: float, pace: Pace) -> float:
    return max(0.0, seconds - pace.start) * pace.devices


def _first(budget: Budget, trials: int, confirm: Confirm, pace: Pace) -> str:
    """The limit of time that so many trials exceed the most."""
    seconds = _taken(trials, confirm, pace)[1]
    device = _device_seconds(seconds, pace)
    paid = math.inf
    if budget.money is not None and budget.price_per_hour:
        paid = 3600 * budget.money / budget.price_per_hour
    held = math.inf if budget.device_hours is None else 3600 * budget.device_hours
    over = {"hours": seconds / budget.seconds, "device_hours": device / held, "money": device / paid}
    return max(over, key=lambda name: over[name])
