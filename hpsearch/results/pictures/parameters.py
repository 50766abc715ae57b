"""Values over parameters: one panel per parameter, and parallel coordinates."""

from __future__ import annotations

import math

from matplotlib.axes import Axes

from hpsearch.journal.branch_labels import unfolded_space
from hpsearch.journal.history import History
from hpsearch.results.pictures.drawing import (
    WINNER,
    axis_limits,
    count_of,
    legend_handles,
    picture,
    scatter,
    score,
    shown_params,
    valued,
)
from hpsearch.results.pictures.scale import Scale


def slices(history: History) -> bytes | None:
    """Draws the value over each parameter, a panel each, on a log scale if the range is logarithmic."""
    trials = valued(history)
    names = shown_params(history, trials)
    if not names:
        return None
    space, read = unfolded_space(history.space), [trial.read_params for trial in trials]
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    values = [score(history, trial) for trial in trials]
    with picture(max(4.5, 2.6 * columns), 2.5 * rows + 0.7) as drawn:
        panels = drawn.figure.subplots(rows, columns, sharey=True, squeeze=False)
        for axis, name in zip(panels.flat, names, strict=False):
            chosen = [i for i, params in enumerate(read) if name in params]
            scale = Scale(space.get(name, {}), [read[i][name] for i in chosen])
            x = [scale.place(read[i][name]) for i in chosen]
            scatter(axis, x, [values[i] for i in chosen], [trials[i] for i in chosen])
            scale.apply(axis)
            axis.set_xlabel(name)
        for axis in panels.flat[len(names) :]:
            axis.set_visible(False)
        for axis in panels[:, 0]:
            axis.set_ylabel(history.metric)
        panels[0, 0].set_ylim(*axis_limits(values, history.direction))
        handles = legend_handles(trials, None)
        drawn.figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
        panels[0, 0].set_title(f"{history.study}: {history.metric} over each hyperparameter")
    return drawn.png


def parallel_coordinates(history: History) -> bytes | None:
    """Draws a line per trial across its parameters to its value; better trials are darker, the best is green."""
    trials = sorted(valued(history), key=lambda t: score(history, t), reverse=history.direction == "minimize")
    names = shown_params(history, trials)
    if not names:
        return None
    values = [score(history, trial) for trial in trials]
    limits = axis_limits(values, history.direction)
    space, read = unfolded_space(history.space), [trial.read_params for trial in trials]
    scales = [Scale(space.get(n, {}), [params[n] for params in read if n in params]) for n in names]
    best = history.leader()
    with picture(max(5.0, 1.35 * (len(names) + 1) + 0.8), 4.6) as drawn:
        axis = drawn.figure.subplots()
        for rank, (trial, params, value) in enumerate(zip(trials, read, values, strict=True)):
            places = zip(names, scales, strict=True)
            y = [scale.share(params[n]) if n in params else math.nan for n, scale in places]
            y.append(min(1.04, max(-0.04, (value - limits[0]) / (limits[1] - limits[0]))))
            won, good = best is not None and trial.number == best.number, (rank + 1) / len(trials)
            colour = WINNER if won else (0.78 - 0.62 * good, 0.83 - 0.43 * good, 0.88 - 0.2 * good)
            axis.plot(range(len(y)), y, color=colour, lw=2.8 if won else 1.2, alpha=1 if won else 0.35 + 0.5 * good)
        _vertical_scales(axis, names, scales, (history.metric, limits))
        axis.set_title(f"{history.study}: {count_of(len(trials), 'trial')} (darker: better; green: the best)")
    return drawn.png


def _vertical_scales(axis: Axes, names: list[str], scales: list[Scale], last: tuple[str, tuple[float, float]]) -> None:
    axis.grid(False)
    for x in range(len(names) + 1):
        axis.axvline(x, color="#8a8f98", lw=0.8, zorder=0)
    for x, scale in enumerate(scales):
        for share, label in scale.marks():
            _mark(axis, x, share, label)
    for share in (0, 0.5, 1):
        _mark(axis, len(names), share, f"{last[1][0] + share * (last[1][1] - last[1][0]):.4g}")
    axis.set_xticks(range(len(names) + 1), [*names, last[0]], rotation=20, ha="right")
    axis.set(yticks=[], xlim=(-0.15, len(names) + 0.45), ylim=(-0.06, 1.06))
    axis.spines[["left", "bottom"]].set_visible(False)


def _mark(axis: Axes, x: float, share: float, label: str) -> None:
    box = {"boxstyle": "round,pad=0.12", "fc": "white", "ec": "none", "alpha": 0.8}
    axis.text(x + 0.04, share, label, fontsize=7, color="#3c4148", va="center", bbox=box, zorder=6)
