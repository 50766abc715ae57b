"""Homes with studies that are in both databases, and commands that are killed at a point."""

import os
import shutil
import sqlite3
import warnings

import pytest

from hpsearch import journal
from hpsearch.cli import main
from hpsearch.system import failpoints
from hpsearch.views.mlflow.store import Store, moved
from tests import blank
from tests.faults.stores import Small, query, ship


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A home of two studies that were shipped."""
    drawn, Store.draws = Store.draws, False
    home = blank.home(tmp_path_factory.mktemp("template"))
    for name in ("study", "other"):
        assert ship(Small(home, name)) == {"mlflow": 0, "optuna": 0}
        (home / name / "best.yaml").write_text(f"# The best of study {name}.\nstudy: {name}\n")
    Store.draws = drawn
    return home


@pytest.fixture
def home(template, tmp_path, monkeypatch):
    """A copy of that home."""
    monkeypatch.setattr(Store, "draws", False)
    monkeypatch.setattr("hpsearch.views.shipping.BACKOFF", (0.01,))
    shutil.copytree(template, tmp_path / "home")
    moved.follow(tmp_path / "home" / "mlflow.db", tmp_path / "home")
    return tmp_path / "home"


def killed(point, *arguments):
    """Runs a command in a fork of this process that is killed at a point; returns whether it came so far."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # about forks, from Python 3.12 on: it calls no thread's code
        child = os.fork()
    if child == 0:
        try:
            failpoints.arm(point)
            main([str(argument) for argument in arguments])
        finally:
            os._exit(70)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -9


def names(home):
    """The studies that each part of a home has: folders, MLflow experiments in use, Optuna studies, artifacts."""
    experiments = "select name from experiments where lifecycle_stage = 'active' and name != 'Default' order by 1"
    return {
        "folders": sorted(path.parent.name for path in home.glob("[!.]*/journal.jsonl")),
        "experiments": [name for (name,) in query(home / "mlflow.db", experiments)],
        "optuna": [name for (name,) in query(home / "optuna.db", "select study_name from studies order by 1")],
        "artifacts": sorted(path.name for path in (home / "artifacts").glob("*")),
    }


def all_of(*studies):
    """What `names` says of a home with these studies."""
    return dict.fromkeys(("folders", "experiments", "optuna", "artifacts"), sorted(studies))


def bytes_of(folder):
    """The content of each file of a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def events(folder):
    """The events of a study's journal."""
    return journal.read(folder / "journal.jsonl")


def left_over(database):
    """Rows of runs that are of no experiment, and of trials that are of no study."""
    connection = sqlite3.connect(database)
    try:
        tables = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
        if "runs" in tables:
            parents = [(table, "run_uuid", "runs") for table in ("metrics", "params", "tags", "latest_metrics")]
            parents.append(("runs", "experiment_id", "experiments"))
        else:
            children = ("trial_params", "trial_values", "trial_intermediate_values", "trial_user_attributes")
            parents = [(table, "trial_id", "trials") for table in children] + [("trials", "study_id", "studies")]
        statement = "select count(*) from {} where {} not in (select {} from {})"
        return sum(connection.execute(statement.format(a, key, key, b)).fetchone()[0] for a, key, b in parents)
    finally:
        connection.close()
