"""Optuna's samplers and pruners as a policy, with an Optuna study in memory that follows the history.

An answer costs time for the new trials and evaluations only. For another history the Optuna study is rebuilt as a whole
and proposes what it would have proposed without the interruption.
"""

from __future__ import annotations

import gc
from typing import Any

from hpsearch.journal.history import History, uncollected
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.policies.curve_rules import CurveRules, points
from hpsearch.policies.optuna.proposals import OutOfConfigs, Proposals
from hpsearch.policies.policy import Decision, Judgement, New, Nothing
from hpsearch.space.experiment import Experiment
from hpsearch.verdict import Verdict
from hpsearch.verdict import reason as explain


class OptunaPolicy:
    """Proposes trials by `search.sampler`, and ends them by `search.pruner` and the rules on their own curves."""

    proposals: Proposals
    _proposed: dict[str, Any] | None  # for the next trial

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        self._rules = CurveRules(experiment.search.overfitting, experiment.trainer)
        self._reset(History())

    def next(self, history: History) -> Decision:
        """Returns a new trial while the budget allows one and the space has a training that the study lacks."""
        self._catch_up(history)
        if history.room == 0:
            return Nothing()
        if self._proposed is None:
            self._proposed = self._propose(history)
        if self._proposed is None:
            size = len(history.trials)
            return Nothing(f"each of the space's {size} configs has had its trial" if size > 1 else "")
        return New(self._experiment.space.values(self._proposed))

    def judge(self, history: History, trial: TrialHistory) -> Judgement:
        """Ends a trial that diverged, overfits or is behind the other trials."""
        self._catch_up(history)
        self.proposals.hear(trial)
        judgement = self._rules.judge(history, trial)
        if judgement.verdict is Verdict.CONTINUE and self._is_behind(trial):
            return Judgement(Verdict.PRUNE, explain(Verdict.PRUNE, points(trial)))
        return judgement

    # --------------------------------------------------------------------------------------------------------- inwards

    def _propose(self, history: History) -> dict[str, Any] | None:
        """The internal values of the next trial; None: the study has every training of the space."""
        for number in self.proposals.open:
            self.proposals.hear(history.trials[number])
        if self.proposals.trainings.used_up:
            return None
        try:
            return self.proposals.ask(len(history.trials))
        except OutOfConfigs:
            return None

    def _is_behind(self, trial: TrialHistory) -> bool:
        """Whether the pruner stops the trial; the same answer each time for one evaluation."""
        index = max(trial.evaluations, default=0)
        if index == 0 or trial.evaluations[index].progress >= self._rules.phases(trial).ends_at:
            return False
        if self._pruned.get(trial.number) != index and self.proposals.would_prune(trial.number):
            self._pruned[trial.number] = index
        return self._pruned.get(trial.number) == index

    def _reset(self, history: History) -> None:
        """Starts over with another history."""
        self._history, self._seen, self._ended = history, 0, 0
        self.proposals = Proposals(self._experiment)
        self._proposed = None
        self._pruned: dict[int, int] = {}  # trial -> evaluation

    def _catch_up(self, history: History) -> None:
        """Adds to Optuna's study what is new in the history."""
        if history is not self._history:
            self._reset(history)
        if self._seen < len(history.trials):
            self._add(history)
        for number in history.finished[self._ended :]:
            self.proposals.tell(history.trials[number])
            self._pruned.pop(number, None)
        self._ended = len(history.finished)

    def _add(self, history: History) -> None:
        """Adds the trials that are new; the first of them may be the one proposed last."""
        numbers = range(self._seen, len(history.trials))
        self._seen = len(history.trials)
        if self._proposed is not None:
            self.proposals.accept(history.trials[numbers[0]], self._proposed)
            self._proposed, numbers = None, numbers[1:]
        if not numbers:
            return
        with uncollected():
            for number in numbers:
                self.proposals.rebuild(history.trials[number])
            gc.freeze()  # the garbage collector skips these trials during the search
