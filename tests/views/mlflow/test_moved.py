"""A home that was moved or copied, in a real MLflow store."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hpsearch.cli.ui import _follow as follow
from hpsearch.errors import HpsearchError
from hpsearch.views import shipping
from hpsearch.views.mlflow.store import Store, moved
from tests.faults.stores import Small, ship

Rows = list[tuple[Any, ...]]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with a home with one shipped study."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "draws", False)
        home = tmp_path_factory.mktemp("original") / "project" / "mlruns"
        assert ship(Small(home, "study"), "mlflow") == {"mlflow": 0}
        yield home.parent


@pytest.fixture
def place(original: Path, tmp_path: Path) -> Path:
    """The project at its first place, as its database has it."""
    shutil.copytree(original, tmp_path / "old")
    home = tmp_path / "old" / "mlruns"
    moved.follow(home / "mlflow.db", home)
    return tmp_path


def study_in(home: Path) -> Small:
    """The study, with a trial that is shipped from here."""
    study = Small.__new__(Small)
    study.home, study.study, study.folder, study.events = home, "study", home / "study", [{"time": 1_700_000_100.0}]
    study.later(event="trial_asked", trial=4, params={"learning_rate": 0.1}, config={"seed": 7})
    study.later(event="trial_finished", trial=4, outcome="failed", state="FAIL", value=None, best_evaluation=None)
    study.later(event="driver_stopped", reason="finished")
    return study


def query(home: Path, statement: str) -> Rows:
    with contextlib.closing(sqlite3.connect(home / "mlflow.db")) as database:
        rows = database.execute(statement).fetchall()
        database.commit()
        return rows


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def listed(home: Path) -> dict[str, list[str]]:
    """The artifacts of each run, as MLflow's client lists them."""
    store = Store(home, None)
    store.prepare()
    runs = query(home, "select name, run_uuid from runs")
    found = {name: sorted(file.path for file in store.client.list_artifacts(run)) for name, run in runs}
    store.close()
    return found


@pytest.mark.parametrize("left", ["nothing", "a file", "the original"])
def test_artifacts_are_where_the_home_is_now(place: Path, left: str) -> None:
    """`left` is what is at the old place; nobody, not even root, can create anything below a file."""
    old, new, said = place / "old", place / "new", list[str]()
    shutil.copytree(old, new)
    before = files(old)
    if left != "the original":
        shutil.rmtree(old)
    if left == "a file":
        old.touch()
    assert ship(study_in(new / "mlruns"), "mlflow", say=said.append) == {"mlflow": 0}
    trials = {f"trial-{number:04d}": ["config.yaml"] for number in (1, 3, 4)}
    assert listed(new / "mlruns") == {"study": ["space.yaml"], **trials}
    assert query(new / "mlruns", "select distinct status from runs where name != 'study'") != [("RUNNING",)]
    assert query(new / "mlruns", "select name from runs where status = 'RUNNING'") == []
    assert files(old) == (before if left == "the original" else {})
    assert old.exists() == (left != "nothing")
    assert len(said) == 1
    assert f"{new / 'mlruns'} was moved or copied from {old / 'mlruns'}: 3 MLflow runs" in said[0]
    ship(study_in(new / "mlruns"), "mlflow", say=said.append)
    assert len(said) == 1


def test_no_location_below_the_old_home_is_left(place: Path) -> None:
    """Locations of other experiments in the home's database are paths, not URIs."""
    old, new = place / "old" / "mlruns", place / "new" / "mlruns"
    for name, location in {"own": old / "5", "far": "/srv/artifacts/far", "s3": "s3://bucket/x"}.items():
        columns = "name, artifact_location, lifecycle_stage, workspace"
        query(old, f"insert into experiments ({columns}) values ('{name}', '{location}', 'active', 'default')")
    os.rename(place / "old", place / "new")
    assert moved.follow(new / "mlflow.db", new)
    with contextlib.closing(sqlite3.connect(new / "mlflow.db")) as database:
        assert [line for line in database.iterdump() if f"{place}/old" in line] == []
    found = dict(query(new, "select name, artifact_location from experiments"))
    assert found["own"] == str(new / "5")
    assert found["study"] == f"file://{new}/artifacts/study"
    assert (found["far"], found["s3"]) == ("/srv/artifacts/far", "s3://bucket/x")


def test_a_home_reached_by_another_path_does_not_change(place: Path) -> None:
    old, new = place / "old" / "mlruns", place / "new" / "mlruns"
    os.rename(place / "old", place / "new")
    os.symlink(place / "new", place / "old")
    assert moved.follow(new / "mlflow.db", new) is None
    os.unlink(place / "old")
    assert moved.follow(new / "mlflow.db", new)
    assert not old.exists()


def test_a_chosen_artifact_folder_is_not_a_former_home(place: Path) -> None:
    home, chosen = place / "old" / "mlruns", place / "disk" / "artifacts" / "study"
    chosen.mkdir(parents=True)
    shutil.rmtree(home / "artifacts")
    query(home, f"update experiments set artifact_location = '{chosen.as_uri()}' where name = 'study'")
    assert moved.follow(home / "mlflow.db", home) is None


def test_all_columns_of_mlflow_that_hold_locations_are_known(place: Path) -> None:
    home = place / "old" / "mlruns"
    tables = [name for (name,) in query(home, "select name from sqlite_master where type = 'table'")]
    columns = {(table, row[1]) for table in tables for row in query(home, f"pragma table_info({table})")}
    telling = {(t, c) for t, c in columns if c.endswith(("_location", "_uri", "_root"))}
    assert telling == {(t, c) for t, names in moved.LOCATIONS.items() for c in names if c not in ("source", "value")}


def test_the_exported_config_of_a_copy_is_its_own(place: Path) -> None:
    """It is written again from the journal, which has its first path."""
    old, new = place / "old" / "mlruns", place / "new" / "mlruns"
    (old / "study" / "best.yaml").write_text("of: the original\n")
    study = study_in(old)
    study.later(event="study_exported", trial=1, path=str(old / "study" / "best.yaml"))
    shutil.copytree(place / "old", place / "new")
    (new / "study" / "best.yaml").write_text("of: the copy\n")
    assert shipping.sync(new / "study", new, None, ["mlflow"], say=print) == {"mlflow": 0}
    [stored] = (new / "artifacts").rglob("best.yaml")
    assert stored.read_text() == "of: the copy\n"


def test_a_run_ends_although_its_artifact_folder_is_closed(place: Path) -> None:
    home, said = place / "old" / "mlruns", list[str]()
    (place / "closed").touch()  # nothing can be made below a file, also by root
    query(home, f"update experiments set artifact_location = 'file://{place}/closed/x' where name = 'study'")
    assert ship(study_in(home), "mlflow", say=said.append) == {"mlflow": 0}
    assert query(home, "select name from runs where status = 'RUNNING'") == []
    refused = r"MLflow refuses log_dict of run \w+, which is skipped \(NotADirectoryError"
    assert [line for line in said if re.match(refused, line)]


def test_the_ui_updates_the_artifact_paths(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.rename(place / "old", place / "new")
    home = place / "new" / "mlruns"
    follow(home)
    assert f"{home} was moved or copied from {place}/old/mlruns" in capsys.readouterr().out
    follow(home)
    assert capsys.readouterr().out == ""
    (home / "mlflow.db").write_bytes(b"dear diary " * 1000)
    with pytest.raises(HpsearchError, match="hpsearch repair sets a damaged one aside"):
        follow(home)


# ------------------------------------------------------------------------------ what of a database is changed, by hand


def written(home: Path, former: Path, **more: str) -> Path:
    """A database with the columns that matter: one study of the home, whose artifacts lie below `former`."""
    (home / "study").mkdir(parents=True)
    (home / "study" / "journal.jsonl").touch()
    database = home / "mlflow.db"
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.executescript(
            "create table experiments (experiment_id, name, artifact_location);"
            "create table runs (run_uuid, experiment_id, artifact_uri);"
            "create table tags (run_uuid, key, value);"
            "create table trace_tags (key, value);"
        )
        places = {"study": f"{former.as_uri()}/artifacts/study", **more}
        for number, (name, location) in enumerate(places.items()):
            connection.execute("insert into experiments values (?, ?, ?)", (number, name, location))
            connection.execute("insert into runs values (?, ?, ?)", (f"run {number}", number, f"{location}/x"))
        for key in ("mlflow.artifactLocation", "note"):
            connection.execute("insert into trace_tags values (?, ?)", (key, f"{former.as_uri()}/artifacts/7"))
        connection.commit()
    return database


@pytest.mark.parametrize("name", ["old", "an old place", "old#1?x=%41"])
def test_a_neighbour_whose_name_begins_alike_and_what_people_wrote_stay(tmp_path: Path, name: str) -> None:
    former, home = tmp_path / name, tmp_path / "new"
    neighbour = f"{former.as_uri()}2/artifacts/other"
    database = written(home, former, other=neighbour)
    said = moved.follow(database, home)
    assert said is not None
    assert f"was moved or copied from {former}: 1 MLflow runs" in said
    assert query(home, "select artifact_uri from runs") == [
        (f"{home.as_uri()}/artifacts/study/x",),
        (f"{neighbour}/x",),
    ]
    assert query(home, "select * from trace_tags") == [
        ("mlflow.artifactLocation", f"{home.as_uri()}/artifacts/7"),
        ("note", f"{former.as_uri()}/artifacts/7"),
    ]
    assert moved.follow(database, home) is None


def test_experiments_of_others_do_not_name_a_former_home(tmp_path: Path) -> None:
    home = tmp_path / "new"
    database = written(home, home, theirs=f"{(tmp_path / 'elsewhere').as_uri()}/artifacts/theirs")
    assert moved.follow(database, home) is None


@pytest.mark.parametrize("there", [True, False])
def test_the_artifacts_of_a_copy_are_its_own(tmp_path: Path, there: bool) -> None:
    """The place of the original still exists, so only artifacts that exist here count as copied."""
    former, home = tmp_path / "old", tmp_path / "new"
    database = written(home, former)
    former.mkdir()
    if there:
        (home / "artifacts" / "study").mkdir(parents=True)
    assert (moved.follow(database, home) is not None) == there
