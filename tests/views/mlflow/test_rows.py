"""Metric rows of evaluations: each curve has one source, so that it has no outliers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hpsearch.contract import Evaluation, TrainingPoint
from hpsearch.views.mlflow.rows import milliseconds, rows_of


@pytest.mark.parametrize(
    ("seconds", "wanted"),
    [(0.0004, 0), (0.0006, 1), (1.0, 1000), (1.0006, 1001), (8.12, 8120), (1_700_000_000.0019999, 1_700_000_000_002)],
)
def test_a_time_is_rounded_to_the_nearest_millisecond(seconds: float, wanted: int) -> None:
    """8.12 is a little less in binary: truncation would be one millisecond early."""
    assert milliseconds(seconds) == wanted
    assert isinstance(milliseconds(seconds), int)


def evaluation(metrics):
    """An evaluation of the loop: its last training point has the same tokens."""
    points = [
        TrainingPoint(5, 500, 1.0, {"train/loss": 4.83}),
        TrainingPoint(10, 1000, 2.0, {"train/loss": 4.65}),
    ]
    return Evaluation(1, 10, 0.5, {"val/loss": 4.9, **metrics}, tokens=1000, epoch=1.0, points=points)


def test_an_evaluations_mean_is_not_in_the_training_curve():
    for metrics in ({"train/interval_loss": 5.04}, {"train/loss": 5.04}):  # the second as old journals have it
        rows = rows_of(evaluation(metrics), 3.0)
        assert [(value, step) for name, value, _, step in rows if name == "train/loss"] == [(4.83, 500), (4.65, 1000)]
        assert len({(name, step) for name, _, _, step in rows}) == len(rows)


def test_without_points_the_mean_is_the_training_curve():
    rows = rows_of(replace(evaluation({"train/loss": 5.04}), points=[]), 3.0)
    assert [(value, step) for name, value, _, step in rows if name == "train/loss"] == [(5.04, 1000)]


def test_the_rows_of_a_branch_have_names_of_their_own():
    branch = replace(evaluation({}), branch={"training": {"epochs": 2.0}})
    names = {name for name, _, _, _ in rows_of(branch, 3.0)}
    assert {"cooldown/val/loss", "cooldown/train/loss", "cooldown/epoch"} <= names
    assert all(name.startswith("cooldown/") for name in names)
