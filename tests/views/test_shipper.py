"""The shipping process: ships while the journal grows, is restarted when killed, blocks nothing."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from hpsearch.errors import HpsearchError
from hpsearch.system.file_lock import locked
from hpsearch.views import shipper, shipping
from hpsearch.views.follower import state_file
from tests import warm
from tests.views.conftest import NewStudy, runs_of


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


def test_the_process_imports_before_it_lowers_its_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a short study on a busy machine waits a minute for the import of MLflow, and gives up."""
    did: list[Any] = []
    monkeypatch.setattr(shipping, "_load", did.append)
    monkeypatch.setattr(shipping, "_lower_priority", lambda: did.append("priority"))
    monkeypatch.setattr(shipping, "_step_back", lambda: None)
    monkeypatch.setattr(shipping, "_sender", lambda: did.append)
    monkeypatch.setattr(shipping, "_read_commands", lambda finishing: None)
    monkeypatch.setattr(shipping, "view_named", lambda name, *_, **__: did.append(f"view {name}") or _stop())
    monkeypatch.setattr("os._exit", lambda code: did.append(code))
    monkeypatch.setattr(threading, "excepthook", lambda given: None)
    with tempfile.TemporaryDirectory() as folder:
        task = {"study_folder": folder, "home": folder, "tracking": None, "names": ["mlflow"]}
        monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(task) + "\n"))
        shipping.main()
    assert did == ["mlflow", "priority", "view mlflow", 0]


def _stop() -> Any:
    raise RuntimeError("enough")


def test_what_a_view_imports_when_it_opens_is_loaded_before() -> None:
    code = "import sys; from hpsearch.views import shipping; shipping.load(['mlflow', 'optuna', 'none'])"
    names = "'mlflow.store.tracking.sqlalchemy_store', 'optuna.storages', 'matplotlib.figure'"
    found = subprocess.run([sys.executable, "-c", f"{code}; print([n in sys.modules for n in ({names})])"], stdout=-1)
    assert found.stdout.split() == [b"[True,", b"True,", b"True]"]
