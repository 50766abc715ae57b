"""The lock of a study: one driver at a time, released with its process."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

from hpsearch.errors import HpsearchError, StudyBusy
from hpsearch.journal.study_lock import StudyLock, is_locked

HOLD = (
    "import sys, time; from pathlib import Path; from hpsearch.journal.study_lock import StudyLock\n"
    "lock = StudyLock(Path(sys.argv[1]), what=\"study 'toy'\"); print('held', flush=True); time.sleep(600)"
)


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "lock")], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_driver_is_refused_and_told_who_has_it(tmp_path, holder):
    with pytest.raises(StudyBusy, match=rf"study 'toy' is being run by pid {holder.pid} on host \S+ since 20\d\d-"):
        StudyLock(tmp_path / "lock", what="study 'toy'")
    assert StudyBusy.exit_code == 73


def test_a_killed_driver_releases_the_lock(tmp_path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    StudyLock(tmp_path / "lock", what="study 'toy'").release()


def test_a_released_lock_can_be_acquired_again(tmp_path):
    for _ in range(2):
        lock = StudyLock(tmp_path / "lock", what="study 'toy'")
        with pytest.raises(StudyBusy, match=f"pid {os.getpid()}"):
            StudyLock(tmp_path / "lock", what="study 'toy'")
        lock.release()


def test_a_holder_without_a_name_is_another_process(tmp_path):
    lock = StudyLock(tmp_path / "lock", what="study 'toy'")
    (tmp_path / "lock").write_text("{")
    with pytest.raises(StudyBusy, match="another process"):
        StudyLock(tmp_path / "lock", what="study 'toy'")
    lock.release()


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path):
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "lock").symlink_to(tmp_path / "victim")
    with pytest.raises(HpsearchError, match="symbolic links"):
        StudyLock(tmp_path / "lock", what="study 'toy'")
    assert (tmp_path / "victim").read_text() == "precious"


def test_a_hard_link_in_place_of_the_lock_is_refused(tmp_path):
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "lock").hardlink_to(tmp_path / "victim")
    with pytest.raises(HpsearchError, match="not a link"):
        StudyLock(tmp_path / "lock", what="study 'toy'")
    assert (tmp_path / "victim").read_text() == "precious"


def test_a_lock_left_by_a_crash_is_free_even_if_its_pid_is_reused(tmp_path):
    """After a reboot another process has the pid; it is not disturbed."""
    unrelated = subprocess.Popen(["sleep", "60"])
    owner = {"pid": unrelated.pid, "host": socket.gethostname(), "since": "2020-01-01 00:00:00", "boot": "another"}
    (tmp_path / "lock").write_text(json.dumps(owner))
    StudyLock(tmp_path / "lock", what="study 'toy'").release()
    assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()
    assert unrelated.poll() is None
    unrelated.kill()
    unrelated.wait()


def test_checking_the_lock_does_not_block_a_driver(tmp_path, holder):
    assert is_locked(tmp_path / "lock")
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert not is_locked(tmp_path / "lock")
    assert not is_locked(tmp_path / "none")
    look = os.open(tmp_path / "lock", os.O_RDONLY)
    fcntl.flock(look, fcntl.LOCK_SH)  # another process is checking
    threading.Timer(0.08, os.close, [look]).start()
    StudyLock(tmp_path / "lock", what="study 'toy'").release()
