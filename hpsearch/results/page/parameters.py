"""The value over the hyperparameters: a chart for each, and parallel coordinates of all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count as count_up
from typing import Any

from hpsearch.journal.branch_labels import unfolded_space
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory, number
from hpsearch.results.page.charts import Chart, points
from hpsearch.results.page.figures import count, figure, label, shown, text
from hpsearch.results.pictures import Scale, score
from hpsearch.results.pictures.drawing import WINNER, axis_limits, shown_params, valued
from hpsearch.results.pictures.scale import log_ticks

MOST_SLICES = 16
ABSENT = object()
BETTER_IS_DARKER = [[0, "#0b3d7a"], [0.5, "#5f97cf"], [1, "#c4d2e0"]]  # on a dark page brighter: see page.js
BRUSH = (
    "Drag along an axis to select trials; the table below follows. Click the axis to release it. Values far worse than "
    "the rest lie at the end of the last axis."
)


def slices(history: History) -> list[Chart]:
    """The value over each hyperparameter."""
    trials = valued(history)
    limits = list(axis_limits([score(history, trial) for trial in trials], history.direction))
    return [
        _slice(history, column, f"slice-{i}", trials, limits)
        for i, column in enumerate(_columns(history, trials)[:MOST_SLICES])
    ]


@dataclass(frozen=True)
class Column:
    """A hyperparameter: the range that was searched, and its value in each of some trials."""

    name: str
    range: dict[str, Any]
    values: Sequence[Any]  # ABSENT in a trial that does not have it

    @property
    def there(self) -> list[Any]:
        """The values of the trials that have it."""
        return [value for value in self.values if value is not ABSENT]


def _columns(history: History, trials: list[TrialHistory]) -> list[Column]:
    """The hyperparameters that differ between trials."""
    space, read = unfolded_space(history.space), [trial.read_params for trial in trials]
    names = shown_params(history, trials)
    found = [Column(name, space.get(name, {}), [params.get(name, ABSENT) for params in read]) for name in names]
    return [column for column in found if len(set(map(str, column.there))) > 1]


def _slice(history: History, column: Column, id_: str, trials: Sequence[TrialHistory], limits: list[float]) -> Chart:
    there = [trial for trial, value in zip(trials, column.values, strict=True) if value is not ABSENT]
    name, scale = column.name, Scale(column.range, column.there)
    x = list(map(scale.place, column.there))
    data = list(points(there, x, [score(history, trial) for trial in there]))
    best = history.leader()
    if best is not None and best.number in {trial.number for trial in there} and math.isfinite(number(best.value)):
        ring = {"color": WINNER, "symbol": "star", "size": 14, "line": {"color": "#ffffff", "width": 1}}
        at = scale.place(best.read_params[name])
        data.append(
            {"type": "scatter", "mode": "markers", "name": "winner", "x": [at], "y": [number(best.value)],
             "customdata": [best.number], "marker": ring}
        )  # fmt: skip
    layout = {
        "xaxis": {"title": {"text": label(name, 30)}, **_axis(scale)},
        "yaxis": {"title": {"text": label(history.metric)}, "range": limits},
    }
    alt = f"{text(history.metric)} of {count(len(there), 'trial')} over {text(name)}."
    return Chart(id_, "", alt, data, layout, 260)


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
    """At most six whole numbers of a range: the multiples of 1, 2, 5, 10, 20, ..."""
    low, high = math.ceil(scale.low), math.floor(scale.high)
    steps = (step * 10**power for power in count_up() for step in (1, 2, 5))
    step = next(step for step in steps if high // step - (low - 1) // step <= 6)
    return list(range(-(-low // step) * step, high + 1, step))


def _log_ticks(scale: Scale) -> dict[str, Any]:
    """Labelled ticks of a logarithmic axis."""
    found = log_ticks(scale.low, scale.high)
    return {"tickvals": found, "ticktext": [figure(value, 3) for value in found]}


def parallel(history: History) -> Chart | None:
    """All hyperparameters and the value, a line for each trial, to be brushed."""
    trials = sorted(valued(history), key=lambda trial: score(history, trial), reverse=history.direction == "minimize")
    columns = _columns(history, trials)
    if len(trials) < 2 or not columns:
        return None
    values = [score(history, trial) for trial in trials]
    limits = axis_limits(values, history.direction)
    clipped = [min(max(value, limits[0]), limits[1]) for value in values]
    dimensions = list(map(_dimension, columns))
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
    alt = f"{count(len(trials), 'trial')} across {count(len(columns), 'hyperparameter')} to {text(history.metric)}."
    layout = {"margin": {"l": 60, "r": 70, "t": 70, "b": 30}}
    return Chart("parallel", "All hyperparameters together", alt, data, layout, 420, BRUSH)


def _dimension(column: Column) -> dict[str, Any]:
    scale = Scale(column.range, column.there)
    low, high = _coordinate(scale, scale.low), _coordinate(scale, scale.high)
    absent = low - 0.08 * ((high - low) or 1)  # of a trial that has no such hyperparameter
    values = [absent if value is ABSENT else _coordinate(scale, scale.place(value)) for value in column.values]
    found = {"label": label(column.name, 20), "values": values, "range": [min(low, *values), max(high, *values)]}
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
