"""What still ends before the budget is spent: which trials must cool down now, and whether one may start.

Pure functions.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Iterable

from hpsearch.journal.trial_history import TrialHistory
from hpsearch.verdict import Phases

USEFUL = 0.25  # share of a training: cut shorter, its value tells of its length rather than of its config
MARGIN = 1.2  # times the expected duration of a cool-down: paces vary, and its end is evaluated
LATEST = 5  # intervals whose median is a trial's pace, trials whose median is typical: a machine is busy for a while
HALF = 0.5  # share of a training from which a single evaluation tells its pace: the start is a small part of it


def must_cool_down(trial: TrialHistory, phases: Phases, *, seconds_left: float, now: float) -> bool:
    """Whether a trial in its stable phase cannot reach its end in time, and must cool down now to end at all.

    A cool-down from progress p takes p * c / (1 - c) of the schedule, where c is the share of the cool-down: it is the
    same share of the shorter training. phases: of the trial's training; now: unix seconds.
    """
    if not trial.evaluations or phases.cooldown_from >= 1.0:
        return False
    latest = trial.evaluations[max(trial.evaluations)]
    if not latest.seconds or not latest.progress or not phases.warmup_until <= latest.progress < phases.cooldown_from:
        return False
    whole = pace(trial) or latest.seconds / latest.progress  # seconds of the whole schedule
    to_its_end = whole * (phases.ends_at - latest.progress) - max(0.0, now - latest.time)
    return to_its_end > seconds_left and whole * latest.progress * _share(phases) * MARGIN >= seconds_left


def pace(trial: TrialHistory) -> float | None:
    """Seconds of a trial's whole schedule, without its start: the median of its latest intervals; None: unknown.

    A training's first evaluation has its start in it (a worker that imports, a graph that compiles), one after a pause
    the start of the next attempt.
    """
    found = [trial.evaluations[index] for index in sorted(trial.evaluations)]
    pairs = [(a, b) for a, b in itertools.pairwise(found) if b.progress > a.progress and b.seconds > a.seconds]
    if pairs:
        return statistics.median((b.seconds - a.seconds) / (b.progress - a.progress) for a, b in pairs[-LATEST:])
    if found and found[-1].progress >= HALF and found[-1].seconds:
        return found[-1].seconds / found[-1].progress
    return None


def soonest_value(trials: Iterable[TrialHistory], phases: Callable[[TrialHistory], Phases]) -> float | None:
    """Seconds after which a new trial has a value of use, at the pace of the trials so far; None: it is unknown.

    That is the shortest training that had a value (to the first evaluation after the warm-up, and the cool-down from
    there, if it has one), and at least USEFUL of a typical training, of the trials that were evaluated last. The start
    of a training is not counted.
    """
    trials = sorted((trial for trial in trials if trial.evaluations), key=_evaluated_at)
    soonest = [found for trial in trials if (found := _soonest(trial, phases(trial))) is not None]
    if not soonest:
        return None
    whole = [found * phases(trial).ends_at for trial in trials if (found := pace(trial)) is not None]
    return max(min(soonest), USEFUL * statistics.median_low(whole[-LATEST:])) if whole else min(soonest)


def _evaluated_at(trial: TrialHistory) -> float:
    return trial.evaluations[max(trial.evaluations)].time


def _soonest(trial: TrialHistory, phases: Phases) -> float | None:
    stable = [e for e in trial.evaluations.values() if e.progress >= phases.warmup_until and e.seconds]
    if not stable:
        return None
    if not any(e.progress for e in stable):  # it does not say its progress
        return min(e.seconds for e in stable)
    whole = pace(trial)
    return None if whole is None else whole * min(e.progress for e in stable if e.progress) * (1.0 + _share(phases))


def _share(phases: Phases) -> float:
    """Seconds of a cool-down for each second before it."""
    return (1.0 - phases.cooldown_from) / phases.cooldown_from if 0.0 < phases.cooldown_from < 1.0 else 0.0
