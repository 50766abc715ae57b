"""Optuna's samplers and pruners as a policy, with an Optuna study in memory that follows the history.

An answer costs time for the new trials and evaluations only. For another history the Optuna study is rebuilt as a whole
and proposes what it would have proposed without the interruption.
"""

from __future__ import annotations

import gc
from typing import Any

from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.policies.curve_rules import CurveRules, why_behind
from hpsearch.policies.optuna.proposals import OutOfConfigs, Proposals
from hpsearch.policies.policy import Decision, Judgement, New, Nothing
from hpsearch.policies.promotion import Promotion
from hpsearch.results.evidence.bands import LOSSES
from hpsearch.space.experiment import Experiment
from hpsearch.space.pruners import PromotionPruner
from hpsearch.system.uncollected import uncollected
from hpsearch.verdict import Verdict


class OptunaPolicy:
    """Proposes trials by `search.sampler`, and ends them by `search.pruner` and the rules on their own curves."""

    proposals: Proposals
    _proposed: dict[str, Any] | None  # for the next trial
    _proposed_after: tuple[int, int]  # what was known then

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        self._rules = CurveRules(experiment.search.overfitting, experiment.trainer)
        self._promotion = _promotion(experiment)
        self._reset(History())

    def next(self, history: History) -> Decision:
        """Returns a paused trial that is promoted, or a new one if the budget allows one and the space has one left."""
        self._catch_up(history)
        self._hear(history)
        if self._promotion is not None and (promoted := self._promotion.next(history)) is not None:
            return promoted
        if history.room == 0:
            return Nothing()
        if self._proposed is None or self._proposed_after != self._news():
            self._proposed, self._proposed_after = self._propose(history), self._news()
        if self._proposed is None:
            size = len(history.trials)
            return Nothing(f"each of the space's {size} configs has had its trial" if size > 1 else "")
        until = self._promotion.first(history) if self._promotion is not None else None
        return New(self._experiment.space.values(self._proposed), until=until)

    def judge(self, history: History, trial: TrialHistory) -> Judgement:
        """Ends a trial that diverged, overfits or is behind the other trials."""
        self._catch_up(history)
        self.proposals.hear(trial)
        judgement = self._rules.judge(history, trial)
        if judgement.verdict is Verdict.CONTINUE and self._is_behind(history, trial) and not _is_spared(history, trial):
            return Judgement(Verdict.PRUNE, why_behind(history, trial))
        return judgement

    # --------------------------------------------------------------------------------------------------------- inwards

    def _hear(self, history: History) -> None:
        """Reports all new evaluations to Optuna."""
        for number in self.proposals.open:
            if number in history.trials:  # not the one that is proposed
                self.proposals.hear(history.trials[number])

    def _news(self) -> tuple[int, int]:
        """What changes with each evaluation and each end of a trial: a proposal from before is made anew."""
        return self.proposals.reports, self._ended

    def _propose(self, history: History) -> dict[str, Any] | None:
        """The internal values of the next trial; None: the study has every training of the space."""
        if self._proposed is not None:
            self.proposals.trainings.discard(self._proposed)
        if self.proposals.trainings.used_up:
            return None
        try:
            return self.proposals.ask(len(history.trials))
        except OutOfConfigs:
            return None

    def _is_behind(self, history: History, trial: TrialHistory) -> bool:
        """Whether the pruner stops the trial; the same answer each time for one evaluation."""
        if self._promotion is not None:
            return self._promotion.gives_up(history, trial)
        index = max(trial.evaluations, default=0)
        if index == 0 or trial.evaluations[index].progress >= self._rules.phases(trial).ends_at:
            return False
        if self._pruned.get(trial.number) != index and self.proposals.would_prune(trial.number):
            self._pruned[trial.number] = index
        return self._pruned.get(trial.number) == index

    def _reset(self, history: History) -> None:
        """Starts over with another history."""
        self._history, self._seen, self._ended = history, 0, 0
        self.proposals = Proposals(self._experiment, sets=history.origin.data.get("sets"))
        self.proposals.learn([trial for warm in history.warm.values() for trial in warm.trials])
        self._proposed, self._proposed_after = None, (0, 0)
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


def _is_spared(history: History, trial: TrialHistory) -> bool:
    """Whether no pruner may end a trial: by its best evaluation so far no other one is better.

    Pruners compare the latest values, and a metric such as F1 jumps from one evaluation to the next, unlike a loss.
    """
    return not history.metric.endswith(LOSSES) and history.leads(trial)


def _promotion(experiment: Experiment) -> Promotion | None:
    """The promotion that the space file wants; None: its pruner ends trials, or nothing does."""
    wanted, trainer = experiment.pruner, experiment.trainer
    if not isinstance(wanted, PromotionPruner):
        return None
    return Promotion(
        wanted,
        evaluations=experiment.evaluations,
        warmup=trainer.phases(experiment.space_file.config).warmup_until,
        budget=experiment.budget,
        confirm=experiment.search.confirm,
    )
