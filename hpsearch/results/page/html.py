"""The page: a template filled with a study's parts."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from hpsearch.journal.history import History
from hpsearch.outcome import Outcome
from hpsearch.results.page import charts, curves, parameters, reproduce, samples, trials, winner, words
from hpsearch.results.page.bundle import packed_json, plotly_js
from hpsearch.results.page.charts import Chart
from hpsearch.results.page.figures import NONE, count, duration, figure, text
from hpsearch.results.pictures import Importances, importances_of
from hpsearch.results.pictures.drawing import SHOWN, WINNER
from hpsearch.results.pictures.marks import MARKS

DARK = {  # the same colours on a dark page, where they are not light enough
    WINNER: "#3fbf77",
    Outcome.COMPLETED.colour: "#6aa5e3",
    Outcome.PRUNED.colour: "#8b95a1",
    Outcome.DIVERGED.colour: "#f0716a",
    Outcome.OUT_OF_MEMORY.colour: "#b58ad6",
    Outcome.FAILED.colour: "#c39a86",
    "#3c4148": "#d5dade",  # counts in a confusion matrix
}
GLYPHS = {
    Outcome.COMPLETED: "●", Outcome.OVERFIT: "◆", Outcome.SHORT: "■", Outcome.PRUNED: "○", Outcome.DIVERGED: "✕",
    Outcome.OUT_OF_MEMORY: "△", Outcome.FAILED: "+", Outcome.RUNNING: "▶", Outcome.PAUSED: "□",
    Outcome.INTERRUPTED: "▽",
}  # fmt: skip


def page(history: History, folder: Path, *, running: bool = False, option: str = "", refresh: int | None = None) -> str:
    """The html of a study's report; `folder`: the study's, for samples and best.yaml.

    running: whether a driver searches it now. option: how a command finds the home. refresh: seconds after which a
    browser reads the page again while the study runs.
    """
    best, names = history.leader(), trials.columns(history)
    values = [] if best is None else winner.values(history, best)
    found = samples.samples(history, folder)
    drawn = list(_charts(history, found))
    return _template().render(
        name=text(history.study),
        metric=text(history.metric),
        state=words.state(history, running=running),
        running=running,
        refresh=refresh if running else None,
        written=time.strftime("%Y-%m-%d %H:%M %Z"),
        cards=words.cards(history, running=running),
        searched=words.searched(history),
        found=words.found(history),
        certainty=words.certainty(history),
        warnings=words.warnings(history),
        lessons=words.good_values(history),
        winner=best,
        values=values,
        has_good=any(one.good != NONE for one in values),
        has_notes=any(one.note for one in values),
        fresh=winner.fresh_seeds(history),
        baselines=winner.baselines(history),
        metrics=[] if best is None else winner.metrics(history, best),
        outcomes=_outcomes(history),
        charts={chart.id: chart for chart in drawn},
        slices=[chart for chart in drawn if chart.id.startswith("slice-")],
        has_curves=any(trial.evaluations for trial in history.everything.values()),
        columns=[text(name) for name in names],
        rows=trials.rows(history, names),
        samples=found,
        first=samples.FIRST,
        again=reproduce.reproduction(history, folder, option=option),
        style=Markup(_asset("page.css")),
        script=Markup(_asset("page.js")),
        plotly=Markup(plotly_js()),
        data=Markup(packed_json(_data(history, drawn))),
    )


def _charts(history: History, found: Iterable[samples.Sample]) -> Iterable[Chart]:
    single = (
        charts.optimisation(history),
        charts.importances(_importances(history)),
        parameters.parallel(history),
        charts.spending(history),
    )
    yield from (chart for chart in single if chart is not None)
    yield from parameters.slices(history)
    yield from (charts.confusion(one, i) for i, one in enumerate(found) if one.labels)


_LATEST: dict[Any, Importances | None] = {}  # importances of the study drawn last: they take half of a redraw


def _importances(history: History) -> Importances | None:
    """The importances; computed anew when a trial has ended or was paused since."""
    paused = sum(trial.paused for trial in history.trials.values())
    key = history.study, history.created, tuple(history.finished), paused
    if key not in _LATEST:
        _LATEST.clear()
        _LATEST[key] = importances_of(history)
    return _LATEST[key]


def _data(history: History, drawn: Iterable[Chart]) -> dict[str, Any]:
    """What page.js draws."""
    return {
        "curves": curves.curves(history),
        "charts": {chart.id: chart.figure for chart in drawn},
        "hovers": {n: trials.hover(history, trial) for n, trial in history.everything.items()},
        "marks": {
            str(outcome): {"colour": outcome.colour, "symbol": mark.symbol, "dash": mark.dash}
            for outcome, mark in MARKS.items()
        },
        "dark": DARK,
        "winner": WINNER,
    }


def _outcomes(history: History) -> list[dict[str, Any]]:
    """The key of the charts: each outcome that the study has."""
    counts = Counter(trial.status for trial in history.trials.values())
    order = [*SHOWN, Outcome.RUNNING]
    return [
        {
            "id": str(outcome), "name": _name(outcome, history), "n": counts[outcome], "glyph": GLYPHS[outcome],
            "colour": outcome.colour, "dark": DARK.get(outcome.colour, outcome.colour), "means": words.MEANING[outcome],
        }
        for outcome in order
        if counts[outcome]
    ]  # fmt: skip


def _name(outcome: Outcome, history: History) -> str:
    is_cut = outcome is Outcome.COMPLETED and any(trial.cut is not None for trial in history.trials.values())
    return str(outcome).replace("_", " ") + (" or cut" if is_cut else "")


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"figure": figure, "duration": duration}
    environment.globals |= {"count": count}
    return environment.from_string(_asset("page.html"))


@cache
def _asset(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
