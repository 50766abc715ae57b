"""A study in a tracking store that is not the home's own: deleted into MLflow's trash, renamed request by request."""

import shutil

import pytest

from hpsearch import journal
from hpsearch.journal import encode
from hpsearch.views.mlflow.store import Store
from tests import blank
from tests.cli.test_run import one_line
from tests.faults.stores import Small, query, runs, ship


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Two homes that ship a study of one name to one store, and its file."""
    monkeypatch.setattr(Store, "draws", False)
    monkeypatch.setattr("hpsearch.views.shipping.BACKOFF", (0.01,))
    shared = blank.home(tmp_path / "shared") / "mlflow.db"
    for number, name in enumerate(("one", "two")):
        study = Small(blank.home(tmp_path / name), "study")
        events = [{**event, "time": event["time"] + 1000 * number} for event in study.events]
        events[0]["experiment"] = {**events[0]["experiment"], "tracking": {"uri": f"sqlite:///{shared}"}}
        (study.folder / "journal.jsonl").write_bytes(b"".join(map(encode, events)))
        if name == "one":
            assert ship(study, uri=f"sqlite:///{shared}") == {"mlflow": 0, "optuna": 0}
    return shared


def living(database, name):
    """The number of living runs of an experiment."""
    wanted = (
        "select count(*) from runs r join experiments e using (experiment_id) "
        "where e.name = ? and r.lifecycle_stage = 'active'"
    )
    return query(database, wanted, name)[0][0]


def test_it_is_deleted_into_the_trash(elsewhere, call):
    code, out, err = call("delete", "study", "--yes", "--home", elsewhere.parents[1] / "one")
    assert (code, err) == (0, "")
    assert "MLflow: 3 runs deleted; sqlite:///" in out
    assert "keeps them in its trash until `mlflow gc` is run there" in out
    assert query(elsewhere, "select lifecycle_stage from experiments where name = 'study'") == [("deleted",)]
    assert living(elsewhere, "study") == 0


def test_runs_of_another_home_stay(elsewhere, call):
    two = elsewhere.parents[1] / "two"
    assert call("sync", "study", "--home", two)[0] == 0
    assert living(elsewhere, "study") == 6
    one_line(
        call("rename", "study", "new", "--home", two), 1, r"MLflow's experiment 'study' has another study of this name"
    )
    assert call("delete", "study", "--yes", "--home", elsewhere.parents[1] / "one")[0] == 0
    assert living(elsewhere, "study") == 3
    assert query(elsewhere, "select lifecycle_stage from experiments where name = 'study'") == [("active",)]


def test_it_is_renamed(elsewhere, call):
    one = elsewhere.parents[1] / "one"
    shutil.rmtree(elsewhere.parents[1] / "two")
    code, _, err = call("rename", "study", "new", "--home", one)
    assert (code, err) == (0, "")
    found = runs(elsewhere, "new")
    assert set(found) == {"new", "trial-0001", "trial-0003"}
    assert {tags["hpsearch.study"] for _, _, _, _, tags, _ in found.values()} == {"new"}
    assert journal.read(one / "new" / "journal.jsonl")[0]["study"] == "new"
    assert "3 runs, 49 rows: complete\n" in call("repair", "new", "--home", one)[1]
