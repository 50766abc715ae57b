"""Runs deleted in MLflow's UI: the study's run is restored, a deleted trial gets no second run."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from hpsearch.home.repair import repair
from hpsearch.views import shipping
from hpsearch.views.follower import state_file
from hpsearch.views.mlflow.store import Store, run_ids
from tests.views.conftest import NewStudy, runs_of

LATER = {"event": "trial_started", "trial": 3, "attempt": 2, "device": "cpu", "worker": 0}


def ship(study: Any, say: Any = lambda line: None) -> dict[str, int]:
    return shipping.sync(study.folder, study.home, None, ["mlflow"], say=say)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "draws", False)


def all_runs(home: Path, study: str) -> dict[str, tuple[str, str]]:
    """Every run of the study, deleted ones too: id -> name and stage."""
    wanted = "select run_uuid, r.name, r.lifecycle_stage from runs r join experiments e using (experiment_id) "
    with contextlib.closing(sqlite3.connect(home / "mlflow.db")) as database:
        rows = database.execute(wanted + "where e.name = ?", (study,)).fetchall()
    return {run: (name, stage) for run, name, stage in rows}


@pytest.mark.parametrize("state", ["kept", "lost"])
@pytest.mark.parametrize("what", ["run", "experiment"])
def test_a_study_that_was_deleted_is_restored(client: Any, new_study: NewStudy, what: str, state: str) -> None:
    """`state`: the view's state file."""
    study, said = new_study(f"deleted-{what}-{state}"), list[str]()
    ship(study)
    before = all_runs(study.home, study.study)
    if what == "run":
        client.delete_run(runs_of(client, study.study)[study.study].info.run_id)
    else:
        client.delete_experiment(client.get_experiment_by_name(study.study).experiment_id)
    if state == "lost":
        state_file(study.folder, "mlflow").unlink()
    study.later(**LATER)
    assert ship(study, said.append) == {"mlflow": 0}
    assert all_runs(study.home, study.study) == before
    restored = f"MLflow: the run of study '{study.study}' was deleted, and is restored"
    assert said.count(restored) == (1 if what == "run" or state == "kept" else 0)  # else all came with the experiment


def test_a_study_run_that_is_gone_for_good_gets_the_old_trials(client: Any, new_study: NewStudy) -> None:
    """`mlflow gc` removes deleted runs from the database."""
    study = new_study("collected")
    ship(study)
    before = runs_of(client, "collected")
    gone = before.pop("collected").info.run_id
    with contextlib.closing(sqlite3.connect(study.home / "mlflow.db")) as database:
        for table in ("metrics", "latest_metrics", "params", "tags", "runs"):
            database.execute(f"delete from {table} where run_uuid = ?", (gone,))
        database.commit()
    study.later(**LATER)
    assert ship(study) == {"mlflow": 0}
    after = runs_of(client, "collected")
    parent = after.pop("collected").info.run_id
    assert parent != gone
    assert {name: run.info.run_id for name, run in after.items()} == {n: run.info.run_id for n, run in before.items()}
    assert {run.data.tags["mlflow.parentRunId"] for run in after.values()} == {parent}
    assert len(all_runs(study.home, "collected")) == 5


def test_a_deleted_trial_stays_deleted_until_repair(client: Any, new_study: NewStudy) -> None:
    study, said = new_study("deleted-trial"), list[str]()
    ship(study)
    run = run_ids(study.home, "deleted-trial")[1]
    client.delete_run(run)
    state_file(study.folder, "mlflow").unlink()  # all is shipped again
    assert ship(study, said.append) == {"mlflow": 0}
    assert said == [f"MLflow: the deleted run {run} stays deleted; hpsearch repair restores it"]
    found = all_runs(study.home, "deleted-trial")
    assert (len(found), found[run]) == (5, ("trial-0001", "deleted"))
    said.clear()
    repair(study.folder, study.home, None, say=said.append)
    assert "mlflow: 1 deleted runs restored" in said
    found = all_runs(study.home, "deleted-trial")
    assert (len(found), found[run]) == (5, ("trial-0001", "active"))


def test_a_run_that_hpsearch_deleted_itself_is_not_found_again(client: Any, home: Path, new_study: NewStudy) -> None:
    study = new_study("wrong")
    ship(study)
    run = run_ids(study.home, "wrong")[1]
    store = Store(home, None)
    store.prepare()
    store.delete(run)
    store.close()
    repair(study.folder, study.home, None, say=lambda line: None)
    found = all_runs(study.home, "wrong")
    assert sorted(stage for name, stage in found.values() if name == "trial-0001") == ["active", "deleted"]
    assert found[run][1] == "deleted"
