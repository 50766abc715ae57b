"""Reads the contents of the stores from their files, to compare with those of an undisturbed run."""

import contextlib
import re
import shutil
import sqlite3
import time
from collections import Counter, defaultdict

import pytest

from hpsearch.journal import encode
from hpsearch.views import shipping
from tests import blank
from tests.views.conftest import Written

OWN_TAGS = ("hpsearch.shipped", "mlflow.user", "mlflow.parentRunId", "hpsearch.left_out", "best_run")
TRIAL_ROWS = (  # what an Optuna database has of a trial: columns, table
    ("param_name, param_value", "trial_params"),
    ("value, value_type", "trial_values"),
    ("step, intermediate_value", "trial_intermediate_values"),
    ("key, value_json", "trial_user_attributes"),
)
SPACE = """
study: {study}
seed: 4
budget: {{trials: {trials}}}
data: {{text: {{task: text, files: {{train: train.txt, valid: valid.txt}}}}}}
search: {{pruner: none, confirm: false}}
training:
  learning_rate: {{low: 1e-3, high: 1e-2, log: true}}
  epochs: {{low: 2, high: 4}}
trainer: "python:hpsearch.testing.toy:Toy"
"""
TIMED = SPACE.replace("hpsearch.testing.toy:Toy", "tests.faults.timed:Timed")


def query(path, statement, *values):
    """Returns the rows of a query."""
    connection = sqlite3.connect(path, timeout=20)
    try:
        return connection.execute(statement, values).fetchall()
    finally:
        connection.close()


def runs(database, study):
    """Each living run of a study by name: status, times, params, tags and the sorted metric rows.

    Raises AssertionError when two runs have one name, or a run has two rows of one metric at one step.
    """
    found = {}
    names = query(
        database,
        "select r.run_uuid, r.name, r.status, r.start_time, r.end_time from runs r join experiments e using "
        "(experiment_id) where e.name = ? and r.lifecycle_stage = 'active'",
        study,
    )
    assert max(Counter(name for _, name, *_ in names).values(), default=1) == 1, f"runs made twice: {names}"
    metrics, params, tags = defaultdict(list), defaultdict(dict), defaultdict(dict)
    for run, *row in query(database, "select run_uuid, key, step, timestamp, value, is_nan from metrics"):
        metrics[run].append(tuple(row))
    for table, into in (("params", params), ("tags", tags)):
        for run, key, value in query(database, f"select run_uuid, key, value from {table}"):
            into[run][key] = value
    for run, name, status, start, end in names:
        twice = {key: n for key, n in Counter(row[:2] for row in metrics[run]).items() if n > 1}
        assert not twice, f"{name}: rows stand twice: {twice}"
        kept = {key: _anywhere(value) for key, value in tags[run].items() if key not in OWN_TAGS}
        found[name] = (status, start, end, params[run], kept, sorted(metrics[run]))
    return found


def _anywhere(text):
    """A tag's value without what differs between homes: links to files, and `--home PATH` in commands."""
    same = re.sub(r"^\*\*Files\*\* of .*$", "", text, flags=re.M)
    return re.sub(r"( --home \S+)? +", " ", same)


def trials(database, study):
    """Each trial of a study in Optuna's database by number: state, params, values, curve."""
    found = {}
    wanted = "select t.trial_id, t.number, t.state from trials t join studies s using (study_id) where s.study_name = ?"
    for trial, number, state in query(database, wanted, study):
        assert number not in found
        rows = [
            query(database, f"select {columns} from {table} where trial_id = ? order by 1", trial)
            for columns, table in TRIAL_ROWS
        ]
        found[number] = (state, *rows)
    return found


def both(study):
    """Returns what both stores of a home have of a study."""
    return runs(study.home / "mlflow.db", study.study), trials(study.home / "optuna.db", study.study)


def ship(study, *names, uri=None, say=lambda line: None):
    """Ships to the stores in this process, as `hpsearch sync` does."""
    return shipping.sync(study.folder, study.home, uri, names or ("mlflow", "optuna"), say=say)


def whole(database):
    """Whether SQLite's integrity check passes."""
    return query(database, "pragma integrity_check") == [("ok",)]


@contextlib.contextmanager
def held(database, statement="BEGIN EXCLUSIVE"):
    """Holds another process's lock on a database."""
    other = sqlite3.connect(database, isolation_level=None, timeout=30)
    other.execute(statement)
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


@contextlib.contextmanager
def measured(figures, name):
    """Adds the seconds that something took to the figures."""
    began = time.monotonic()
    yield
    figures[name] = round(time.monotonic() - began, 2)


def often(*cases, every):
    """Returns the cases of each test run, and those that `-m slow` adds."""
    return [*cases, *(pytest.param(*case, marks=pytest.mark.slow) for case in every if case not in cases)]


class Small(Written):
    """A study of two trials: one overfits, one is interrupted."""

    def __init__(self, home, study):
        super().__init__(home, study)
        self.events = [event for event in self.events if event.get("trial", 1) in (1, 3)]
        (self.folder / "journal.jsonl").write_bytes(b"".join(map(encode, self.events)))


class Reference:
    """Homes without faults, which show what a journal should become in the stores."""

    def __init__(self, folder):
        self.folder, self.count = folder, 0

    def of(self, study_folder):
        """Returns what both stores should have of a study without a driver."""
        home, name = self.folder / str(self.count), study_folder.name
        self.count += 1
        blank.home(home)
        (home / name).mkdir()
        shutil.copy(study_folder / "journal.jsonl", home / name)
        lacking = shipping.sync(home / name, home, None, ("mlflow", "optuna"))
        assert lacking == {"mlflow": 0, "optuna": 0}
        return runs(home / "mlflow.db", name), trials(home / "optuna.db", name)
