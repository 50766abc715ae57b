"""Locks between processes."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from hpsearch.errors import HpsearchError
from hpsearch.system.file_lock import acquire, locked

HOLDER = """
import sys, time; from pathlib import Path; from hpsearch.system.file_lock import locked
with locked(Path(sys.argv[1])): print("held", flush=True); time.sleep(1000)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds `lock`."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path / "lock"], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_lock_that_another_process_holds_is_refused_in_one_line(holder, tmp_path):
    with pytest.raises(HpsearchError) as refused, locked(tmp_path / "lock", timeout=0, busy="is taken"):
        pass
    assert str(refused.value) == f"{tmp_path}/lock: is taken"
    with pytest.raises(BlockingIOError):
        acquire(tmp_path / "lock")


def test_a_waiting_process_acquires_the_lock_of_a_dead_one(holder, tmp_path):
    threading.Timer(0.3, holder.send_signal, [signal.SIGKILL]).start()
    with locked(tmp_path / "lock", timeout=60):
        assert holder.wait(60) == -signal.SIGKILL


def test_a_forked_process_neither_holds_nor_releases_it(tmp_path):
    lock = acquire(tmp_path / "lock")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(reader, 1)
        os._exit(0)
    with pytest.raises(BlockingIOError):
        acquire(tmp_path / "lock")
    lock.release()
    acquire(tmp_path / "lock").release()
    os.write(writer, b".")
    os.waitpid(child, 0)
    os.close(reader), os.close(writer)


def test_the_file_and_its_folder_are_private(tmp_path):
    with locked(tmp_path / "new" / "lock"):
        pass
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("new", "new/lock")] == [0o700, 0o600]


def test_a_folder_without_write_permission_raises_oserror(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"Not a directory|File exists"), locked(tmp_path / "file" / "lock"):
        pass


def test_any_thread_may_release_it(tmp_path):
    lock = acquire(tmp_path / "lock")
    other = threading.Thread(target=lock.release)
    other.start()
    other.join()
    acquire(tmp_path / "lock").release()
