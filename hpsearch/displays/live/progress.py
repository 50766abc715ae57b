"""How much of a run is done, and when it ends. Pure functions of the history."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from hpsearch.displays.live.plan import Plan
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.policies import finalists
from hpsearch.policies.budget.spending import Limit, extended

LEAST_WORK = 0.1  # trials' worth of training, before a rate is told


@dataclass(frozen=True)
class Progress:
    """How much is done of what a run is to do."""

    what: str = "trials"  # or repeats, audits
    done: int = 0  # of them
    total: int | None = None  # None: no limit
    binding: Limit | None = None  # the limit of time or money that ends the run, if that is sooner; hours in seconds
    share: float | None = None  # done of the limit that ends the run, 0 to 1; None: nothing limits it
    seconds_left: float | None = None  # None: unknown

    def later(self, seconds: float) -> Progress:
        """The same after more seconds of searching, as far as the clock alone changes it."""
        left = None if self.seconds_left is None else max(0.0, self.seconds_left - seconds)
        if self.binding is None or self.binding.name != "hours":
            return replace(self, seconds_left=left)
        limit = replace(self.binding, spent=min(self.binding.total, self.binding.spent + seconds))
        return replace(self, seconds_left=left, binding=limit, share=_share(limit.spent, limit.total))


def progress(history: History, plan: Plan, *, at: float) -> Progress:
    """The progress of a run at a time, unix seconds."""
    if plan.audits:
        return _counted("audits", list(history.audits.values()), plan.audits, plan)
    if is_confirming(history, plan):
        found = finalists.plan(history, plan.confirm)
        repeats = [one for one in history.repeats.values() if one.confirms in found.trials and not one.audits]
        return _counted("repeats", repeats, max(len(found.trials) * found.seeds, len(repeats)), plan)
    return _searching(history, plan, at=at)


def is_confirming(history: History, plan: Plan) -> bool:
    """Whether the trainings are those of the confirmation."""
    repeats = any(one.running and not one.audits for one in history.repeats.values())
    return not plan.searches or (repeats and not any(trial.running for trial in history.trials.values()))


def elapsed(history: History, *, at: float) -> float:
    """Seconds of searching so far, over all drivers, without pauses."""
    return history.searched + (max(0.0, at - history.began) if history.began is not None else 0.0)


def _counted(what: str, trials: list[TrialHistory], total: int, plan: Plan) -> Progress:
    """The progress of trainings that are counted: each takes as long as those that have ended."""
    done = [trial for trial in trials if trial.outcome is not None]
    work = len(done) + sum(trial.furthest for trial in trials if trial.running)
    took = [trial.seconds for trial in done if trial.seconds]
    left = None if not took else sum(took) / len(took) * max(0.0, total - work) / plan.workers
    return Progress(what, len(done), total, share=_share(work, total), seconds_left=left)


def _searching(history: History, plan: Plan, *, at: float) -> Progress:
    budget = extended(plan.budget, history)
    first = [trial for trial in history.trials.values() if trial.of is None]
    done = sum(trial.outcome is not None or trial.paused for trial in first)
    work = done + sum(trial.furthest for trial in first if trial.outcome is None and not trial.paused)
    seconds = elapsed(history, at=at)
    ends = [_end(limit, history, at=at) for limit in _time_limits(plan, history, seconds=seconds, at=at)]
    by_time = min(ends, key=lambda end: end[1], default=None)
    by_trials = None
    if budget.trials is not None and work >= LEAST_WORK:
        by_trials = seconds * max(0.0, budget.trials - work) / work + _confirmation(history, plan)
    share = None if budget.trials is None else _share(work, budget.trials)
    if budget.trials is not None and by_trials is None:
        return Progress("trials", done, budget.trials, None, share, None)  # no pace yet: the trials may end far sooner
    if by_time is None or (by_trials is not None and by_trials <= by_time[1]):
        return Progress("trials", done, budget.trials, None, share, by_trials)
    limit, left = by_time
    return Progress("trials", done, budget.trials, limit, _share(limit.spent, limit.total), left)


def _time_limits(plan: Plan, history: History, *, seconds: float, at: float) -> list[Limit]:
    """The limits of time and money; hours in seconds."""
    budget, device_hours = extended(plan.budget, history), history.devices.until(at) / 3600
    found = [("hours", seconds, budget.hours and budget.hours * 3600), ("device_hours", device_hours, None)]
    found[1] = ("device_hours", device_hours, budget.device_hours)
    found.append(("money", device_hours * (budget.price_per_hour or 0.0), budget.money))
    return [Limit(name, spent, total) for name, spent, total in found if total is not None]


def _end(limit: Limit, history: History, *, at: float) -> tuple[Limit, float]:
    """A limit, and the seconds until it is reached at the present pace."""
    left = max(0.0, limit.total - limit.spent)
    if limit.name == "hours":
        return limit, left
    held = history.devices.held
    if not held or limit.spent <= 0:
        return limit, math.inf
    device_hours = history.devices.until(at) / 3600
    return limit, left / limit.spent * device_hours * 3600 / held


def _confirmation(history: History, plan: Plan) -> float:
    """The seconds that the confirmation of the trials so far takes."""
    found = finalists.plan(history, plan.confirm)
    return max(found.longest, found.seconds / plan.workers)


def _share(done: float, total: float) -> float:
    return min(1.0, done / total) if total else 1.0
