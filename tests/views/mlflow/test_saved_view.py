"""The saved view as MLflow's page reads it; test_browser.py opens it in the page itself."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import replace
from typing import Any

import pytest

from hpsearch.views.mlflow.saved_view import LARGEST, Shown, link, value

MIXED = Shown(
    objective="val/loss",
    minimize=True,
    by_rank=True,
    params=["learning_rate", "n_layers"],
    scores=["val/bleu", "val/f1_macro", "val/pairs/bleu"],
    losses=["val/loss", "val/pairs/loss", "train/loss"],
    training=["learning_rate"],
    columns=["val_at_best/bleu", "val_at_best/f1_macro", "val_at_best/chrf"],
)


def opened(tag: str) -> dict[str, Any]:
    """The state as MLflow 3.17 reads it: an envelope with a name, a number and a packed state."""
    envelope = json.loads(tag)
    assert isinstance(envelope["name"], str)
    assert isinstance(envelope["createdAt"], int)
    kind, _, packed = envelope["state"].partition(";")
    assert kind == "deflate"
    return dict(json.loads(zlib.decompress(base64.b64decode(packed))))


def test_the_table_has_the_best_trial_first_and_what_matters_before_the_params() -> None:
    state = opened(value(MIXED, at=2.0))
    assert (state["orderByKey"], state["orderByAsc"]) == ("tags.`rank`", True)
    assert state["columnOrder"] == [
        "tags.`rank`",
        "tags.`outcome`",
        "metrics.`best/val/loss`",
        "metrics.`val_at_best/bleu`",
        "metrics.`val_at_best/f1_macro`",
        "params.`learning_rate`",
        "params.`n_layers`",
        "metrics.`val_at_best/chrf`",
        "tags.`label`",
        "tags.`hpsearch.winner`",
    ]
    assert set(state["columnOrder"]) < set(state["selectedColumns"])
    assert state["searchFilter"] == "tags.`hpsearch.kind` = 'trial'"


@pytest.mark.parametrize("minimize", [True, False])
def test_while_a_study_is_searched_the_objective_orders_in_its_direction(minimize: bool) -> None:
    state = opened(value(replace(MIXED, objective="val/bleu", minimize=minimize, by_rank=False), at=2.0))
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`best/val/bleu`", minimize)
    assert "tags.`rank`" not in state["selectedColumns"]


def test_charts_are_in_order_and_each_has_a_section() -> None:
    state = opened(value(MIXED, at=2.0))
    charts = state["compareRunCharts"]
    assert [(chart["metricSectionId"], chart.get("metricKey")) for chart in charts] == [
        ("The objective", "val/loss"),
        ("The objective", None),
        ("Losses", "val/pairs/loss"),
        ("Losses", "train/loss"),
        ("Scores", "val/bleu"),
        ("Scores", "val/f1_macro"),
        ("Scores", "val/pairs/bleu"),
        ("Training", "learning_rate"),
    ]
    sections = [section["uuid"] for section in state["compareRunSections"]]
    assert sections == ["The objective", "Losses", "Scores", "Training"]
    assert len({chart["uuid"] for chart in charts}) == len(charts)
    axes = {chart["metricKey"]: chart.get("selectedXAxisMetricKey") for chart in charts if "metricKey" in chart}
    assert (axes["val/loss"], axes["train/loss"]) == ("progress", None)  # a training point has no progress
    assert charts[1]["selectedParams"] == ["learning_rate", "n_layers"]
    assert all(section["isReordered"] for section in state["compareRunSections"])
    assert state["isAccordionReordered"]


def test_versions_before_the_envelope_find_the_table_beside_it() -> None:
    """They take the tag's value for the state, and a state without these keys would break their page."""
    tag = json.loads(value(MIXED, at=2.0))
    state = opened(value(MIXED, at=2.0))
    theirs = {key for key in state if not key.startswith(("compareRun", "column"))} - {"selectedColumns"}
    assert {key: tag[key] for key in theirs} == {key: state[key] for key in theirs}
    assert tag["selectedColumns"] == state["columnOrder"]


def test_a_large_study_fits_into_a_tag() -> None:
    """Fifty params with long names and two hundred metrics: charts are left out, the table is whole."""
    large = replace(
        MIXED,
        params=[f"a_rather_long_name_of_a_hyperparameter_{i}" for i in range(50)],
        scores=[f"val/set_{i * 7919}/a_score_{i}" for i in range(200)],
        columns=[f"val_at_best/a_score_{i}" for i in range(200)],
    )
    tag = value(large, at=2.0)
    assert len(tag) <= LARGEST
    state = opened(tag)
    assert "metrics.`best/val/loss`" in state["selectedColumns"]


def test_the_same_study_gives_the_same_tag() -> None:
    assert value(MIXED, at=2.0) == value(MIXED, at=2.0)


def test_a_name_that_mlflow_cannot_quote_is_left_out() -> None:
    state = opened(value(replace(MIXED, params=["a`b", "c"]), at=2.0))
    assert [name for name in state["columnOrder"] if name.startswith("params")] == ["params.`c`"]


def test_links() -> None:
    table = "/#/experiments/7/runs?viewStateShareKey=hpsearch&workflowType=machine_learning"
    assert link("7") == table
    assert link("7", charts=True) == f"{table}&compareRunsMode=CHART"
