"""The value of each trial in the order of the search, and a confusion matrix."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory, number
from hpsearch.results.pictures.drawing import WINNER, axis_limits, cut, legend, outcome_of, picture, scatter, score


def optimisation_history(history: History) -> bytes | None:
    """Draws each ended trial's value, filled if it counts, and the best value so far."""
    trials = [history.trials[n] for n in sorted(history.finished)]
    if not trials:
        return None
    values = [score(history, trial) for trial in trials]
    with picture(7.5, 4.2) as drawn:
        axis = drawn.figure.subplots()
        scatter(axis, [t.number for t in trials], values, trials)
        _best_line(axis, history, trials)
        low, high = axis_limits(values, history.direction)
        axis.set_ylim(low, high)
        lost = [(t.number, outcome_of(t).colour) for t, value in zip(trials, values, strict=True) if math.isnan(value)]
        edge = high if history.direction == "minimize" else low
        for x, colour in lost:
            axis.plot([x], [edge], "x", color=colour, ms=6, mew=1.6, clip_on=False)
        axis.set(xlabel="trial", ylabel=history.metric, xlim=(-0.6, max(t.number for t in trials) + 0.6))
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axis.set_title(f"{history.study}: value of each trial (hollow: stopped early)")
        legend(axis, trials, history.best(), best_label="best so far")
    return drawn.png


def _best_line(axis: Axes, history: History, trials: list[TrialHistory]) -> None:
    steps: list[tuple[int, float]] = []
    for trial in trials:
        if trial.counts and math.isfinite(number(trial.value)):
            value = number(trial.value)
            steps.append((trial.number, value if not steps or history.better(value, steps[-1][1]) else steps[-1][1]))
    if steps:
        steps.append((trials[-1].number, steps[-1][1]))
        axis.step(*zip(*steps, strict=True), where="post", color=WINNER, lw=1.6, zorder=1)


def confusion(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> bytes | None:
    """Draws a confusion matrix: rows are true labels with their F1, columns predictions, shaded by share of the row."""
    if not labels:
        return None
    n, names = len(labels), [cut(label, 24) for label in labels]
    size = min(14.0, max(3.6, 2.2 + 0.36 * n))
    with picture(size + 0.6, size) as drawn:
        axis = drawn.figure.subplots()
        shares = [[count / max(1, sum(row)) for count in row] for row in counts]
        image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="equal")
        bar = drawn.figure.colorbar(image, ax=axis, shrink=0.75, format=PercentFormatter(1))
        bar.set_label("share of the true label")
        small = 8 if n <= 25 else 6.5
        each = -(-n // 40)  # of more than 40 labels only some are named
        slant: dict[str, Any] = {"rotation": 45, "ha": "right"} if n > 3 else {}
        axis.set_xticks(range(0, n, each), names[::each], fontsize=small, **slant)
        scored = [f"{name}  {f1}" for name, f1 in zip(names, f1_of_each(counts), strict=True)]
        axis.set_yticks(range(0, n, each), scored[::each], fontsize=small)
        axis.set(xlabel="predicted", ylabel="true, with the F1 of each label")
        axis.grid(False)
        for i, row in enumerate(counts) if n <= 25 else ():
            for j, count in enumerate(row):
                colour = "white" if shares[i][j] > 0.55 else "#3c4148"
                axis.text(j, i, str(count), ha="center", va="center", fontsize=7, color=colour) if count else None
    return drawn.png


def f1_of_each(counts: Sequence[Sequence[int]]) -> list[str]:
    """Returns the F1 of each label of a confusion matrix, formatted; "-" for a label missing in the split."""
    predicted = [sum(column) for column in zip(*counts, strict=True)]
    pairs = zip(counts, predicted, strict=True)
    return [f"{2 * row[i] / (sum(row) + n):.2f}" if sum(row) else "-" for i, (row, n) in enumerate(pairs)]
