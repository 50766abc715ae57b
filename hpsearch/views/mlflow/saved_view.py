"""The view with which MLflow's page of a study opens: a table of the trials, best first, and charts in an order.

MLflow keeps views that people save as tags of the experiment, and opens the one that a link names:
`#/experiments/ID/runs?viewStateShareKey=hpsearch`. The format is not documented; it was read in the pages of MLflow
3.11, 3.14 and 3.17 and tried there. Up to 3.14 the tag's value is the state itself, in 3.17 an envelope around it: what
is written here is both. A page that knows neither ignores the tag and the link's key.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

KEY = "hpsearch"
TRAINING = "workflowType=machine_learning"  # the mode "Model training", not "GenAI"
ROOT = f"/#/experiments?{TRAINING}"  # the list of experiments
TAG = f"mlflow.sharedViewState.{KEY}"
NAME = "hpsearch: trials, best first"
FILTER = "tags.`hpsearch.kind` = 'trial'"  # without the study's own run, repeats, audits and final trainings
RANK, OUTCOME, WINNER, LABEL = (f"tags.`{name}`" for name in ("rank", "outcome", "hpsearch.winner", "label"))
MOST_COLUMNS = 6  # of metrics, beside the objective
MOST_CHARTS = 12  # in a section
OLD_COLUMNS = 12  # for MLflow before 3.17
LARGEST = 5000  # characters of an experiment's tag
RUNS = 20  # whose curves the charts show: the best ones
NARROWEST, LETTER, MARGIN = 64, 7, 24  # pixels: of a column, of a letter, beside them
WIDEST_VALUE = {OUTCOME: 13, RANK: 4}  # letters; of other columns DIGITS
DIGITS = 9
SECTIONS = {  # of charts -> how many stand side by side, and their height in pixels
    "The objective": {"columns": 2, "cardHeight": 420},
    "Losses": {"columns": 3, "cardHeight": 360},
    "Scores": {"columns": 3, "cardHeight": 360},
    "Training": {"columns": 3, "cardHeight": 360},
}


@dataclass(frozen=True)
class Shown:
    """What a study has to show."""

    objective: str
    minimize: bool
    by_rank: bool  # trials have the tag `rank`; else the objective's best value orders them
    params: Sequence[str]  # the searched ones
    scores: Sequence[str]  # metrics of evaluations that are shown in the table and as charts, the important ones first
    losses: Sequence[str]
    training: Sequence[str] = ()  # curves over tokens that are neither
    columns: Sequence[str] = ()  # metrics with a single value for each trial, the important ones first
    before: int = 2  # how many of them stand before the params, the others after


def link(experiment: str, *, charts: bool = False) -> str:
    """The part of an address after the server's name that opens the view of an experiment."""
    mode = "&compareRunsMode=CHART" if charts else ""
    return f"/#/experiments/{experiment}/runs?viewStateShareKey={KEY}&{TRAINING}{mode}"


def value(shown: Shown, *, at: float) -> str:
    """The tag's value, in at most LARGEST characters.

    Until it fits, charts are left out, the last ones first, and then params. at: when the study was created, in unix
    seconds.
    """
    charts = list(_charts(shown))
    while True:
        found = _enveloped(_state(shown) | {"compareRunCharts": charts}, milliseconds=round(1000 * at))
        if len(found) <= LARGEST or not (charts or shown.params):
            return found
        if charts:
            charts.pop()
        else:
            shown = replace(shown, params=shown.params[:-1])


def _enveloped(state: dict[str, Any], *, milliseconds: int) -> str:
    """The state in the envelope of MLflow 3.17, with what versions before it read: the table alone, for its size."""
    packed = base64.b64encode(zlib.compress(_json(state).encode(), 9)).decode()
    table = {key: found for key, found in state.items() if not key.startswith(("compareRun", "column"))}
    table["selectedColumns"] = state["columnOrder"][:OLD_COLUMNS]
    envelope = {"name": NAME, "createdAt": milliseconds, "updatedAt": milliseconds, "state": f"deflate;{packed}"}
    return _json(envelope | table)


def _json(found: Any) -> str:
    return json.dumps(found, separators=(",", ":"))


def _state(shown: Shown) -> dict[str, Any]:
    """What the page's table, and its charts as a whole, look like."""
    best = _metric(f"best/{shown.objective}")
    metrics = [_metric(name) for name in shown.columns[:MOST_COLUMNS]]
    params = [f"params.`{name}`" for name in shown.params if "`" not in name]
    first = [*([RANK] if shown.by_rank else []), OUTCOME, best, *metrics[: shown.before]]
    columns = [*first, *params, *metrics[shown.before :], LABEL, WINNER]
    theirs = [f"attributes.`{name}`" for name in ("Description", "Dataset", "Models")]
    return {
        "searchFilter": FILTER,
        "orderByKey": RANK if shown.by_rank else best,
        "orderByAsc": shown.by_rank or shown.minimize,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": [*columns, *theirs],
        "columnOrder": columns,
        "columnWidths": {name: _width(name) for name in columns},
        "runsExpanded": {},
        "runsPinned": [],
        "runsHidden": [],
        "runsVisibilityMap": {},
        "runsHiddenMode": f"FIRST_{RUNS}_RUNS",
        "viewMaximized": False,
        "runListHidden": False,
        "isAccordionReordered": True,  # else the page puts sections into the order of the alphabet
        "groupBy": None,
        "groupsExpanded": {},
        "autoRefreshEnabled": True,
        "useGroupedValuesInCharts": True,
        "hideEmptyCharts": True,
        "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
        "compareRunSections": [
            {"uuid": name, "name": name, "display": True, "isReordered": True, **size}
            for name, size in SECTIONS.items()
        ],
    }


def _charts(shown: Shown) -> Iterator[dict[str, Any]]:
    """The charts: the objective, its dependence on the params, losses, scores, what else was measured in training."""
    objective, losses, scores, training = SECTIONS
    yield _line(objective, shown.objective)
    yield _parallel(objective, shown)
    yield from _lines(losses, (name for name in shown.losses if name.startswith("val/")), without=shown.objective)
    yield from _lines(losses, (name for name in shown.losses if not name.startswith("val/")), over_tokens=True)
    yield from _lines(scores, shown.scores, without=shown.objective)
    yield from _lines(training, shown.training, over_tokens=True)


def _lines(
    section: str, metrics: Iterable[str], *, over_tokens: bool = False, without: str = ""
) -> Iterator[dict[str, Any]]:
    for name in [name for name in metrics if name != without][:MOST_CHARTS]:
        yield _line(section, name, over_tokens=over_tokens)


def _line(section: str, metric: str, *, over_tokens: bool = False) -> dict[str, Any]:
    """A chart of a metric over the progress of each trial's own training, or over the tokens that it has seen.

    Evaluations have a progress, points between them have none.
    """
    axis = {"xAxisKey": "step"} if over_tokens else {"xAxisKey": "metric", "selectedXAxisMetricKey": "progress"}
    return {
        **_card(section, "LINE", metric),
        "metricKey": metric,
        "selectedMetricKeys": [metric],
        **axis,
        "useGlobalXaxisKey": False,
        "scaleType": "linear",
        "xAxisScaleType": "linear",
        "lineSmoothness": 0,
        "useGlobalLineSmoothing": False,
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "range": {},
    }


def _parallel(section: str, shown: Shown) -> dict[str, Any]:
    return {
        **_card(section, "PARALLEL", "parallel"),
        "selectedParams": list(shown.params),
        "selectedMetrics": [f"best/{shown.objective}"],
        "showAllRuns": True,
    }


def _card(section: str, kind: str, name: str) -> dict[str, Any]:
    return {
        "type": kind,
        "uuid": f"hpsearch {name}",
        "metricSectionId": section,
        "runsCountToCompare": RUNS,
        "deleted": False,
        "isGenerated": False,
    }


def _width(column: str) -> int:
    """The pixels that a column's head and values need."""
    letters = max(len(column.split("`")[1]), WIDEST_VALUE.get(column, DIGITS))
    return max(NARROWEST, LETTER * letters + MARGIN)


def _metric(name: str) -> str:
    return f"metrics.`{name}`"
