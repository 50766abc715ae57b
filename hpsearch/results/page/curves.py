"""The curves of all trials, as data that page.js draws: by outcome, over progress, epochs or tokens.

Each trial has the places of its evaluations once, and for each metric its values there: null where a metric was not
measured (a set that is decoded at some evaluations only must not draw a dip), false where it was not a number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from hpsearch.contract import Evaluation
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory, interval_loss, number
from hpsearch.results.pictures.drawing import axis_limits
from hpsearch.tasks import metric_named

AXES = ("progress", "epoch", "tokens")
KINDS = ("loss", "bleu", "chrf", "f1_macro", "accuracy", "bits_per_byte", "perplexity")  # in this order
MOST_METRICS, MOST_POINTS = 8, 30_000
TRAINING = "train/loss"


def curves(history: History) -> dict[str, Any]:
    """The curves of all trials and repeats that were evaluated."""
    metrics, trials = shown_metrics(history), [t for t in history.everything.values() if t.evaluations]
    most = max(2, MOST_POINTS // max(1, len(trials) * len(metrics)))
    best = history.leader()
    return {
        "metrics": metrics,
        "ranges": {metric: _range(history, trials, metric) for metric in metrics},
        "trials": [_curve(history, trial, metrics, most=most) for trial in sorted(trials, key=lambda t: t.number)],
        "winner": None if best is None else best.number,
    }


def shown_metrics(history: History) -> list[str]:
    """The metrics to choose from: the objective, then the loss and the metrics that matter of each set."""
    known = {
        name for t in history.everything.values() for e in t.measured for name in e.metrics if name.startswith("val/")
    }
    several = any(name.count("/") > 1 for name in known)
    found = [name for kind in KINDS for name in sorted(known) if name.rsplit("/", 1)[-1] == kind]
    found = [name for name in found if not several or name.count("/") > 1 or name == "val/loss"]
    return list(dict.fromkeys([history.metric, *found]))[:MOST_METRICS]


def _range(history: History, trials: Sequence[TrialHistory], metric: str) -> list[float]:
    """Limits of the axis that show the good values well."""
    values = [value for trial in trials for value in trial.curve(metric)[1]]
    values += [number(end.metrics.get(metric)) for trial in trials for end in trial.branches.values()]
    direction = history.direction if metric == history.metric else metric_named(metric.rsplit("/", 1)[-1]).direction
    return list(axis_limits(values, direction, spread=0.85))


def _curve(history: History, trial: TrialHistory, metrics: list[str], *, most: int) -> dict[str, Any]:
    best = history.best_evaluation(trial.number, until=max(trial.evaluations))
    kept = _thinned([e for _, e in sorted(trial.evaluations.items())], best, most)
    found: dict[str, Any] = {
        "n": trial.number,
        "of": trial.confirms,
        "outcome": str(trial.status),
        **{axis: [_short(getattr(e, axis)) for e in kept] for axis in AXES},
        "values": {metric: [_value(e, metric) for e in kept] for metric in metrics},
        "training": [_short(loss) if math.isfinite(loss := interval_loss(e.metrics)) else None for e in kept],
    }
    if (peak := history.best_evaluation(trial.number)) is not None:  # its best value, that of a cool-down included
        found["peak"] = {axis: _short(getattr(peak, axis)) for axis in AXES}
        found["peak"]["values"] = {metric: _value(peak, metric) for metric in metrics}
    if best is not None:
        found["best"] = next((i for i, e in enumerate(kept) if e is best), None)
    if trial.branches:
        found["branches"] = [_branch(trial, index, end, metrics) for index, end in sorted(trial.branches.items())]
    return found


def _thinned(evaluations: list[Evaluation], best: Evaluation | None, most: int) -> list[Evaluation]:
    """At most about so many: every n-th, and always the first, the best and the last."""
    step = math.ceil(len(evaluations) / most)
    last = len(evaluations) - 1
    return [e for i, e in enumerate(evaluations) if i % step == 0 or i == last or e is best]


def _branch(trial: TrialHistory, index: int, end: Evaluation, metrics: list[str]) -> dict[str, Any]:
    """A cool-down, from where it left the curve to its end."""
    left = trial.evaluations.get(index, end)
    return {
        **{axis: [_short(getattr(left, axis)), _short(getattr(end, axis))] for axis in AXES},
        "values": {metric: [_value(left, metric), _value(end, metric)] for metric in metrics},
    }


def _value(evaluation: Evaluation, metric: str) -> float | bool | None:
    if metric not in evaluation.metrics:
        return None
    value = evaluation.metrics[metric]
    return _short(value) if value is not None and math.isfinite(value) else False


def _short(value: float) -> float:
    """A number in five digits."""
    return value if isinstance(value, int) else float(f"{value:.5g}")
