"""The content of a real Optuna database, read with Optuna."""

from __future__ import annotations

import contextlib
import math
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from hpsearch.results.pictures import local_time
from hpsearch.views import shipping
from hpsearch.views.follower import state_file

NewStudy = Callable[[str], Any]


def ship(study: Any, **options: Any) -> dict[str, int]:
    return shipping.sync(study.folder, study.home, None, ["optuna"], **options)


@contextlib.contextmanager
def opened(home: Path, name: str) -> Iterator[optuna.Study]:
    storage = optuna.storages.RDBStorage(f"sqlite:///{home / 'optuna.db'}")
    yield optuna.load_study(study_name=name, storage=storage)
    storage.remove_session()
    storage.engine.dispose()


def trials(study: Any) -> list[optuna.trial.FrozenTrial]:
    with opened(study.home, study.study) as found:
        return found.get_trials()


def test_trials_under_their_numbers_by_value(new_study: NewStudy) -> None:
    study = new_study("numbers")
    assert ship(study) == {"optuna": 0}
    found = trials(study)
    assert [trial.number for trial in found] == [0, 1, 2, 3]
    assert found[1].params == {"learning_rate": 0.003, "batch_size": 16, "n_layers": 3}
    assert found[1].distributions["batch_size"] == optuna.distributions.CategoricalDistribution((8, 16, 32))
    assert found[1].distributions["learning_rate"] == optuna.distributions.FloatDistribution(1e-4, 0.1, log=True)
    assert [t.state for t in found] == [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.PRUNED, TrialState.WAITING]
    assert [t.value for t in found] == [2.0, 1.5, 3.0, None]
    assert found[1].intermediate_values == {1: 2.4, 2: 1.5, 3: 1.9}
    assert math.isnan(found[2].intermediate_values[2])
    assert (found[1].user_attrs["outcome"], found[1].user_attrs["reason"]) == ("overfit", "it overfit")


def test_the_study_names_its_metric_and_best_trial(new_study: NewStudy) -> None:
    study = new_study("named")
    ship(study)
    with opened(study.home, "named") as found:
        assert found.metric_names == ["val/loss"]
        assert found.direction == optuna.study.StudyDirection.MINIMIZE
        assert found.best_trial.number == 1


def test_start_and_end_of_a_trial_are_those_of_the_journal(new_study: NewStudy) -> None:
    """Not those of the write, which may be hours later."""
    study = new_study("timed")
    study.follow("optuna")
    study.later(event="trial_started", trial=3, attempt=2, device="cpu", worker=0)
    study.follow("optuna")  # Optuna knows it as running
    ended = study.later(event="trial_finished", trial=3, outcome="completed", state="COMPLETE", value=2.2, seconds=1.0)
    study.follow("optuna")
    asked = {e["trial"]: e["time"] for e in study.events if e["event"] == "trial_asked"}
    finished = {e["trial"]: e["time"] for e in study.events if e["event"] == "trial_finished"}
    assert finished[3] == ended["time"]
    for trial in trials(study):
        assert (trial.datetime_start, trial.datetime_complete) == (
            local_time(asked[trial.number]),
            local_time(finished[trial.number]),
        )


def test_wrong_times_left_by_a_killed_view_are_corrected(new_study: NewStudy) -> None:
    study = new_study("mistimed")
    ship(study)
    before = trials(study)
    with sqlite3.connect(study.home / "optuna.db") as database:
        database.execute("update trials set datetime_complete = '2030-01-01 00:00:00.000000' where number = 1")
    assert repr(trials(study)) != repr(before)
    state_file(study.folder, "optuna").unlink()  # killed before it had noted what it shipped
    ship(study)
    assert repr(trials(study)) == repr(before)


def test_a_replay_changes_nothing(new_study: NewStudy) -> None:
    study = new_study("replayed")
    ship(study)
    before = trials(study)
    state_file(study.folder, "optuna").unlink()
    ship(study)
    assert repr(trials(study)) == repr(before)  # repr: nan differs from itself


def test_a_trial_grows_event_by_event(new_study: NewStudy) -> None:
    study = new_study("grown")
    lines = (study.folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (study.folder / "journal.jsonl").write_bytes(b"".join(lines[:5]))  # up to the first evaluation of trial 0
    study.follow("optuna")
    first = trials(study)[0]
    assert (first.state, first.intermediate_values) == (TrialState.RUNNING, {1: 3.0})
    (study.folder / "journal.jsonl").write_bytes(b"".join(lines))
    ship(study)
    whole = trials(study)[0]
    assert (whole.state, whole.value, whole.intermediate_values) == (TrialState.COMPLETE, 2.0, {1: 3.0, 2: 2.5, 3: 2.0})


def test_no_trial_runs_without_a_driver(new_study: NewStudy) -> None:
    study = new_study("killed in optuna")
    study.later(event="driver_started", pid=2, host="here", workers=1, device="cpu")
    study.later(event="trial_started", trial=3, attempt=2, device="cpu", worker=0)
    study.follow("optuna")
    assert trials(study)[3].state == TrialState.RUNNING
    study.later(event="driver_started", pid=3, host="here", workers=1, device="cpu")
    study.follow("optuna")
    assert trials(study)[3].state == TrialState.WAITING
    assert trials(study)[3].user_attrs["attempt"] == 2


def test_a_paused_trial_stays_running_without_a_driver(new_study: NewStudy) -> None:
    """Optuna has no such state: another program would start a WAITING trial."""
    study = new_study("paused in optuna")
    study.later(event="trial_started", trial=3, attempt=2, device="cpu", worker=0)
    study.later(event="trial_paused", trial=3, evaluation=2, saved=True, reason="the others come first")
    study.later(event="driver_stopped", reason="finished")
    study.follow("optuna")
    ship(study)
    assert trials(study)[3].state == TrialState.RUNNING
    assert "reason" not in trials(study)[3].user_attrs
    study.later(event="trial_resumed", trial=3)
    ship(study)
    assert trials(study)[3].state == TrialState.WAITING


def test_a_new_study_replaces_one_of_the_same_name(new_study: NewStudy) -> None:
    study = new_study("anew")
    ship(study)
    created = {**study.events[0], "time": study.events[0]["time"] + 1000}
    state_file(study.folder, "optuna").unlink()
    (study.folder / "journal.jsonl").unlink()
    study.add(created)
    ship(study)
    assert trials(study) == []


@pytest.mark.parametrize("damage", [b"not a database", b""])
def test_a_damaged_database_is_set_aside_and_rebuilt(tmp_path: Path, new_study: NewStudy, damage: bytes) -> None:
    study, said = type(new_study("damaged" if damage else "emptied"))(tmp_path, "mended"), []
    ship(study)
    for suffix in ("-wal", "-shm"):
        Path(f"{tmp_path / 'optuna.db'}{suffix}").unlink(missing_ok=True)
    (tmp_path / "optuna.db").write_bytes(damage)
    study.later(event="driver_started", pid=2, host="here", workers=1, device="cpu")
    assert ship(study, say=said.append) == {"optuna": 0}
    assert [t.value for t in trials(study)] == [2.0, 1.5, 3.0, None]
    assert len(list(tmp_path.glob("optuna.db.corrupt-*"))) == bool(damage)


def test_a_locked_database_is_retried(tmp_path: Path, new_study: NewStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpsearch.views.sqlite.BUSY_TIMEOUT", 0.05)
    monkeypatch.setattr("hpsearch.views.shipping.BACKOFF", (0.01,))
    study, said = type(new_study("behind"))(tmp_path, "behind"), []
    other = sqlite3.connect(tmp_path / "optuna.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert ship(study, say=said.append) == {"optuna": len(study.events)}
    assert len(said) == 1
    assert "hpsearch retries" in said[0]
    other.execute("ROLLBACK")
    other.close()
    assert ship(study) == {"optuna": 0}


def test_a_full_disk_is_reported_in_the_databases_words(tmp_path: Path) -> None:
    from sqlalchemy import event

    from hpsearch.views.follower import describe
    from hpsearch.views.optuna import file_storage, release

    storage = file_storage(tmp_path / "optuna.db")
    number = storage.create_new_study([optuna.study.StudyDirection.MINIMIZE], "full")
    storage.remove_session()
    storage.engine.dispose()
    event.listen(storage.engine, "connect", lambda connection, _: connection.execute("PRAGMA max_page_count = 1"))
    with pytest.raises(optuna.exceptions.StorageInternalError, match="invalid data") as refusal:
        storage.set_study_user_attr(number, "long", "x" * 1_000_000)
    assert describe(refusal.value) == "OperationalError: database or disk is full"
    release(storage)
