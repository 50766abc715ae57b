"""What a study has spent of its budget, and how long the rest of it lasts. Pure functions of the history."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from hpsearch.journal.history import History
from hpsearch.policies.finalists import reserve, reserve_of_devices
from hpsearch.space.budget import Budget
from hpsearch.space.search import Confirm

LIMITS = ("trials", "hours", "device_hours", "money")  # of a budget; the first that is reached ends the study
NEARLY = 0.9  # share of a limit of time from which it is what has ended a search
UNITS = {"trials": " trials", "hours": " h", "device_hours": " device-hours", "money": ""}
SHORT = {"hours": " min", "device_hours": " device-minutes"}  # of limits below an hour
LEAST = 0.0005  # a smaller number is said as 0


@dataclass(frozen=True)
class Limit:
    """One limit of a budget and what is spent of it."""

    name: str  # one of LIMITS
    spent: float
    total: float

    @property
    def is_reached(self) -> bool:
        """Whether nothing is left of it."""
        return self.spent >= self.total

    def __str__(self) -> str:
        if self.name == "trials" and self.spent > self.total:  # a later run allows fewer
            return f"{figure(self.spent)} trials ({figure(self.total)} allowed)"
        unit, factor = _unit(self.name, self.total)
        spent, total = factor * self.spent, factor * self.total
        return f"{_before(self.name)}{figure(spent)} of {_counted(figure(total), unit)}"


@dataclass(frozen=True)
class TimeLeft:
    """What is left of the limits of time: seconds, and seconds of a device."""

    seconds: float = math.inf
    device_seconds: float = math.inf

    def on(self, devices: int) -> float:
        """Seconds until the first of the limits is reached while so many devices are held."""
        return min(self.seconds, self.device_seconds / max(1, devices))

    @property
    def is_over(self) -> bool:
        """Whether one of the limits is reached."""
        return self.on(1) <= 0

    def without(self, other: TimeLeft) -> TimeLeft:
        """What is left beside a part that is kept."""
        return TimeLeft(self.seconds - other.seconds, self.device_seconds - other.device_seconds)


def allowed(budget: Budget, history: History) -> Budget:
    """The budget that the latest run of the study had, whose options may have changed that of the file.

    Limits that the file has got since then are its own; older versions recorded none.
    """
    recorded = history.allowed or {}
    known = {name: total for name in LIMITS if (total := recorded.get(name)) is not None}
    price = budget.price_per_hour or recorded.get("price_per_hour")
    return budget.model_copy(update={**known, "price_per_hour": price})


def extended(budget: Budget, history: History) -> Budget:
    """The budget with the limits that `hpsearch extend` has raised; a higher one of the file or the command stays."""
    if not history.extension:
        return budget
    known = {name: total for name, total in history.extension.items() if getattr(budget, name) is not None}
    raised = {name: total for name, total in known.items() if getattr(budget, name) < total}
    return budget.model_copy(update={name: _whole(name, total) for name, total in raised.items()})


def raised(budget: Budget, history: History) -> str:
    """What `hpsearch extend` has raised, as in "5 trials to 15 trials"; empty if nothing."""
    pairs = zip(limits(budget), limits(extended(budget, history)), strict=True)
    return ", ".join(f"{before} to {after}" for before, after in pairs if before != after)


def spent(budget: Budget, history: History) -> list[Limit]:
    """Each limit of the budget with what is spent of it."""
    hours, device_hours = history.seconds / 3600, history.device_seconds / 3600
    money = device_hours * (budget.price_per_hour or 0.0)
    found = zip(LIMITS, (history.configs, hours, device_hours, money), strict=True)
    return [Limit(name, used, total) for name, used in found if (total := getattr(budget, name)) is not None]


def ended_by(history: History) -> list[Limit]:
    """The limits of its budget that have ended a study, by its journal: those that are spent, or of time nearly so.

    (The last trials of a search end before its hours do: see deadline.py.) Empty: another reason has ended it, or the
    budget was not recorded.
    """
    known = {**(history.origin.experiment.get("budget") or {}), **(history.allowed or {})}
    known = {name: known.get(name) for name in (*LIMITS, "price_per_hour") if known.get(name) is not None}
    try:
        budget = extended(Budget(**known), history)
    except ValueError:  # of another version
        return []
    found = spent(budget, history)
    reached = [one for one in found if one.is_reached]
    return reached or [one for one in found if one.name != "trials" and one.spent >= NEARLY * one.total]


def limits(budget: Budget) -> list[str]:
    """Each limit of the budget, in words."""
    price = "" if budget.price_per_hour is None else f" at {budget.price_per_hour:g} a device-hour"
    found = [(name, total) for name in LIMITS if (total := getattr(budget, name)) is not None]
    return [f"{_before(name)}{_amount(name, total)}{price * (name == 'money')}" for name, total in found]


def _amount(name: str, total: float) -> str:
    """A limit with its unit: 20 trials, 1.5 h, 3 min."""
    unit, factor = _unit(name, total)
    return _counted(figure(factor * total), unit)


def _counted(number: str, unit: str) -> str:
    """A number with its unit, which is singular after 1: 1 trial, 2 trials, 1 h."""
    return f"{number}{unit.removesuffix('s') if number == '1' else unit}"


def _unit(name: str, total: float) -> tuple[str, float]:
    """The unit in which a limit and what is spent of it are said, and its factor: minutes of less than an hour."""
    if name in SHORT and 0 < total < 1:
        return SHORT[name], 60.0
    return UNITS[name], 1.0


def said(budget: Budget, history: History) -> str:
    """What is spent of the budget, as in "3 of 20 trials, 3.1 of 20 device-hours"; with a price also what it costs.

    Of the trials those that have ended; those in training and interrupted ones have their place in the budget as well.
    """
    found = spent(budget, history)
    limits = ", ".join(str(replace(one, spent=history.ended) if one.name == "trials" else one) for one in found)
    if budget.price_per_hour is None or budget.money is not None:
        return limits
    cost = history.device_seconds / 3600 * budget.price_per_hour
    return f"{limits}, money {figure(cost)} at {budget.price_per_hour:g} a device-hour"


def left(budget: Budget, *, seconds: float, device_seconds: float) -> TimeLeft:
    """What is left of the budget once it has spent these seconds."""
    return TimeLeft(budget.seconds - seconds, budget.device_seconds - device_seconds)


def kept(budget: Budget, confirm: Confirm, history: History, *, workers: int) -> TimeLeft:
    """What is kept at the end of the budget for the confirmation of the trials so far."""
    timed, held = math.isfinite(budget.seconds), math.isfinite(budget.device_seconds)
    return TimeLeft(
        reserve(history, confirm, workers=workers, seconds=budget.seconds) if timed else 0.0,
        reserve_of_devices(history, confirm, seconds=budget.device_seconds) if held else 0.0,
    )


def figure(value: float) -> str:
    """A number of a budget, in as few digits as tell it and without an exponent: 3, 3.1, 0.052; nearly nothing is 0."""
    if abs(value) < LEAST:
        return "0"
    return f"{value:.3g}" if abs(value) < 999.5 else f"{value:.0f}"


def _before(name: str) -> str:
    return "money " * (name == "money")


def _whole(name: str, total: float) -> float:
    return int(total) if name == "trials" else total
