"""All charts but the curves, as JSON of plotly's schema."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory, number
from hpsearch.outcome import Outcome
from hpsearch.results.page.figures import count, duration, label, measured, text
from hpsearch.results.page.samples import Sample
from hpsearch.results.pictures import Importances, score
from hpsearch.results.pictures.drawing import SHOWN, WINNER, axis_limits, outcome_of
from hpsearch.results.pictures.marks import MARKS
from hpsearch.results.pictures.values import f1_of_each

MOST_BARS = 16
SEARCHED_AGAIN = "fresh seeds and audits"
MOST_COUNTS = 25  # labels of a confusion matrix with its counts in it


@dataclass(frozen=True)
class Chart:
    """A chart: plotly's data and layout, and what it shows for those who cannot see it."""

    id: str
    title: str
    alt: str
    data: list[dict[str, Any]]
    layout: dict[str, Any]
    height: int = 380
    note: str = ""
    width: int = 0  # pixels that it needs; a narrow page scrolls it sideways

    @property
    def figure(self) -> dict[str, Any]:
        """What plotly draws."""
        return {"data": self.data, "layout": {**self.layout, "height": self.height, "showlegend": False}}


def optimisation(history: History) -> Chart | None:
    """The value of each trial in the order of the search, the best one so far, the default config's."""
    trials = [history.trials[n] for n in sorted(history.finished)]
    values = [score(history, trial) for trial in trials]
    if not any(map(math.isfinite, values)):
        return None
    hours = [max(0.0, trial.last - history.created) / 3600 for trial in trials]
    data = [*points(trials, [t.number for t in trials], values, meta=hours)]
    data += [*_best_so_far(history, trials, hours), *_default_line(history, trials, hours)]
    layout = {
        "xaxis": {"title": {"text": "trial"}, "tick0": 0, "dtick": tick_step(trials[-1].number)},
        "yaxis": {"title": {"text": label(history.metric)}, "range": list(axis_limits(values, history.direction))},
    }
    ended = f"{count(len(trials), 'trial')} that have ended"
    best = f"; the best value so far is {measured(history.leader().value)}" if history.leader() else ""  # type: ignore[union-attr]
    return Chart("history", "The search over time", f"{text(history.metric)} of {ended}{best}.", data, layout)


def tick_step(last: int) -> int:
    """The distance between the ticks of trial numbers: a whole number, for at most ten ticks or so."""
    step = 1
    while 10 * step < last:  # 1, 2, 5, 10, 20, 50, ...
        step = step * 5 // 2 if str(step).startswith("2") else 2 * step
    return step


def _best_so_far(history: History, trials: Sequence[TrialHistory], hours: Sequence[float]) -> Iterator[dict[str, Any]]:
    x: list[int] = []
    y: list[float] = []
    at: list[float] = []
    for trial, hour in sorted(zip(trials, hours, strict=True), key=lambda pair: pair[1]):
        value = number(trial.value)
        if trial.counts and math.isfinite(value) and (not y or history.better(value, y[-1])):
            x.append(trial.number)
            y.append(value)
            at.append(hour)
    if y:
        line = {"color": WINNER, "width": 2, "shape": "hv"}
        order = sorted(range(len(x)), key=x.__getitem__)
        yield {
            "type": "scatter", "mode": "lines", "name": "best so far", "line": line, "hoverinfo": "skip",
            "x": [*(x[i] for i in order), trials[-1].number], "y": [*_running(history, [y[i] for i in order]), y[-1]],
            "meta": [[*at, max(hours)], [*y, y[-1]]],
        }  # fmt: skip


def _running(history: History, values: Sequence[float]) -> list[float]:
    """The best of the values so far."""
    found: list[float] = []
    for value in values:
        found.append(value if not found or history.better(value, found[-1]) else found[-1])
    return found


def _default_line(history: History, trials: Sequence[TrialHistory], hours: Sequence[float]) -> Iterator[dict[str, Any]]:
    default = history.default()
    place = None if default is None else history.best_place(default.number)
    if default is not None and place is not None and math.isfinite(place.value):
        open_ = "" if default.is_whole else f" ({default.ending or default.status})"
        name = f"default config: {measured(place.value)}{open_}"
        yield {
            "type": "scatter", "mode": "lines", "name": name, "x": [0, trials[-1].number], "y": [place.value] * 2,
            "line": {"color": "#8a8f98", "width": 1.5, "dash": "dash"}, "meta": [[0, max(hours)], [place.value] * 2],
            "hovertemplate": f"{name}<extra></extra>",
        }  # fmt: skip


def points(
    trials: Sequence[TrialHistory], x: Sequence[Any], y: Sequence[float], *, meta: Sequence[float] = ()
) -> Iterator[dict[str, Any]]:
    """A trace of markers for each outcome; customdata: the trials' numbers, by which the page finds their texts."""
    for outcome in SHOWN:
        chosen = [i for i, trial in enumerate(trials) if outcome_of(trial) is outcome and math.isfinite(y[i])]
        if chosen:
            trace = {
                "type": "scatter", "mode": "markers", "name": str(outcome).replace("_", " "),
                "x": [x[i] for i in chosen], "y": [float(f"{y[i]:.6g}") for i in chosen],
                "customdata": [trials[i].number for i in chosen], "marker": marker(outcome),
            }  # fmt: skip
            yield {**trace, "meta": [[meta[i] for i in chosen], trace["y"]]} if meta else trace


def marker(outcome: Outcome) -> dict[str, Any]:
    """The marker of an outcome."""
    return {
        "color": outcome.colour,
        "symbol": MARKS[outcome].symbol,
        "size": 8,
        "line": {"width": 1.5, "color": outcome.colour},
    }


def importances(found: Importances | None) -> Chart | None:
    """The share of each hyperparameter in the differences between trials."""
    if found is None:
        return None
    ordered = sorted(found.shares.items(), key=lambda item: item[1])[-MOST_BARS:]
    names, shares = [label(name, 24) for name, _ in ordered], [share for _, share in ordered]
    data = [
        {
            "type": "bar", "orientation": "h", "x": shares, "y": names, "marker": {"color": Outcome.COMPLETED.colour},
            "text": [f"{share:.0%}" for share in shares], "textposition": "outside", "cliponaxis": False,
            "hovertemplate": "%{y}: %{x:.1%}<extra></extra>",
        }
    ]  # fmt: skip
    layout = {
        "xaxis": {"tickformat": ".0%", "range": [0, 1.15 * max(*shares, 0.01)]},
        "yaxis": {"automargin": True, "type": "category"},
    }
    alt = "; ".join(f"{text(name)} {share:.0%}" for name, share in reversed(ordered))
    note = f"fANOVA of {found.basis}. {found.caution and found.caution.capitalize() + '.'}".strip()
    return Chart("importances", "Which hyperparameters matter", alt, data, layout, 110 + 30 * len(ordered), note)


def spending(history: History) -> Chart | None:
    """The time of devices by the outcome of the trials that it went to."""
    seconds: dict[tuple[str, str], float] = defaultdict(float)
    for trial in history.everything.values():
        spent = trial.seconds_so_far(history.last)
        if trial.confirms is not None:
            seconds[SEARCHED_AGAIN, WINNER] += spent
        else:
            outcome = outcome_of(trial) if not trial.running else Outcome.RUNNING
            seconds[str(outcome).replace("_", " "), outcome.colour] += spent
    ordered = sorted(((key, value) for key, value in seconds.items() if value > 0), key=lambda item: item[1])
    total = sum(value for _, value in ordered)
    if not total:
        return None
    texts = [f"{duration(value)}, {value / total:.0%}" for _, value in ordered]
    names, minutes = [name for (name, _), _ in ordered], [value / 60 for _, value in ordered]
    labels = [f"{name}<br>{said}" for name, said in zip(names, texts, strict=True)]
    colours = [colour for (_, colour), _ in ordered]
    data = [
        {
            "type": "bar", "orientation": "h", "x": minutes, "y": labels, "marker": {"color": colours},
            "hovertemplate": "%{y}<extra></extra>",
        }
    ]  # fmt: skip
    layout = {
        "xaxis": {"title": {"text": "minutes of training"}, "rangemode": "tozero"},
        "yaxis": {"automargin": True, "type": "category"},
    }
    alt = "; ".join(f"{name} {said}" for name, said in zip(reversed(names), reversed(texts), strict=True))
    return Chart("spending", "Where the budget went", alt, data, layout, 110 + 46 * len(names), _shared(history, total))


def _shared(history: History, total: float) -> str:
    """Says so if trials shared devices, or these were held for longer than trials trained."""
    held = history.device_seconds
    if total <= 1.1 * held or held <= 0:
        return ""
    return f"Trials shared devices: together they trained {duration(total)}, in {duration(held)} of device time."


def confusion(sample: Sample, index: int) -> Chart:
    """A confusion matrix: rows are true labels, shaded by the share of their row."""
    counts, n = sample.confusion, len(sample.labels)
    names = [label(name, 28) for name in sample.labels]
    shares = [[cell / max(1, sum(row)) for cell in row] for row in counts]
    cells = [(i, j) for i in range(n) for j in range(n)]
    texts = [[f"{counts[i][j]} times: true {names[i]}, predicted {names[j]}" for j in range(n)] for i in range(n)]
    scored = [f"{name}  F1 {f1}" for name, f1 in zip(names, f1_of_each(counts), strict=True)]
    places = list(range(n))
    trace = {
        "type": "heatmap", "z": shares, "x": places, "y": places, "zmin": 0, "zmax": 1, "text": texts,
        "colorscale": [[0, "rgba(47,109,179,0.05)"], [1, "rgba(47,109,179,1)"]], "showscale": False,
        "xgap": 1, "ygap": 1, "hovertemplate": "%{text}<extra></extra>",
    }  # fmt: skip
    layout = {
        "xaxis": {**_labels("predicted", places, names), "tickangle": -40},
        "yaxis": {**_labels("true", places, scored), "autorange": "reversed"},
        "annotations": [
            _count(i, j, counts[i][j], shares[i][j]) for i, j in cells if n <= MOST_COUNTS and counts[i][j]
        ],
    }
    right, total = sum(counts[i][i] for i in range(n)), sum(map(sum, counts))
    alt = f"Confusion matrix of {text(sample.name)}: {right} of {total} right."
    return Chart(f"confusion-{index}", "", alt, [trace], layout, min(1100, 220 + 26 * n), alt, 240 + 30 * n)


def _labels(title: str, places: list[int], names: list[str]) -> dict[str, Any]:
    return {"title": {"text": title, "standoff": 10}, "tickvals": places, "ticktext": names, "automargin": True}


def _count(i: int, j: int, cell: int, share: float) -> dict[str, Any]:
    colour = "#ffffff" if share > 0.55 else "#3c4148"
    return {"x": j, "y": i, "text": str(cell), "showarrow": False, "font": {"size": 11, "color": colour}}
