"""Which trials of a study are trained again, with how many fresh seeds, and what that costs. Pure functions.

By default the best three trials and the default config, with three seeds each (after at most 12 trials: one), as far as
that takes at most SHARE of the device time of the search. What does not fit is left out: seeds first, then the third
trial, then the default config.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import product

from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.space.search import Confirm

FEWEST_TRIALS = 10  # of a study that is confirmed without being asked to
SMALL_STUDY = 12  # trials; up to here one seed
TOP, LEAST_TOP, SEEDS = 3, 2, 3
SHARE = 0.2  # of the device time of the search
PACE = 1.1  # times the expected duration: paces vary


@dataclass(frozen=True)
class Plan:
    """The trials to train again, the best one first, and the fresh seeds of each; without trials the reason why."""

    trials: tuple[int, ...] = ()
    seeds: int = 0
    longest: float = 0.0  # seconds of the longest training
    seconds: float = 0.0  # device time of all trainings
    reason: str = ""


def plan(history: History, confirm: Confirm) -> Plan:
    """Returns the plan for the trials that have ended so far; repeats of other trials do not change it."""
    if not confirm.enabled:
        return Plan()
    ended = _ended(history)
    is_asked = _is_asked(confirm)
    if not is_asked and ended < FEWEST_TRIALS:
        return Plan(reason=f"it has fewer than {FEWEST_TRIALS} trials")
    ranked = [trial.number for trial in history.ranked()]
    if len(ranked) < (1 if is_asked else LEAST_TOP):
        return Plan(reason=f"{'none' if not ranked else 'only one'} of its trials has completed")
    if confirm.top is not None and confirm.seeds is not None:
        return _plan(history, ranked, confirm.top, confirm.seeds)
    return _within_share(history, ranked, confirm)


def _within_share(history: History, ranked: list[int], confirm: Confirm) -> Plan:
    """Returns the largest plan that takes at most SHARE of the search's device time."""
    allowed = SHARE * sum(_spent(trial) for trial in history.trials.values())
    for with_default, top, seeds in _choices(confirm, _ended(history)):
        found = _plan(history, ranked, top, seeds, with_default=with_default)
        if found.seconds <= allowed:
            return found
    takes, took = _told(found.seconds, allowed / SHARE)
    again = f"training {len(found.trials)} of its trials again would take {takes}"
    return Plan(reason=f"{again}, more than a fifth of the {took} that its trials took")


def _plan(history: History, ranked: list[int], top: int, seeds: int, *, with_default: bool = True) -> Plan:
    chosen = ranked[:top]
    default = history.default() if with_default else None
    if default is not None and default.number in ranked[top:]:
        chosen = [*chosen, default.number]
    costs = [cost(history.trials[number]) for number in chosen]
    return Plan(tuple(chosen), seeds, longest=max(costs), seconds=seeds * sum(costs))


def expected(confirm: Confirm, *, trials: int, cost: float, spent: float) -> int:
    """Returns how many trainings the confirmation of a study is expected to have, before there is any trial.

    cost: seconds of a whole training; spent: of all trials. Most studies confirm their default config as well.
    """
    is_asked = _is_asked(confirm)
    if not confirm.enabled or not trials or (not is_asked and trials < FEWEST_TRIALS):
        return 0
    for others, top, seeds in _choices(confirm, trials):
        count = min(top + others, trials) * seeds
        if count * cost <= SHARE * spent or (confirm.top is not None and confirm.seeds is not None):
            return count
    return 0


def _choices(confirm: Confirm, ended: int) -> product[tuple[bool, int, int]]:
    """With the default config or without it, how many of the best, how many seeds: the largest plan first."""
    most = 1 if ended <= SMALL_STUDY else SEEDS
    tops = [confirm.top] if confirm.top else range(TOP, LEAST_TOP - 1, -1)
    counts = [confirm.seeds] if confirm.seeds else range(most, 0, -1)
    return product([True, False], tops, counts)


def not_confirmed(history: History, confirm: Confirm) -> str:
    """Returns one line that says why the winner of a study is not confirmed; empty if it is, or is not to be."""
    if history.confirmation is not None or not confirm.enabled:
        return ""
    reason = plan(history, confirm).reason or "no training of its best trial with a fresh seed has ended"
    return f"the winner is not confirmed with fresh seeds: {reason}"


def reserve(history: History, confirm: Confirm, *, workers: int, seconds: float) -> float:
    """Returns the seconds that the confirmation takes at the end of a budget of `seconds`, on some workers.

    0 if it would take more than SHARE of them and nobody has asked for it: then it has what the search leaves.
    """
    found = plan(history, confirm)
    takes = PACE * max(found.longest, found.seconds / max(1, workers))
    return takes if _is_asked(confirm) or takes <= SHARE * seconds else 0.0


def reserve_of_devices(history: History, confirm: Confirm, *, seconds: float) -> float:
    """Returns the device time that the confirmation takes at the end of a budget of `seconds` of it, like `reserve`.

    A trial's own seconds are more than those of its device where trials share one, and less where starting takes long.
    """
    own = sum(_spent(trial) for trial in history.everything.values())
    takes = PACE * plan(history, confirm).seconds * (history.device_seconds / own if own else 1.0)
    return takes if _is_asked(confirm) or takes <= SHARE * seconds else 0.0


def missing(history: History, found: Plan, seed: int) -> tuple[int, int] | None:
    """Returns (trial, seed) of the plan's next training that the study lacks; None: it has all of them."""
    known = {(one.confirms, one.config.get("seed")) for one in history.repeats.values() if not one.audits}
    wanted = ((number, fresh_seed(seed, number, n)) for n in range(1, found.seeds + 1) for number in found.trials)
    return next((pair for pair in wanted if pair not in known), None)


def fresh_seed(seed: int, trial: int, repeat: int) -> int:
    """Returns a seed of 31 bits for the n-th repeat of a trial, never the study's own."""
    text = f"confirm,{seed},{trial},{repeat}"
    found = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
    return found if found != seed else found ^ 1


def cost(trial: TrialHistory) -> float:
    """Returns the seconds to train the config again that a trial came to: until its curve had seen as many tokens."""
    best = trial.best
    later = [e.seconds for e in trial.evaluations.values() if best is not None and e.step >= best.step and e.seconds]
    return min(later, default=trial.seconds)


def _ended(history: History) -> int:
    """The number of trials that have ended or are paused: a policy may leave most of them so."""
    return sum(trial.outcome is not None or trial.paused for trial in history.trials.values())


def _is_asked(confirm: Confirm) -> bool:
    return confirm.top is not None or confirm.seeds is not None


def _spent(trial: TrialHistory) -> float:
    """Seconds of training and evaluating, also of a trial that has not ended."""
    return trial.seconds or max((e.seconds for e in trial.measured), default=0.0)


def _told(takes: float, took: float) -> tuple[str, str]:
    """Two times, in as many digits as show that the one is more than the share of the other."""
    enough = (n for n in range(1, 6) if _rounded(takes, n) > SHARE * _rounded(took, n) * (1 + 1e-9))
    digits = next(enough, 6)
    return _time(takes, digits), _time(took, digits)


def _rounded(seconds: float, digits: int) -> float:
    """Seconds as `_time` shows them."""
    return 60 * round(seconds / 60, digits) if seconds >= 60 else round(seconds, digits)


def _time(seconds: float, digits: int) -> str:
    return f"{seconds / 60:.{digits}f} minutes" if seconds >= 60 else f"{seconds:.{digits}f} s"
