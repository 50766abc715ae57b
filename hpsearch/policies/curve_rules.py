"""The rules on one trial's own curve (verdict.py), for any policy."""

from __future__ import annotations

import math
from itertools import islice
from typing import Any

from hpsearch.contract import Evaluation
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory, interval_loss
from hpsearch.policies.policy import Judgement
from hpsearch.space.search import Overfitting
from hpsearch.trainers import Trainer, default
from hpsearch.verdict import LAST_SIGMAS, Phases, Point, Verdict, diverged, is_last_stable, overfitting, stale
from hpsearch.verdict import reason as explain

LOSS = "val/loss"
MAX_CURVES = 5000  # kept at hand; beyond, those of ended trials are dropped


class CurveRules:
    """Ends trials that have diverged or that overfit."""

    def __init__(self, rule: Overfitting, trainer: Trainer | None = None) -> None:
        """`rule`: the section search.overfitting of a space file, `experiment.search.overfitting`.

        trainer: `experiment.trainer`, which knows the phases of its trainings; None for the default trainer.
        """
        self._rule, self._trainer = rule, trainer or default()
        self._phases: dict[int, tuple[dict[str, Any], Phases]] = {}  # trial -> its config and what that says
        # trial -> its evaluations, how many of them were read, and their points
        self._curves: dict[int, tuple[dict[int, Evaluation], int, list[Point]]] = {}

    def judge(self, history: History, trial: TrialHistory) -> Judgement:
        """Returns DIVERGED or OVERFIT with a reason, else CONTINUE.

        An evaluation that measures no loss is judged by the objective alone: the trial diverges if that is not finite,
        and cannot overfit.
        """
        if trial.evaluations and LOSS not in trial.evaluations[max(trial.evaluations)].metrics:
            return _by_objective(history.metric, trial)
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
        evaluations, read, curve = self._curves.get(trial.number, (None, 0, []))
        new = list(islice(trial.evaluations.items(), read, None))
        if evaluations is not trial.evaluations or (curve and new and new[0][0] < curve[-1].index):
            curve, new = [], sorted(trial.evaluations.items())
        curve += _points(sorted(new))
        self._curves[trial.number] = trial.evaluations, len(trial.evaluations), curve
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
            sigmas=self._sigmas(trial, curve, of_training),
        ):
            return False
        _, values = trial.curve(history.metric)
        return stale(values, maximize=history.direction == "maximize", evaluations=self._rule.evaluations)

    def _sigmas(self, trial: TrialHistory, curve: list[Point], of_training: Phases) -> float:
        """The rule's own, or fewer at the last evaluation from which a trial can still go back and cool down."""
        if not curve or not is_last_stable(curve[-1], cooldown_from=of_training.cooldown_from):
            return self._rule.sigmas
        can = self._trainer.cools_down(self._trainer.config.model_validate(trial.config))
        return min(LAST_SIGMAS, self._rule.sigmas) if can else self._rule.sigmas


def points(trial: TrialHistory) -> list[Point]:
    """A trial's curve as the verdicts read it: the evaluations that measured the loss."""
    return _points(sorted(trial.evaluations.items()))


def why_behind(history: History, trial: TrialHistory) -> str:
    """Says that a trial is behind the others, by the objective, which is what a pruner compares."""
    places, values = trial.curve(history.metric, "index")
    if history.metric == LOSS or not values:
        return explain(Verdict.PRUNE, points(trial))
    best = max if history.direction == "maximize" else min
    finite = [value for value in values if math.isfinite(value)]
    known = f" (best {best(finite):.4g})" if finite else ""
    return f"{history.metric} {values[-1]:.4g} at evaluation {places[-1]:.0f}{known} is behind the other trials' there"


def _by_objective(metric: str, trial: TrialHistory) -> Judgement:
    """Judges an evaluation without a loss. One without the objective too is judged if no earlier one had it."""
    index = max(trial.evaluations)
    latest = trial.evaluations[index].metrics.get(metric)
    if latest is None:
        is_known = any(metric in evaluation.metrics for evaluation in trial.evaluations.values())
        return Judgement() if is_known else Judgement(Verdict.DIVERGED, f"{metric} is not measured")
    if math.isfinite(latest):
        return Judgement()
    return Judgement(Verdict.DIVERGED, f"{metric} {latest} at evaluation {index} is not a finite number")


def _points(evaluations: list[tuple[int, Evaluation]]) -> list[Point]:
    return [_point(evaluation) for _, evaluation in evaluations if LOSS in evaluation.metrics]


def _point(evaluation: Evaluation) -> Point:
    """An evaluation as the verdicts read it."""
    return Point(
        index=evaluation.index,
        progress=evaluation.progress,
        val_loss=evaluation.metrics[LOSS],
        train_loss=interval_loss(evaluation.metrics),
        stderr=evaluation.metrics.get("val/loss_stderr", 0.0),
    )
