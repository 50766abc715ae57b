"""The rules on one trial's own curve (verdict.py), for any policy."""

from __future__ import annotations

import math
from itertools import islice
from typing import Any

from hpsearch.contract import Evaluation
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory, interval_loss
from hpsearch.policies.policy import Judgement
from hpsearch.space.settings import Overfitting
from hpsearch.trainers import Trainer, default
from hpsearch.verdict import Phases, Point, Verdict, diverged, overfitting, stale
from hpsearch.verdict import reason as explain

MAX_CURVES = 5000  # kept at hand; beyond, those of ended trials are dropped


class CurveRules:
    """Ends trials that have diverged or that overfit."""

    def __init__(self, rule: Overfitting, trainer: Trainer | None = None) -> None:
        """`rule`: the section search.overfitting of a space file, `experiment.search.overfitting`.

        trainer: `experiment.trainer`, which knows the phases of its trainings; None for the default trainer.
        """
        self._rule, self._trainer = rule, trainer or default()
        self._phases: dict[int, tuple[dict[str, Any], Phases]] = {}  # trial -> its config and what that says
        self._curves: dict[int, tuple[dict[int, Evaluation], list[Point]]] = {}  # trial -> evaluations and their points

    def judge(self, history: History, trial: TrialHistory) -> Judgement:
        """Returns DIVERGED or OVERFIT with a reason, else CONTINUE."""
        curve, of_training = self._curve(history, trial), self.phases(trial)
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

    def _curve(self, history: History, trial: TrialHistory) -> list[Point]:
        """Returns the trial's points. Only its new evaluations are converted, unless one came out of order."""
        evaluations, curve = self._curves.get(trial.number, (None, []))
        new = list(islice(trial.evaluations.items(), len(curve), None))
        if evaluations is not trial.evaluations or (curve and new and new[0][0] < curve[-1].index):
            curve, new = [], sorted(trial.evaluations.items())
        curve += [point(evaluation) for _, evaluation in sorted(new)]
        self._curves[trial.number] = trial.evaluations, curve
        if len(self._curves) > MAX_CURVES:
            running = {number for number, other in history.trials.items() if other.outcome is None}
            self._curves = {number: known for number, known in self._curves.items() if number in running}
        return curve

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
    return [point(evaluation) for _, evaluation in sorted(trial.evaluations.items())]


def point(evaluation: Evaluation) -> Point:
    """An evaluation as the verdicts read it."""
    return Point(
        index=evaluation.index,
        progress=evaluation.progress,
        val_loss=evaluation.metrics.get("val/loss", math.nan),
        train_loss=interval_loss(evaluation.metrics),
        stderr=evaluation.metrics.get("val/loss_stderr", 0.0),
    )
