"""`hpsearch.plan` measures corners in real workers, survives those that fail, and leaves no study behind."""

import dataclasses
import json
import tempfile
from pathlib import Path

import pytest

import hpsearch
from hpsearch.events import Preparing
from hpsearch.preflight.planning import measuring


@pytest.fixture
def planned(space, tmp_path, monkeypatch):
    """The plan of the space with some sections of its own, made in this process; temporary files go to `temporary`."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))

    def make(own=None, **given):
        options = {"home": tmp_path / "home", "base": tmp_path, "seconds": 3.0, "launcher": "inline", "progress": False}
        return hpsearch.plan({**space, **(own or {})}, **options | given)

    return make


def left(tmp_path):
    """What is in the home besides the prepared data, and the temporary files."""
    home = [path.name for path in (tmp_path / "home").iterdir() if path.name != "cache"]
    return home + [path.name for path in (tmp_path / "temporary").iterdir()]


def test_a_plan_has_the_course_of_the_study(planned, tmp_path):
    found = planned({"budget": {"trials": 3, "price_per_hour": 10.0}})
    assert found.study == "toy"
    assert found.warnings  # three trials for two params
    assert next(one.name for one in found.measured).startswith("default config")
    assert all(one.seconds and one.seconds > 0 for one in found.measured)
    assert found.trial.low <= found.trial.mean <= found.trial.longest
    assert (found.whole.trials, found.whole.limit, found.pruned, found.share) == (3, "trials", None, None)
    assert found.share_from == "nothing is pruned"
    assert found.whole.money == pytest.approx(10.0 * found.whole.device_hours)
    assert found.trials_per_hour == pytest.approx(3600 / found.trial.mean)
    assert left(tmp_path) == []


def test_a_plan_is_frozen_and_json(planned):
    found = planned()
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.study = "other"
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert told["whole"]["trials"] == 3
    assert told["trials_per_hour"] == found.trials_per_hour


MODELS = {"choices": [{"n_layers": 1, "dropout": 0.0}, {"n_layers": 4, "dropout": 0.5}]}


@pytest.mark.parametrize(
    ("dropout", "reason"),
    [(0.5, "RuntimeError: a bug in the training code"), (0.53, "out of memory: 9 GiB asked for")],
)
def test_a_corner_that_fails_is_named_and_the_plan_goes_on(planned, tmp_path, dropout, reason):
    models = {"choices": [MODELS["choices"][0], {"n_layers": 4, "dropout": dropout}]}
    found = planned({"model": models})
    failed = [one for one in found.measured if one.failure]
    assert failed
    assert all(one.params["model"] == f"n_layers=4, dropout={dropout}" for one in failed)
    assert all(reason in one.failure for one in failed)
    assert "longest" in " ".join(one.name for one in failed)
    assert found.trial is not None
    assert left(tmp_path) == []


def test_where_every_corner_fails_nothing_is_said_of_the_time(planned):
    found = planned({"model": {"dropout": 0.5}})
    assert found.measured
    assert all(one.failure for one in found.measured)
    assert (found.trial, found.whole, found.outlook, found.trials_per_hour) == (None, None, None, None)


def test_a_corner_that_diverges_is_measured(planned):
    found = planned({"model": {"dropout": 0.54}})
    assert not any(one.failure for one in found.measured)


def test_without_a_value_in_time_a_corner_says_so(planned, monkeypatch):
    monkeypatch.setenv("TOY_STEP", "0.5")  # an evaluation takes 5 s
    monkeypatch.setattr(measuring, "STARTING", 1.0)
    found = planned(seconds=1.0, launcher="local", workers=1)
    assert [one.failure for one in found.measured] == [measuring.UNTIMED.format(seconds=1.0, start=1.0)]


def test_worker_processes_measure_at_once(planned, tmp_path):
    found = planned(launcher="local", workers=2, seconds=5.0)
    assert found.workers == 2
    assert found.trial is not None
    assert found.start > 0
    assert left(tmp_path) == []


def test_quick_measures_nothing(planned, tmp_path):
    found = planned(quick=True)
    assert (found.measured, found.trial, found.spent) == ((), None, 0.0)
    assert found.data
    assert left(tmp_path) == []


def test_the_real_trainer_is_measured(planned):
    small = {"n_layers": {"low": 1, "high": 2}, "width": 16, "n_heads": 2, "context": 32}
    own = {"trainer": "causal_lm", "model": small, "tokenizer": {"kind": "bytes"}, "search": {}}
    found = planned({**own, "budget": {"trials": 12}}, seconds=4.0)
    assert {name for one in found.measured for name in one.name.split(", ")} >= {
        "default config",
        "longest",
        "smallest",
    }
    assert found.trial.training > 0
    assert found.trial.evaluating > 0
    assert found.memory.fits
    assert found.disk >= found.kept > 0
    assert 0.3 < found.share < 1.0
    assert found.share_from == "simulated with the rule of successive_halving"
    assert found.pruned.seconds < found.whole.seconds


def test_an_earlier_study_tells_what_its_pruner_left(planned, space, tmp_path, without_views):
    searched = {**space, "budget": {"trials": 12}, "search": {}}
    where = {"home": tmp_path / "home", "base": tmp_path, "launcher": "inline", "progress": False}
    study = hpsearch.run({**searched, "study": "before"}, **where)
    assert len(study.trials) == 12
    found = planned({"search": {}, "budget": {"trials": 12}})
    assert found.share_from.startswith("measured in before (")
    assert 0 < found.share <= 1


def test_progress_is_told(planned):
    told = []
    planned(progress=told.append)
    assert any(isinstance(one, Preparing) and "measuring" in one.what for one in told)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"seconds": 0}, "seconds: 0 is not allowed; allowed: a finite number above 0"),
        ({"seconds": float("inf")}, "seconds: inf is not allowed"),
        ({"quick": 1}, "quick: 1 is not allowed; allowed: True or False"),
        ({"workers": 0}, "workers: 0 is not allowed"),
        ({"money": 3}, "money needs price_per_hour"),
    ],
)
def test_wrong_arguments_are_refused(planned, given, message):
    with pytest.raises(hpsearch.UserError, match=message):
        planned(**given)


def test_storage_of_a_cluster_is_refused(planned):
    ray = {"name": "ray", "storage": "s3://bucket/folder"}
    with pytest.raises(hpsearch.UserError, match="a plan measures on nodes that share the home"):
        planned({"resources": {"launcher": ray}}, launcher=None)


def test_missing_data_are_refused(planned, tmp_path):
    Path(tmp_path / "data" / "train.txt").unlink()
    with pytest.raises(hpsearch.DataError):
        planned()
