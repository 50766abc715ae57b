"""The value over the hyperparameters: a chart for each, and parallel coordinates of all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory, number
from hpsearch.results.page.charts import Chart, points
from hpsearch.results.page.figures import count, figure, label, shown, text
from hpsearch.results.pictures import Scale, score
from hpsearch.results.pictures.drawing import WINNER, axis_limits, shown_params, valued
from hpsearch.results.pictures.scale import log_ticks

MOST_SLICES = 16
BETTER_IS_DARKER = [[0, "#0b3d7a"], [0.5, "#5f97cf"], [1, "#c4d2e0"]]  # on a dark page brighter: see page.js
BRUSH = (
    "Drag along an axis to select trials; the table below follows. Click the axis to release it. Values far worse than "
    "the rest lie at the end of the last axis."
)


def slices(history: History) -> list[Chart]:
    """The value over each hyperparameter."""
    trials = valued(history)
    values = [score(history, trial) for trial in trials]
    limits = list(axis_limits(values, history.direction))
    names = [name for name in shown_params(history, trials) if _varies(name, trials)][:MOST_SLICES]
    return [_slice(history, name, i, trials, values, limits) for i, name in enumerate(names)]


def _varies(name: str, trials: Sequence[TrialHistory]) -> bool:
    return len({str(trial.params.get(name)) for trial in trials}) > 1


def _slice(
    history: History, name: str, i: int, trials: Sequence[TrialHistory], values: Sequence[float], limits: list[float]
) -> Chart:
    chosen = [i for i, trial in enumerate(trials) if name in trial.params]
    there = [trials[i] for i in chosen]
    scale = Scale(history.space.get(name, {}), [trial.trained_params[name] for trial in there])
    x = [scale.place(trial.trained_params[name]) for trial in there]
    data = list(points(there, x, [values[i] for i in chosen]))
    best = history.leader()
    if best is not None and best.number in {trial.number for trial in there} and math.isfinite(number(best.value)):
        ring = {"color": WINNER, "symbol": "star", "size": 14, "line": {"color": "#ffffff", "width": 1}}
        at = scale.place(best.trained_params[name])
        data.append(
            {"type": "scatter", "mode": "markers", "name": "winner", "x": [at], "y": [number(best.value)],
             "customdata": [best.number], "marker": ring}
        )  # fmt: skip
    layout = {
        "xaxis": {"title": {"text": label(name, 30)}, **_axis(scale)},
        "yaxis": {"title": {"text": label(history.metric)}, "range": limits},
    }
    alt = f"{text(history.metric)} of {count(len(there), 'trial')} over {text(name)}."
    return Chart(f"slice-{i}", "", alt, data, layout, 260)


def _axis(scale: Scale) -> dict[str, Any]:
    """The axis of a hyperparameter."""
    if scale.choices is not None:
        labels = [label(shown(choice), 16) for choice in scale.choices]
        return {"tickvals": list(range(len(labels))), "ticktext": labels, "range": [-0.5, len(labels) - 0.5]}
    if scale.log:
        low, high = math.log10(scale.low), math.log10(scale.high)
        margin = 0.05 * (high - low) or 0.1
        return {"type": "log", "range": [low - margin, high + margin], **_log_ticks(scale)}
    margin = 0.05 * (scale.high - scale.low) or 0.5
    found: dict[str, Any] = {"range": [scale.low - margin, scale.high + margin], "nticks": 6}
    return {**found, "tickvals": _whole_ticks(scale)} if scale.whole else found


def _whole_ticks(scale: Scale) -> list[int]:
    """At most six whole numbers of a range."""
    low, high = math.ceil(scale.low), math.floor(scale.high)
    return list(range(low, high + 1, math.ceil((high - low + 1) / 6)))


def _log_ticks(scale: Scale) -> dict[str, Any]:
    """Labelled ticks of a logarithmic axis."""
    found = log_ticks(scale.low, scale.high)
    return {"tickvals": found, "ticktext": [figure(value, 3) for value in found]}


def parallel(history: History) -> Chart | None:
    """All hyperparameters and the value, a line for each trial, to be brushed."""
    trials = sorted(valued(history), key=lambda trial: score(history, trial), reverse=history.direction == "minimize")
    names = [name for name in shown_params(history, trials) if _varies(name, trials)]
    if len(trials) < 2 or not names:
        return None
    values = [score(history, trial) for trial in trials]
    limits = axis_limits(values, history.direction)
    clipped = [min(max(value, limits[0]), limits[1]) for value in values]
    dimensions = [_dimension(history, name, trials) for name in names]
    dimensions.append(
        {"label": label(history.metric, 20), "values": clipped, "range": list(limits), "tickformat": ".4~g"}
    )
    line = {"color": clipped, "colorscale": BETTER_IS_DARKER, "reversescale": history.direction == "maximize"}
    bar = {"thickness": 10, "title": {"text": label(history.metric, 20), "side": "right"}, "tickformat": ".3~g"}
    data = [
        {
            "type": "parcoords", "dimensions": dimensions, "line": {**line, "showscale": True, "colorbar": bar},
            "customdata": [trial.number for trial in trials], "labelangle": -20, "labelside": "top",
        }
    ]  # fmt: skip
    alt = f"{count(len(trials), 'trial')} across {count(len(names), 'hyperparameter')} to {text(history.metric)}."
    layout = {"margin": {"l": 60, "r": 70, "t": 70, "b": 30}}
    return Chart("parallel", "All hyperparameters together", alt, data, layout, 420, BRUSH)


def _dimension(history: History, name: str, trials: Sequence[TrialHistory]) -> dict[str, Any]:
    there = [trial.trained_params[name] for trial in trials if name in trial.params]
    scale = Scale(history.space.get(name, {}), there)
    low, high = _coordinate(scale, scale.low), _coordinate(scale, scale.high)
    absent = low - 0.08 * ((high - low) or 1)  # of a trial that has no such hyperparameter
    values = [
        _coordinate(scale, scale.place(trial.trained_params[name])) if name in trial.params else absent
        for trial in trials
    ]
    found = {"label": label(name, 20), "values": values, "range": [min(low, *values), max(high, *values)]}
    if scale.choices is not None:
        return {
            **found,
            "tickvals": list(range(len(scale.choices))),
            "ticktext": [label(shown(c), 16) for c in scale.choices],
        }
    if scale.log:
        ticks = _log_ticks(scale)
        return {**found, "tickvals": [math.log10(value) for value in ticks["tickvals"]], "ticktext": ticks["ticktext"]}
    return {**found, "tickvals": _whole_ticks(scale)} if scale.whole else found


def _coordinate(scale: Scale, place: float) -> float:
    return math.log10(place) if scale.log else place
