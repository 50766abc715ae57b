"""Promotion: every trial pauses at rungs, and the best of each rung resume (ASHA, arXiv 1810.05934, algorithm 2).

A trial pauses at evaluation max(1, R/27), at three times that, and so on, of the R evaluations of its training. The
best third of those that reached a rung resume to the next one, up to half of them in all; which third that is changes
with each new trial, so that no trial waits for others. A resumed trial is the same trial: it continues from its
checkpoint. A trial that arrives in the worse half of its rung, once that holds enough others, is pruned instead of
paused: later trials are seldom so much worse that it would resume, and its checkpoint is not kept.

What is measured in the warm-up says little of how a training ends, so no rung lies there. Where a trainer names no
warm-up, the first trials are probes: they pause at the second rung first. If the first rung ranks them otherwise than
the second one does, no trial pauses at it: in some spaces the first evaluation prefers configs that end badly. If both
rank them nearly alike, the first one decides for both: the best ninth resumes.

When the budget has no new trial left, the trials that may still win are trained out: the best paused trial resumes as
long as it is predicted to end better than every trial that was trained out or is in training, or these are fewer than
the confirmation compares. All others stay paused. Where the budget limits the time, such a trial resumes when its rest
would otherwise take longer than the time that is left.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice

from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.outcome import Outcome
from hpsearch.policies.budget.spending import extended, kept, left
from hpsearch.policies.curves.chain import Curve
from hpsearch.policies.curves.model import Predictions, rank_correlation
from hpsearch.policies.curves.rungs import rungs
from hpsearch.policies.finalists import TOP
from hpsearch.policies.policy import GoOn
from hpsearch.space.budget import Budget
from hpsearch.space.pruners import PromotionPruner
from hpsearch.space.search import Confirm

PROBES = 10  # trials
FEWEST_PROBED = 6  # of them that have reached the second rung, before the first one is judged
LEAST_AGREEMENT = 0.5  # rank correlation of the first two rungs, below which the first one misleads
CLOSE_AGREEMENT = 0.85  # from there, the first one decides for both
FEWEST = 4  # trials that reached a rung, before one of them resumes
MOST_RESUMED = 0.5  # of the trials that reached a rung: a sampler that improves proposes ever better ones
ROUNDING = 1e-6  # of an evaluation: one at the end of the warm-up is in it
LEAD = 1.5  # times the duration of its rest: when a trial resumes at last, before the hours are over
FEWEST_OTHERS = 8  # at a rung, before a trial that arrives there is given up


class Promotion:
    """Which paused trial resumes, and until where each trial trains; a pure function of the history."""

    def __init__(
        self,
        wanted: PromotionPruner,
        *,
        evaluations: int | None,
        warmup: float = 0.0,
        budget: Budget | None = None,
        confirm: Confirm | None = None,
    ) -> None:
        """evaluations: of a whole training; None: as the trials report it. warmup: its share of a training.

        budget: that of time (None: without limit); confirm: the confirmation that follows (None: none).
        """
        self._wanted, self._evaluations, self._warmup = wanted, evaluations, warmup
        self._budget, self._confirm = budget or Budget(), confirm or Confirm(enabled=False)

    def first(self, history: History) -> int | None:
        """The evaluation at which a new trial pauses; None: it is as short as one rung, and never pauses."""
        if len(history.trials) < PROBES and self._probed(history) is not None:
            return self._all_rungs(history)[1]
        return self._after(0, history)

    def next(self, history: History) -> GoOn | None:
        """The paused trial that resumes next, the furthest first; None: all others wait for more trials."""
        paused = [trial for trial in history.trials.values() if trial.paused]
        if not paused:
            return None
        if self._is_timed and (last := self._last_chance(paused, history)) is not None:
            return GoOn(last.number)
        found = self._astray(paused, history) or self._promoted(paused, history)
        if found is None and history.room == 0:
            found = self._winner(paused, history)
        return None if found is None else GoOn(found.number, until=self._after(reached(found), history))

    def gives_up(self, history: History, trial: TrialHistory) -> bool:
        """Whether a trial that is to pause now ends instead: it stands in the worse half of those that came so far."""
        rung = reached(trial)
        if trial.until is None or rung < trial.until or rung not in self._rungs(history)[:-1]:
            return False
        values = dict(self._values(history, rung))
        own = values.pop(trial.number)
        return len(values) >= FEWEST_OTHERS and sum(value < own for value in values.values()) > len(values) / 2

    # --------------------------------------------------------------------------------------------------------- inwards

    @property
    def _is_timed(self) -> bool:
        return min(self._budget.seconds, self._budget.device_seconds) < math.inf

    @property
    def _finalists(self) -> int:
        """How many trials are trained out in any case, for the confirmation to compare."""
        return (self._confirm.top or TOP) if self._confirm.enabled else 1

    def _all_rungs(self, history: History) -> list[int]:
        """The rungs after the warm-up, then the end of the training."""
        end, wanted = self._evaluations or _evaluations(history), self._wanted
        at = rungs(end, first=wanted.min_resource, factor=wanted.reduction_factor)
        if wanted.min_resource is not None:
            return at
        return [*(rung for rung in at[:-1] if rung > self._warmup * end + ROUNDING or not self._warmup), end]

    def _probed(self, history: History) -> int | None:
        """The rung that the probes pass without a pause; None: there is none."""
        at = self._all_rungs(history)
        return at[0] if self._wanted.min_resource is None and not self._warmup and len(at) > 2 else None

    def _rungs(self, history: History) -> list[int]:
        """The rungs without one that misleads, then the end of the training."""
        at = self._all_rungs(history)
        agreement = self._agreement(history) if self._probed(history) is not None else None
        return at[1:] if agreement is not None and agreement < LEAST_AGREEMENT else at

    def _agreement(self, history: History) -> float | None:
        """The rank correlation of the probes at the first two rungs; None: too few have reached the second one."""
        values, later = (dict(self._values(history, rung, below=PROBES)) for rung in self._all_rungs(history)[:2])
        both = [number for number in values if number in later]
        if len(both) < FEWEST_PROBED:
            return None
        return rank_correlation([values[n] for n in both], [later[n] for n in both])

    def _share(self, rung: int, history: History) -> int:
        """One of how many trials resume from a rung."""
        factor = self._wanted.reduction_factor
        if rung != self._probed(history):
            return factor
        agreement = self._agreement(history)
        return factor**2 if agreement is not None and agreement >= CLOSE_AGREEMENT else factor

    def _after(self, index: int, history: History) -> int | None:
        """The first rung after an evaluation; None: the end of the training."""
        return next((rung for rung in self._rungs(history)[:-1] if rung > index), None)

    def _astray(self, paused: list[TrialHistory], history: History) -> TrialHistory | None:
        """A trial that paused between rungs, as one that was begun before the length of a training was known."""
        at = self._rungs(history)
        return next((trial for trial in paused if reached(trial) not in at[:-1]), None)

    def _promoted(self, paused: list[TrialHistory], history: History) -> TrialHistory | None:
        """The best paused trial among the best third of its rung, of the highest rung that has one."""
        waiting = {trial.number: reached(trial) for trial in paused}
        for rung in reversed(self._rungs(history)[:-1]):
            values = dict(self._values(history, rung)) if rung in waiting.values() else {}
            passing = PROBES if rung == self._probed(history) else 0  # the probes did not pause there
            compared = [number for number in values if number >= passing]
            resumed = sum(waiting.get(n) != rung and not _given_up(history.trials[n], rung) for n in compared)
            if len(values) < FEWEST or resumed >= MOST_RESUMED * len(compared):
                continue
            best = sorted((value, number) for number, value in values.items())
            for _, number in best[: len(values) // self._share(rung, history)]:
                if waiting.get(number) == rung:
                    return history.trials[number]
        return None

    def _last_chance(self, paused: list[TrialHistory], history: History) -> TrialHistory | None:
        """The paused trial that may win and would not be trained out in time if it waited longer."""
        budget = extended(self._budget, history)
        spent = {"seconds": history.seconds, "device_seconds": history.device_seconds}
        reserve = kept(budget, self._confirm, history, workers=history.workers)
        rest = left(budget, **spent).without(reserve).on(history.devices.spending)
        if rest > LEAD * max(map(_seconds_to_end, paused)):
            return None
        found = self._winner(paused, history)
        return found if found is not None and rest <= LEAD * _seconds_to_end(found) else None

    def _values(self, history: History, rung: int, *, below: int | None = None) -> Iterator[tuple[int, float]]:
        """Number and value of each trial that has reached a rung (lower is better); `below`: of the first trials."""
        sign = 1.0 if history.direction == "minimize" else -1.0
        for number, trial in islice(history.trials.items(), below):
            if (evaluation := trial.evaluations.get(rung)) is not None:
                value = sign * evaluation.metrics.get(history.metric, math.nan)
                yield number, value if math.isfinite(value) else math.inf

    def _winner(self, paused: list[TrialHistory], history: History) -> TrialHistory | None:
        """The paused trial with the best prediction, if none that ended or is in training is predicted to be better.

        A trial that leads by its best evaluation so far may win as well; so may any, until a confirmation has enough.
        """
        if (leader := history.leader()) is not None and leader.paused:
            return leader
        at, sign = self._rungs(history), 1.0 if history.direction == "minimize" else -1.0
        curves = {number: _curve(trial, at, history.metric, sign) for number, trial in history.trials.items()}
        known = [number for number, curve in curves.items() if curve]
        if not known:
            return paused[0]
        predicted = dict(zip(known, Predictions.of([curves[n] for n in known], at).means.tolist(), strict=True))
        active = [n for n, trial in history.trials.items() if trial.outcome is None and not trial.paused]
        finalists = [*active, *(n for n, trial in history.trials.items() if trial.counts)]
        best = min(paused, key=lambda trial: (predicted.get(trial.number, math.inf), trial.number))
        rivals = [predicted.get(number, math.inf) for number in finalists]
        better = predicted.get(best.number, math.inf) < min(rivals, default=math.inf)
        return best if better or len(finalists) < self._finalists else None


def _seconds_to_end(trial: TrialHistory) -> float:
    """How long the rest of a training will take, at its pace so far."""
    latest = trial.evaluations.get(reached(trial))
    return latest.seconds * (1.0 / latest.progress - 1.0) if latest is not None and latest.progress else 0.0


def _given_up(trial: TrialHistory, rung: int) -> bool:
    return trial.outcome is Outcome.PRUNED and reached(trial) == rung


def reached(trial: TrialHistory) -> int:
    """The index of a trial's latest evaluation."""
    return max(trial.evaluations, default=0)


def _evaluations(history: History) -> int:
    """The evaluations of a whole training, by the first trial that has reported one; 1 before any has."""
    for trial in history.trials.values():
        for index, evaluation in trial.evaluations.items():
            if evaluation.progress > 0:
                return max(1, round(index / evaluation.progress))
    return 1


def _curve(trial: TrialHistory, at: list[int], metric: str, sign: float) -> Curve:
    """A trial's values at the rungs, and at the end its value if it was trained out."""
    found = {
        rung: sign * trial.evaluations[rung].metrics[metric]
        for rung in at[:-1]
        if rung in trial.evaluations and metric in trial.evaluations[rung].metrics
    }
    if trial.counts and trial.value is not None:
        found[at[-1]] = sign * trial.value
    return found
