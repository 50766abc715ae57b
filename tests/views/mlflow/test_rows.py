"""What the journal says, as MLflow has it: each curve has one source, so that none of them is a saw."""

from __future__ import annotations

import pytest

from hpsearch.views.mlflow.rows import milliseconds, rows_of


@pytest.mark.parametrize(
    ("seconds", "wanted"),
    [(0.0004, 0), (0.0006, 1), (1.0, 1000), (1.0006, 1001), (8.12, 8120), (1_700_000_000.0019999, 1_700_000_000_002)],
)
def test_a_time_is_rounded_to_the_nearest_millisecond(seconds: float, wanted: int) -> None:
    """8.12 is a little less in binary; a time cut off there would be a millisecond before what a person reads."""
    assert milliseconds(seconds) == wanted
    assert isinstance(milliseconds(seconds), int)


def evaluation(metrics):
    """As the loop makes it: its last training point stands at its own tokens."""
    points = [
        {"tokens": 500, "time": 1.0, "metrics": {"train/loss": 4.83}},
        {"tokens": 1000, "time": 2.0, "metrics": {"train/loss": 4.65}},
    ]
    place = {"epoch": 1.0, "progress": 0.5, "step": 10}
    return {"tokens": 1000, "metrics": {"val/loss": 4.9, **metrics}, "points": points, **place}


def test_the_mean_since_the_last_evaluation_is_no_point_of_the_training_loss():
    for metrics in ({"train/interval_loss": 5.04}, {"train/loss": 5.04}):  # the second as old journals have it
        rows = rows_of(evaluation(metrics), 3.0)
        assert [(value, step) for name, value, _, step in rows if name == "train/loss"] == [(4.83, 500), (4.65, 1000)]
        assert len({(name, step) for name, _, _, step in rows}) == len(rows)


def test_the_mean_is_the_curve_of_a_trainer_without_points():
    rows = rows_of({**evaluation({"train/loss": 5.04}), "points": []}, 3.0)
    assert [(value, step) for name, value, _, step in rows if name == "train/loss"] == [(5.04, 1000)]
