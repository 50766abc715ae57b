"""`hpsearch repair`: the stores agree with the journal afterwards, or what cannot be repaired is reported."""

import contextlib
import hashlib
import json
import re
import shutil
import sqlite3
from itertools import zip_longest

import optuna
import pytest

from hpsearch import journal
from hpsearch.journal import encode
from hpsearch.journal.history import History
from hpsearch.journal.study_lock import StudyLock
from hpsearch.storage.snapshots import Snapshots
from hpsearch.storage.storage import Storage
from hpsearch.storage.study_storage import StudyStorage
from hpsearch.system import sealed
from hpsearch.views.mlflow.store import Store, moved
from tests import blank
from tests.cli.test_run import one_line
from tests.faults.stores import Reference, Small, both, runs, ship

WHOLE = """study:
  journal.jsonl: 13 lines, intact
  mlflow: 3 runs, 49 rows: complete
  optuna: 2 trials, 5 values: complete
  checkpoints: 0 checked, of interrupted and paused trials
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    home = blank.home(tmp_path_factory.mktemp("template"))
    for name in ("study", "other"):
        assert ship(Small(home, name)) == {"mlflow": 0, "optuna": 0}
    return home


@pytest.fixture
def study(template, tmp_path, monkeypatch):
    """A shipped study in its own home, beside another study."""
    monkeypatch.setattr(Store, "draws", False)
    monkeypatch.setattr("hpsearch.views.shipping.BACKOFF", (0.01,))
    shutil.rmtree(tmp_path / "home", ignore_errors=True)
    shutil.copytree(template, tmp_path / "home")
    moved.follow(tmp_path / "home" / "mlflow.db", tmp_path / "home")
    found = Small.__new__(Small)
    found.home, found.study, found.folder = tmp_path / "home", "study", tmp_path / "home" / "study"
    found.events = journal.read(found.folder / "journal.jsonl")
    return found


@pytest.fixture(scope="module")
def expected(template, tmp_path_factory):
    return Reference(tmp_path_factory.mktemp("reference")).of(template / "study")


def change(database, *statements):
    """Tampers with a database."""
    connection = sqlite3.connect(database)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_an_intact_study_does_not_change(call, study, expected):
    assert call("repair", "study", "--home", study.home) == (0, WHOLE, "")
    assert both(study) == expected


def test_damaged_databases_are_set_aside_and_filled_again(call, study, expected):
    for name in ("mlflow.db", "optuna.db"):
        (study.home / name).write_bytes(b"dear diary " * 1000)
    code, out, err = call("repair", "--home", study.home)
    assert (code, err) == (0, "")
    for name in ("mlflow.db", "optuna.db"):
        assert re.search(
            rf"^  .*{name} is damaged \(file is not a database\) and was set aside as {name}.corrupt-", out, re.M
        )
        assert len(list(study.home.glob(f"{name}.corrupt-*"))) == 1
    assert out.count("mlflow: 3 runs, 49 rows: complete") == out.count("optuna: 2 trials, 5 values: complete") == 2
    assert both(study) == expected
    assert set(runs(study.home / "mlflow.db", "other")) == {"other", "trial-0001", "trial-0003"}


MLFLOW_CHANGES = {
    "rows lost": "delete from metrics where key = 'val/loss'",
    "values changed": "update metrics set value = 99 where key = 'val/loss' and step = 1000",
    "rows too many": "insert into metrics select key, value + 1, timestamp, run_uuid, step, is_nan from metrics",
    "ends changed": "update runs set status = 'RUNNING', end_time = 5",
    "params changed": "update params set value = '7' where key = 'n_layers'",
}


OPTUNA_CHANGES = {
    "values lost": "delete from trial_intermediate_values",
    "values changed": "update trial_values set value = 0.001",
    "states changed": "update trials set state = 'RUNNING'",
}
CHANGES = list(zip_longest(MLFLOW_CHANGES, OPTUNA_CHANGES))  # the two stores are repaired apart from each other


@pytest.mark.parametrize(("mlflow", "in_optuna"), CHANGES)
def test_changes_in_the_stores_are_undone(call, study, expected, mlflow, in_optuna):
    change(study.home / "mlflow.db", MLFLOW_CHANGES[mlflow])
    if in_optuna is not None:
        change(study.home / "optuna.db", OPTUNA_CHANGES[in_optuna])
    code, out, err = call("repair", "study", "--home", study.home)
    assert (code, err) == (0, ""), out
    assert "mlflow: 3 runs, 49 rows: complete (before: " in out
    assert "optuna: 2 trials, 5 values: complete" in out
    assert both(study) == expected
    if in_optuna is None:  # a second one finds nothing to do
        assert call("repair", "study", "--home", study.home)[:2] == (0, WHOLE)


def test_deleted_runs_and_studies_are_restored(call, study, expected):
    change(study.home / "mlflow.db", "update runs set lifecycle_stage = 'deleted'")
    optuna.delete_study(study_name="study", storage=f"sqlite:///{study.home / 'optuna.db'}")
    code, out, err = call("repair", "study", "--home", study.home)
    assert (code, err) == (0, "")
    assert "  MLflow: the run of study 'study' was deleted, and is restored\n  mlflow: 2 deleted runs restored\n" in out
    assert "  mlflow: 3 runs, 49 rows: complete (before: 50 missing)\n" in out
    assert both(study) == expected
    with contextlib.closing(sqlite3.connect(study.home / "mlflow.db")) as database:
        assert database.execute("select count(*) from runs").fetchone() == (6,)  # of both studies: none made anew


def test_a_run_made_twice_is_deleted(call, study, expected):
    columns = "name, source_type, source_name, entry_point_name, user_id, status, start_time, end_time, deleted_time, "
    columns += "source_version, lifecycle_stage, artifact_uri, experiment_id"
    twin = f"insert into runs (run_uuid, {columns}) select 'x' || substr(run_uuid, 2), {columns} from runs"
    tags = "insert into tags (key, value, run_uuid) select key, value, 'x' || substr(run_uuid, 2) from tags"
    one = " where run_uuid in (select run_uuid from tags where key = 'hpsearch.trial' and value = '3')"
    change(study.home / "mlflow.db", twin + one, tags + one)
    code, out, _ = call("repair", "study", "--home", study.home)
    assert code == 0, out
    assert both(study) == expected


def test_damaged_lines_of_the_journal_are_listed(call, study):
    path = study.folder / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[4], lines[7] = b"garbage\n", lines[7][:20] + b"#" + lines[7][21:]
    path.write_bytes(b"".join(lines))
    code, out, err = call("repair", "study", "--home", study.home)
    assert "  journal.jsonl: 2 of 13 lines damaged and skipped: 5, 8\n" in out
    one_line((code, "", err), 1, "study 'study' is not intact")


def test_a_running_study_is_skipped(call, study):
    before = both(study)
    lock = StudyLock(study.folder / "lock", what="study 'study'")
    try:
        code, out, err = call("repair", "study", "--home", study.home)
        one_line((code, "", err), 73, r"study 'study' is being run by pid \d+ .*; stop it first")
        code, out, err = call("repair", "--home", study.home)
        one_line((code, "", err), 73, "skipped, because they are running: study")
        assert "other:\n  journal.jsonl: 13 lines, intact" in out
    finally:
        lock.release()
    assert both(study) == before


@pytest.mark.parametrize("damaged", [["last.pt"], ["previous.pt"], ["last.pt", "previous.pt"]])
def test_checkpoints_of_interrupted_trials_are_checked(call, study, damaged):
    folder = study.folder / "checkpoints" / "0003"
    folder.mkdir(parents=True)
    body = bytes(1000)
    header = json.dumps({"sha256": hashlib.sha256(body).hexdigest(), "bytes": 1000, "config": "x"}).encode()
    for name in ("last.pt", "previous.pt"):
        (folder / name).write_bytes(header + b"\n" + (body[1:] + b"!" if name in damaged else body))
    code, out, _ = call("repair", "study", "--home", study.home)
    assert code == int(len(damaged) == 2)
    found = re.findall(r"checkpoints/0003/(.*): damaged; the trial (.*)", out)
    assert found == [(name, "resumes from the other one" if len(damaged) == 1 else "restarts") for name in damaged]
    assert "checkpoints: 2 checked, of interrupted and paused trials" in out


@pytest.fixture
def in_storage(study):
    """The study as on nodes without a shared folder, with a checkpoint in the storage; returns its file."""
    storage = Storage(f"file://{study.home}/storage")
    study.events[0]["experiment"]["resources"] = {"launcher": {"name": "ray", "storage": storage.url}}
    (study.folder / "journal.jsonl").write_bytes(b"".join(map(encode, study.events)))
    sealed.write(study.home / "last.pt", b"[]", config="c")
    folder = StudyStorage(storage, History.of(study.events), {}).remote(3).folder
    Snapshots(storage, folder).save({"last.pt": study.home / "last.pt"})
    [stored] = (study.home / "storage" / folder).glob("*last.pt")
    return stored


def test_checkpoints_in_a_storage_are_checked(call, study, in_storage):
    code, out, err = call("repair", "study", "--home", study.home)
    assert (code, err) == (0, "")
    assert "  checkpoints: 1 checked, of interrupted and paused trials\n" in out
    in_storage.write_bytes(in_storage.read_bytes()[:-1] + b"}")
    code, out, _ = call("repair", "study", "--home", study.home)
    assert code == 1
    assert re.search(r"^  file:///.*/0003/last\.pt: damaged; the trial restarts$", out, re.M)


def test_an_unreachable_storage_is_reported(call, study, in_storage):
    shutil.rmtree(study.home / "storage")
    (study.home / "storage").write_text("a file in its place")
    code, out, err = call("repair", "study", "--home", study.home)
    assert re.search(r"^  checkpoints: cannot be checked \(storage file:///.*: cannot list .*\)$", out, re.M)
    one_line((code, "", err), 1, "study 'study' is not intact")


def test_a_server_that_is_down_is_reported(call, study, tmp_path):
    (tmp_path / "space.yaml").write_text(
        "study: study\ntracking: {uri: 'http://127.0.0.1:9'}\ndata: {text: {task: text, files: {train: a.txt}}}\n"
        "training: {learning_rate: {low: 0.1, high: 0.2}}\n"
    )
    code, out, err = call("repair", tmp_path / "space.yaml", "--home", study.home)
    assert "  mlflow: cannot be reached; `hpsearch sync` writes to it when it is up again\n" in out
    assert "  optuna: 2 trials, 5 values: complete\n" in out
    one_line((code, "", err), 1, "study 'study' is not intact")


def test_wrong_arguments_are_one_line(call, tmp_path, study):
    one_line(call("repair", "--home", tmp_path), 2, "contains no study")
    one_line(call("repair", "study", "--all", "--home", study.home), 2, "--all and a study")
    code, _, err = call("repair", "none", "--home", study.home)
    one_line((code, "", err), 2, "no study 'none'")
