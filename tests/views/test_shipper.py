"""The shipping process: ships while the journal grows, is restarted when killed, blocks nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hpsearch.errors import HpsearchError
from hpsearch.system.file_lock import locked
from hpsearch.views import shipper
from hpsearch.views.follower import state_file
from tests import blank, warm
from tests.cli.processes import wait_for
from tests.views.conftest import NewStudy, Written, runs_of

linux = pytest.mark.skipif(sys.platform != "linux", reason="a thread has a priority of its own on Linux")


@pytest.fixture
def fresh() -> Iterator[None]:
    """The shipping process is a new interpreter, as that of a user is."""
    with warm.fresh_shipping():
        yield


@pytest.mark.usefixtures("fresh")
def test_a_process_ships_while_the_journal_grows(client: Any, new_study: NewStudy) -> None:
    study, said, seen = new_study("process"), [], []
    started = shipper.start(study.folder, study.home, None, ["mlflow"], say=said.append)
    assert started.ready.wait(600)
    study.later(event="driver_started", pid=2, host="here", workers=1, device="cpu")
    with pytest.raises(HpsearchError, match="held by another"), locked(study.folder / "views/lock", timeout=0):
        pass
    assert started.finish(600, seen.append) == {"mlflow": 0}
    assert started.lag() == {"mlflow": 0}
    assert said == []
    assert len(runs_of(client, "process")) == 5


@pytest.mark.usefixtures("fresh")
def test_a_killed_shipping_process_is_restarted(client: Any, new_study: NewStudy) -> None:
    study = new_study("shot")
    started = shipper.start(study.folder, study.home, None, ["mlflow"])
    deadline = time.monotonic() + 600
    while not state_file(study.folder, "mlflow").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(started._process.pid, signal.SIGKILL)
    started._process.wait()
    study.later(event="driver_started", pid=2, host="here", workers=1, device="cpu")
    assert started.lag()["mlflow"] >= 1
    assert started.finish(600) == {"mlflow": 0}
    assert len(runs_of(client, "shot")) == 5


def test_a_server_that_is_down_stops_nothing(client: Any, new_study: NewStudy) -> None:
    study, said = new_study("away"), []
    nobody = "http://user:S3CRET@127.0.0.1:9"  # the discard port: refuses at once
    began = time.monotonic()
    started = shipper.start(study.folder, study.home, nobody, ["mlflow"], say=said.append)
    assert time.monotonic() - began < 10
    assert started.finish(600) == {"mlflow": len(study.events)}
    assert len(said) == 1
    assert "S3CRET" not in said[0]


@linux
def test_a_process_that_imports_has_a_normal_priority_until_its_views_are_open(new_study: NewStudy) -> None:
    """Else a short study on a busy machine waits a minute for the import of MLflow, and gives up."""
    study = new_study("opening")
    with locked(study.home / ".views.lock"):  # no view opens
        started = shipper.start(study.folder, study.home, None, ["mlflow", "optuna"])
        wait_for(lambda: len(priorities(started)) >= 6)  # two threads for each view: the import is done
        assert set(priorities(started)) == {0}
        started.kill()


@linux
def test_the_priority_is_low_while_trials_train_and_normal_once_a_person_waits(new_study: NewStudy) -> None:
    study = new_study("priority")
    started = shipper.start(study.folder, study.home, None, ["mlflow", "optuna"])
    assert started.ready.wait(600)
    assert priorities(started).count(10) == 2
    started.hurry()
    wait_for(lambda: set(priorities(started)) == {0})
    study.later(event="driver_started", pid=2, host="here", workers=1, device="cpu")
    wait_for(lambda: not any(started.lag().values()))
    assert started._process.poll() is None  # the export is still to come
    assert started.finish(600) == {"mlflow": 0, "optuna": 0}


@linux
@pytest.mark.slow
def test_a_store_that_is_opened_again_does_not_lower_the_priority_again(tmp_path: Path) -> None:
    study = Written(blank.home(tmp_path / "home"), "twice")
    started = shipper.start(study.folder, study.home, None, ["optuna"])
    assert started.ready.wait(600)
    before = (study.home / "optuna.db").stat().st_ino
    (study.home / "optuna.db").unlink()
    wait_for(lambda: inode(study.home / "optuna.db") not in (before, 0))
    study.later(event="driver_started", pid=2, host="here", workers=1, device="cpu")
    wait_for(lambda: not any(started.lag().values()))  # so the new file is open
    assert sorted({*priorities(started)}) == [0, 10]
    started.kill()


def inode(path: Path) -> int:
    """Which file it is; 0: none."""
    return path.stat().st_ino if path.exists() else 0


@linux
def test_a_process_that_is_restarted_at_the_end_keeps_a_normal_priority(new_study: NewStudy) -> None:
    study = new_study("again")
    started = shipper.start(study.folder, study.home, None, ["optuna"])
    assert started.ready.wait(600)
    assert priorities(started).count(10) == 1
    started.hurry()
    os.kill(killed := started._process.pid, signal.SIGKILL)
    wait_for(lambda: started._process.pid != killed)
    study.later(event="driver_started", pid=2, host="here", workers=1, device="cpu")
    wait_for(lambda: not any(started.lag().values()))
    assert set(priorities(started)) == {0}
    assert started.finish(600) == {"optuna": 0}


def priorities(started: shipper.Shipper) -> list[int]:
    """By how much the priority of each thread of the shipping process is below this process's."""
    found = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{started._process.pid}/task").iterdir():
            found.append(int((task / "stat").read_text().rpartition(")")[2].split()[16]))  # man 5 proc_pid_stat
    return [one - os.nice(0) for one in found]


def test_what_a_view_imports_when_it_opens_is_loaded_before() -> None:
    code = "import sys; from hpsearch.views import shipping; shipping.load(['mlflow', 'optuna', 'none'])"
    names = "'mlflow.store.tracking.sqlalchemy_store', 'optuna.storages', 'matplotlib.figure'"
    found = subprocess.run([sys.executable, "-c", f"{code}; print([n in sys.modules for n in ({names})])"], stdout=-1)
    assert found.stdout.split() == [b"[True,", b"True,", b"True]"]
