"""Warnings about a study's results: an objective that never changes, a winner at chance on one of its data sets."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice

from hpsearch.contract import Evaluation
from hpsearch.journal.history import History, TrialHistory, number
from hpsearch.tasks import Metric, metric_named

TRIALS, EVALUATIONS = 2, 3  # an objective is constant only where at least so many trials have so many values each
OTHERWISE = "train longer, or take val/loss"  # what is said of a metric that no task knows


def caveats(history: History) -> list[str]:
    """All warnings about a study as it is now, a line each."""
    constant = constant_objective(history)
    return [*([constant] if constant else []), *at_chance(history), *computed_differently(history)]


def constant_objective(history: History) -> str | None:
    """A line where every evaluation of several trials has the same value of the objective, with the likely reason.

    It stops at the first two values that differ, so that it can be asked after each trial.
    """
    curves = (trial.curve(history.metric)[1] for trial in history.trials.values())
    long = (curve for curve in curves if len(curve) >= EVALUATIONS)
    first: float | None = None
    trials = 0
    for curve in long:
        first = curve[0] if first is None else first
        if any(value != first and not (math.isnan(value) and math.isnan(first)) for value in curve):
            return None
        trials += 1
    if first is None or trials < TRIALS:
        return None
    said = f"{history.metric} is {first:g} at every evaluation of {trials} trials, so none of them is the better one"
    return f"{said}: {_reason(_metric(history.metric), first)}"


def _metric(name: str) -> Metric:
    """The metric of a name such as val/bleu or val/NAME/bleu."""
    return metric_named(name.rsplit("/", 1)[-1])


def _reason(metric: Metric, value: float) -> str:
    if math.isnan(value):
        return "it was never a finite number; lower the learning rates"
    if metric.best is not None and math.isclose(value, metric.best, abs_tol=1e-9):
        return "it is the best value that there is, so the validation split is too easy or too small to choose by"
    return metric.constant or OTHERWISE


def at_chance(history: History) -> list[str]:
    """A line for each data set on which the winner is no better than chance: another trial is, or none."""
    winner = history.best()
    evaluation = _best_evaluation(winner) if winner else None
    if winner is None or evaluation is None:
        return []
    return [line for metric in _judged(evaluation) if (line := _lost(history, winner, evaluation, metric))]


def _judged(evaluation: Evaluation) -> Iterator[str]:
    """The metrics that show chance: those of each set where there are several sets."""
    names = [name for name in evaluation.metrics if name.startswith("val/") and _metric(name).chance]
    several = any(name.count("/") > 1 for name in evaluation.metrics if name.startswith("val/"))
    return (name for name in names if (name.count("/") > 1) == several)


def _lost(history: History, winner: TrialHistory, evaluation: Evaluation, metric: str) -> str | None:
    prefix, known = metric.rsplit("/", 1)[0], _metric(metric)
    chance, clear = known.chance or (-math.inf, math.inf)
    perfect = evaluation.metrics.get(f"{prefix}/{known.perfect_by}") == 1.0
    if perfect or not number(evaluation.metrics[metric]) <= chance:
        return None
    where = f"on data set '{name}'" if (name := metric.removeprefix("val/").rpartition("/")[0]) else "on its data"
    said = f"trial {winner.number} is best by {history.metric}, but no better than chance {where}"
    said = f"{said} ({_values(evaluation, metric)})"
    for other in islice(history.ranked(), 1, None):
        found = _best_evaluation(other)
        if found is not None and number(found.metrics.get(metric)) >= clear:
            values = f"{_values(found, metric)}; {history.metric} {other.value:.4g} against {winner.value:.4g}"
            better = f"{prefix}/{known.chosen_by or known.name}"
            return f"{said}; trial {other.number} is ({values}): objective.metric {better} chooses by that set"
    return f"{said}, and no other trial is clearly better: train longer, or look at the data"


def computed_differently(history: History) -> list[str]:
    """A line where trials have another signature of the objective: tokenizers or versions differ between workers."""
    last = history.metric.rsplit("/", 1)[-1]
    ways: dict[str, dict[str, list[int]]] = {}
    for trial in history.trials.values():
        signatures = {k: v for e in trial.evaluations.values() for k, v in e.signatures.items()}
        for name, signature in signatures.items():
            if name.rsplit("/", 1)[-1] == last:
                ways.setdefault(name, {}).setdefault(signature, []).append(trial.number)
    return [_differing(name, found) for name, found in ways.items() if len(found) > 1]


def _differing(name: str, ways: dict[str, list[int]]) -> str:
    said = "; ".join(
        f"{signature} (trial {numbers[0]} and {len(numbers) - 1} more)" for signature, numbers in ways.items()
    )
    return f"val/{name} was not computed in the same way by all trials, which cannot be compared by it: {said}"


def _values(evaluation: Evaluation, metric: str) -> str:
    """The metric and the one that people know better, as they were measured."""
    names = [f"{metric.rsplit('/', 1)[0]}/{_metric(metric).known_as}", metric]
    names = [name for name in names if name in evaluation.metrics]
    return ", ".join(f"{name.rsplit('/', 1)[1]} {evaluation.metrics[name]:.3g}" for name in names)


def _best_evaluation(trial: TrialHistory) -> Evaluation | None:
    """What was measured where the trial's best value is from."""
    return trial.evaluations.get(trial.best.index) if trial.best else None
