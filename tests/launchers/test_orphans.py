"""A worker's processes (of a DataLoader, other programs) die with it, however it ends."""

import json
import os
import signal
import subprocess
import sys

import pytest

from hpsearch.launchers.local import LocalLauncher
from hpsearch.launchers.messages import Evaluated, Failed
from hpsearch.testing.launchers import place, task, worker_settings
from tests.cli.processes import alive, wait_for

CHILDREN = "python:tests.launchers.children:with_children"
LOADER = "python:tests.launchers.children:with_loader"
ENDS = 5.0  # seconds


@pytest.fixture
def training(tmp_path, monkeypatch):
    """A launcher with a training worker, and pids: the worker, a fork of it, two programs."""
    if sys.platform != "linux":
        pytest.skip("needs Linux")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    launcher = LocalLauncher([worker_settings(tmp_path)], trainer=CHILDREN)
    yield launcher, trained(launcher, tmp_path)
    launcher.close()


def trained(launcher, folder):
    """Trains up to the first evaluation; returns the pids of the worker and its child processes."""
    place(launcher, task(folder))
    found = said(launcher, limit=600)
    assert isinstance(found, Evaluated), found
    family = json.loads((folder / "0000" / "pids.json").read_text())
    assert len(family) == 4
    assert alive(family) == family
    return family


def said(launcher, limit=20.0):
    return wait_for(lambda: launcher.messages(timeout=0.1), limit=limit)[0]


def test_close_kills_them_all(training):
    launcher, family = training
    launcher.close()
    assert alive(family) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_they_are_killed_before_a_worker_is_replaced(training, number):
    """The fork holds the pipe to the driver too; the driver notices the death anyway."""
    launcher, family = training
    os.kill(family[0], number)
    found = said(launcher)
    assert isinstance(found, Failed)
    assert (found.kind, found.reason[:20]) == ("died", "the worker was kille")
    assert alive(family) == []


def test_they_are_killed_with_a_worker_that_hangs(training, tmp_path):
    launcher, family = training
    launcher.stall_timeout = 1.0
    os.kill(family[0], signal.SIGSTOP)
    found = said(launcher)
    assert (found.kind, found.reason) == ("stalled", "no step for 1 s")
    assert alive(family) == []


def test_a_terminated_worker_does_not_wait_for_them(training, tmp_path):
    launcher, family = training
    launcher._workers[0].process.terminate()
    launcher.close()
    assert alive(family) == []


def test_the_processes_of_a_data_loader_die_with_a_killed_driver(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    driver = os.fork()
    if driver == 0:
        try:
            trained(LocalLauncher([worker_settings(tmp_path)], trainer=LOADER), tmp_path)
            (tmp_path / "trains").touch()
            signal.pause()
        finally:
            os._exit(1)
    wait_for((tmp_path / "trains").exists)
    family = json.loads((tmp_path / "0000" / "pids.json").read_text())
    assert alive(family) == family
    os.kill(driver, signal.SIGKILL)
    os.waitpid(driver, 0)
    wait_for(lambda: not alive(family), limit=ENDS)


def test_a_driver_that_does_not_close_its_launcher_ends(tmp_path):
    """multiprocessing waits for its children at the end of a program: it must not wait for workers."""
    code = (
        "import sys; from pathlib import Path; from hpsearch.launchers.local import LocalLauncher;"
        "from hpsearch.testing.launchers import worker_settings;"
        "launcher = LocalLauncher([worker_settings(Path(sys.argv[1]))], trainer='python:hpsearch.testing.toy:Toy')"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], timeout=600, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
