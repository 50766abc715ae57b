"""The rules on one trial's own curve (verdict.py), for any policy."""

from __future__ import annotations

import math
from typing import Any

from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory, interval_loss
from hpsearch.policies.policy import Judgement
from hpsearch.space.settings import Overfitting
from hpsearch.trainers import Trainer, default
from hpsearch.verdict import Phases, Point, Verdict, diverged, overfitting, stale
from hpsearch.verdict import reason as explain


class CurveRules:
    """Ends trials that have diverged or that overfit."""

    def __init__(self, rule: Overfitting, trainer: Trainer | None = None) -> None:
        """`rule`: the section search.overfitting of a space file, `experiment.search.overfitting`.

        trainer: `experiment.trainer`, which knows the phases of its trainings; None for the default trainer.
        """
        self._rule, self._trainer = rule, trainer or default()
        self._phases: dict[int, tuple[dict[str, Any], Phases]] = {}  # trial -> its config and what that says

    def judge(self, history: History, trial: TrialHistory) -> Judgement:
        """Returns DIVERGED or OVERFIT with a reason, else CONTINUE."""
        curve, of_training = points(trial), self.phases(trial)
        if diverged(curve, warmup_until=of_training.warmup_until):
            return Judgement(Verdict.DIVERGED, explain(Verdict.DIVERGED, curve))
        if self._overfits(history, trial, curve, of_training):
            reason = explain(Verdict.OVERFIT, curve, evaluations=self._rule.evaluations)
            return Judgement(Verdict.OVERFIT, reason)
        return Judgement()

    def phases(self, trial: TrialHistory) -> Phases:
        """Returns the phases of a trial's training. A config is validated once, not at each evaluation."""
        config, known = self._phases.get(trial.number, (None, None))
        if known is None or config is not trial.config:
            known = self._trainer.phases(self._trainer.config.model_validate(trial.config))
            self._phases[trial.number] = trial.config, known
        return known

    def _overfits(self, history: History, trial: TrialHistory, curve: list[Point], of_training: Phases) -> bool:
        """Whether the losses overfit and the objective, which may be another metric, is stale as well."""
        if not self._rule.enabled or not overfitting(
            curve,
            warmup_until=of_training.warmup_until,
            cooldown_from=of_training.cooldown_from,
            evaluations=self._rule.evaluations,
            sigmas=self._rule.sigmas,
        ):
            return False
        _, values = trial.curve(history.metric)
        return stale(values, maximize=history.direction == "maximize", evaluations=self._rule.evaluations)


def points(trial: TrialHistory) -> list[Point]:
    """A trial's curve as the verdicts read it."""
    return [
        Point(
            index=index,
            progress=evaluation.progress,
            val_loss=evaluation.metrics.get("val/loss", math.nan),
            train_loss=interval_loss(evaluation.metrics),
            stderr=evaluation.metrics.get("val/loss_stderr", 0.0),
        )
        for index, evaluation in sorted(trial.evaluations.items())
    ]
