"""Learning curves: the losses of one trial, the objective of all trials."""

from __future__ import annotations

import math
from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter

from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory, interval_loss, number
from hpsearch.outcome import Outcome
from hpsearch.output.digits import digits
from hpsearch.results.pictures.drawing import WINNER, axis_limits, count_of, cut, legend, outcome_of, picture
from hpsearch.results.pictures.marks import MARKS

LOSS = "val/loss"  # names the panel of the losses


def trial_curves(history: History, trial_number: int) -> bytes | None:
    """Draws training and validation loss over tokens, the best evaluation and the overfitting after it.

    An objective other than val/loss has a second panel; where nothing reports a loss, it is the only one.
    """
    trial = history.trial(trial_number)
    if not trial.evaluations:
        return None
    shown = _panels(history.metric, trial)
    height = 6 if len(shown) > 1 else 4  # drawn for each trial: fixed margins halve the time
    inches = {"left": 0.75, "right": 6.9, "bottom": 0.5, "top": height - 0.45}
    margins = {side: place / (7 if side in ("left", "right") else height) for side, place in inches.items()}
    with picture(7, height, margins=margins) as drawn:
        axes = drawn.figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0].tolist()
        for axis, metric in zip(axes, shown, strict=True):
            if metric == LOSS:
                _losses(axis, trial)
            else:
                _line(axis, trial, metric, Outcome.COMPLETED.colour, metric)
        _mark_best(dict(zip(shown, axes, strict=True)), history, trial)
        for axis, metric in zip(axes, shown, strict=True):
            axis.set_ylabel("loss (nats per token)" if metric == LOSS else metric)
            axis.legend(loc="best")
        axes[-1].set_xlabel("tokens seen")
        axes[-1].xaxis.set_major_formatter(EngFormatter())
        for axis in axes:
            axis.locator_params(nbins=5)
        reason = f" ({trial.reason})" if trial.reason else ""
        axes[0].set_title(cut(f"{trial.name}: {outcome_of(trial)}{reason}", 88))
    return drawn.png


def _panels(objective: str, trial: TrialHistory) -> list[str]:
    """What the panels show: the losses where there are any, and the objective if it is another metric."""
    losses = [*trial.curve(LOSS)[1], *(loss for _, loss in trial.training_loss())]
    other = objective != LOSS and any(map(math.isfinite, trial.curve(objective)[1]))
    return [LOSS] * (not other or any(map(math.isfinite, losses))) + [objective] * other


def _losses(axis: Axes, trial: TrialHistory) -> None:
    training = [(x, y) for x, y in trial.training_loss() if math.isfinite(y)]
    if training:
        axis.plot(*zip(*training, strict=True), color="#c9d3de", lw=0.8, label="training loss of single steps")
    means = [(float(e.tokens), interval_loss(e.metrics)) for _, e in sorted(trial.evaluations.items())]
    if trial.training and any(math.isfinite(y) for _, y in means):  # of a mixed set single steps are of other sets
        axis.plot(*zip(*means, strict=True), color="#5f7183", lw=1.4, ls="--", label="training loss, mean")
    _line(axis, trial, "val/loss", Outcome.COMPLETED.colour, "validation loss")
    start = [y for _, y in training[:1]] + [y for y in trial.curve("val/loss")[1] if math.isfinite(y)][:1]
    branches = [number(end.metrics.get("val/loss")) for end in trial.branches.values()]
    shown = [y for _, y in training] + [y for y in [*trial.curve("val/loss")[1], *branches] if math.isfinite(y)]
    if shown:  # a loss that explodes must not flatten what came before
        low, high = min(shown), min(max(shown), 1.5 * max(start))
        margin = 0.06 * (high - low) or 0.05 * abs(high) or 1
        axis.set_ylim(low - margin, high + margin)


def _line(axis: Axes, trial: TrialHistory, metric: str, colour: str, label: str) -> None:
    x, y = trial.curve(metric, "tokens")  # where it was measured: a set may be decoded at some evaluations only
    marker = "o" if len(x) <= 60 else ""
    axis.plot(x, y, color=colour, lw=1.6, marker=marker, ms=3.5, label=label)
    finite = [value for value in y if math.isfinite(value)]
    broken = [place for place, value in zip(x, y, strict=True) if math.isnan(value)]
    if finite and broken:
        axis.plot(broken, [finite[-1]] * len(broken), "x", color=Outcome.DIVERGED.colour, mew=1.8, label="not a number")


def _mark_best(panels: Mapping[str, Axes], history: History, trial: TrialHistory) -> None:
    best = history.best_evaluation(trial.number)
    if best is None:
        return
    last = max(e.tokens for e in trial.evaluations.values())
    of_curve = history.best_evaluation(trial.number, until=max(trial.evaluations)) or best
    for metric, axis in panels.items():
        if trial.outcome is Outcome.OVERFIT:
            axis.axvspan(of_curve.tokens, last, color=Outcome.OVERFIT.colour, alpha=0.13, lw=0, label="overfitting")
            axis.axvline(of_curve.tokens, color=Outcome.OVERFIT.colour, lw=1, ls="--")
        value = number(best.metrics.get(metric))
        _line_of_branches(axis, trial, metric)
        if math.isfinite(value):
            label = f"best: {digits(value)}" + (f" at epoch {best.epoch:.3g}" if best.epoch else "")
            axis.plot([best.tokens], [value], "*", color=WINNER, ms=13, mec="white", label=label, zorder=5)


def _line_of_branches(axis: Axes, trial: TrialHistory, metric: str) -> None:
    """Draws each cool-down from where it left the curve to its end."""
    for index, end in trial.branches.items():
        left = trial.evaluations.get(index)
        if left is not None and metric in left.metrics and metric in end.metrics:
            values = [number(left.metrics[metric]), number(end.metrics[metric])]
            axis.plot([left.tokens, end.tokens], values, color=WINNER, lw=1.4, ls=":", label="cool-down", zorder=4)


def study_curves(history: History) -> bytes | None:
    """Draws each trial's objective over its progress, coloured by outcome, the best trial emphasised."""
    curves = {n: t.curve(history.metric) for n, t in history.trials.items()}
    curves = {n: curve for n, curve in curves.items() if any(map(math.isfinite, curve[1]))}
    if not curves:
        return None
    best = history.leader()
    with picture(7.5, 4.6) as drawn:
        axis = drawn.figure.subplots()
        alpha = max(0.25, min(0.8, 12 / len(curves)))
        for n, curve in curves.items():
            _trial_line(axis, curve, history.trials[n], alpha=None if best is not None and n == best.number else alpha)
        axis.set(xlabel="progress of each trial's own training", ylabel=history.metric, xlim=(0, 1.02))
        axis.set_ylim(*axis_limits([y for _, curve in curves.values() for y in curve], history.direction, spread=0.85))
        axis.set_title(f"{history.study}: {history.metric} of {count_of(len(curves), 'trial')}")
        legend(axis, [history.trials[n] for n in curves], best, lines=True)
    return drawn.png


def _trial_line(
    axis: Axes, curve: tuple[list[float], list[float]], trial: TrialHistory, *, alpha: float | None
) -> None:
    """Draws a trial by the marks of its outcome, with a marker at its end; without alpha as the best one."""
    (x, y), outcome = curve, outcome_of(trial)
    mark = MARKS[outcome]
    if alpha is None:
        axis.plot(x, y, color=WINNER, lw=2.6, zorder=4)
        axis.plot(x[-1:], y[-1:], "*", color=WINNER, ms=11, mec="white", zorder=5)
        return
    axis.plot(x, y, color=outcome.colour, lw=1.1, alpha=alpha, ls=mark.style, zorder=2)
    face = outcome.colour if mark.filled else "none"
    axis.plot(x[-1:], y[-1:], mark.marker, color=outcome.colour, mfc=face, ms=4.5, zorder=3)
