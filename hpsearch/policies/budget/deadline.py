"""What still ends before the budget is spent: which trials must cool down now, and whether one may start.

Pure functions.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable

from hpsearch.journal.trial_history import TrialHistory
from hpsearch.verdict import Phases

USEFUL = 0.25  # share of a training: cut shorter, its value tells of its length rather than of its config
MARGIN = 1.2  # times the expected duration of a cool-down: paces vary, and its end is evaluated


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
    whole = latest.seconds / latest.progress  # seconds of the whole schedule
    to_its_end = whole * (phases.ends_at - latest.progress) - max(0.0, now - latest.time)
    return to_its_end > seconds_left and whole * latest.progress * _share(phases) * MARGIN >= seconds_left


def soonest_value(trials: Iterable[TrialHistory], phases: Callable[[TrialHistory], Phases]) -> float | None:
    """Seconds after which a new trial has a value of use, as the trials so far tell; None: they do not.

    That is the shortest training that had a value (to the first evaluation after the warm-up, and the cool-down from
    there, if it has one), and at least USEFUL of the median training.
    """
    trials = list(trials)
    soonest = [found for trial in trials if (found := _soonest(trial, phases)) is not None]
    if not soonest:
        return None
    whole = [found for trial in trials if _soonest(trial, phases) and (found := _whole(trial, phases)) is not None]
    return max(min(soonest), USEFUL * statistics.median(whole)) if whole else min(soonest)


def _whole(trial: TrialHistory, phases: Callable[[TrialHistory], Phases]) -> float | None:
    """Seconds of a trial's whole training, at the pace of its latest evaluation; None if its progress is unknown."""
    latest = trial.evaluations[max(trial.evaluations)]
    return latest.seconds / latest.progress * phases(trial).ends_at if latest.progress else None


def _soonest(trial: TrialHistory, phases: Callable[[TrialHistory], Phases]) -> float | None:
    if not trial.evaluations:
        return None
    found = phases(trial)
    stable = [e.seconds for e in trial.evaluations.values() if e.progress >= found.warmup_until and e.seconds]
    return min(stable) * (1.0 + _share(found)) if stable else None


def _share(phases: Phases) -> float:
    """Seconds of a cool-down for each second before it."""
    return (1.0 - phases.cooldown_from) / phases.cooldown_from if 0.0 < phases.cooldown_from < 1.0 else 0.0
