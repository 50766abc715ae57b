"""The open journal: what is acknowledged can be read again, a torn tail is cut off, a full disk is waited for."""

import errno
import os
import stat
import subprocess
import sys
import threading
import time

import pytest

from hpsearch import journal
from hpsearch.errors import HpsearchError, StorageFailed, StudyBusy
from hpsearch.journal import Journal, writer
from tests.journal.writing import write


def test_a_synced_event_survives_a_kill(tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path; from hpsearch.journal import Journal\n"
        "j = Journal(Path(sys.argv[1])); j.append('study_created'); j.append('trial_asked', trial=7); j.sync()\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "j")], cwd=os.getcwd(), check=False)
    assert [event["event"] for event in journal.read(tmp_path / "j")] == ["study_created", "trial_asked"]


@pytest.mark.parametrize("cut", [1, 2, 12, 30])
def test_a_torn_tail_is_cut_and_the_next_event_follows(tmp_path, cut):
    path = tmp_path / "j"
    write(path, "study_created", "a", "b")
    path.write_bytes(path.read_bytes()[:-cut])
    write(path, "c")
    assert [event["event"] for event in journal.read(path)] == ["study_created", "a", "c"]


def test_the_journal_is_private(tmp_path):
    write(tmp_path / "j", "study_created")
    assert stat.S_IMODE((tmp_path / "j").stat().st_mode) == 0o600


def test_what_was_appended_is_in_the_file_at_once(tmp_path):
    """Before any sync: a killed process takes nothing along that was answered."""
    code = (
        "import os, signal, sys; from pathlib import Path; from hpsearch import journal\n"
        "os.fdatasync = lambda file: __import__('time').sleep(60)\n"
        "j = journal.Journal(Path(sys.argv[1])); j.append('study_created'); j.append('trial_asked', trial=7)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "j")], cwd=os.getcwd(), check=False)
    assert [event["event"] for event in journal.read(tmp_path / "j")] == ["study_created", "trial_asked"]


def test_two_processes_cannot_write_one_journal(tmp_path):
    log = Journal(tmp_path / "j")
    with pytest.raises(StudyBusy, match="another process writes this journal"):
        Journal(tmp_path / "j")
    log.close()
    Journal(tmp_path / "j").close()


@pytest.mark.parametrize("kind", ["symlink", "hard link", "folder"])
def test_only_a_file_of_its_own_is_a_journal(tmp_path, kind):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path = tmp_path / "j"
    {"symlink": path.symlink_to, "hard link": path.hardlink_to, "folder": lambda _: path.mkdir()}[kind](victim)
    with pytest.raises(HpsearchError, match=str(path)):
        Journal(path)
    assert victim.read_text() == "precious"


def test_times_never_run_backwards(tmp_path, monkeypatch):
    later = time.time() + 3600
    log = Journal(tmp_path / "j", after=later)
    first = log.append("study_created")["time"]
    monkeypatch.setattr(time, "time", lambda: 0.0)  # somebody sets the clock
    second = log.append("a")["time"]
    log.close()
    assert later <= first <= second < later + 60


class SlowDisk:
    """os.fdatasync as it is on a disk that takes its time: each call waits until it is let go."""

    def __init__(self, monkeypatch):
        self.begun, self.let_go = threading.Semaphore(0), threading.Semaphore(0)
        self.broken = False
        self._fdatasync = os.fdatasync
        monkeypatch.setattr(os, "fdatasync", self.fdatasync)

    def fdatasync(self, file):
        self.begun.release()
        assert self.let_go.acquire(timeout=600)
        if self.broken:
            self.broken = False
            raise OSError(errno.EIO, "Input/output error")
        self._fdatasync(file)


@pytest.fixture
def synced():
    """Has a journal synced in a thread; gives what is set once that is acknowledged."""

    def start(log):
        acknowledged = threading.Event()
        threading.Thread(target=lambda: (log.sync(), acknowledged.set()), daemon=True).start()
        return acknowledged

    return start


def test_nothing_is_acknowledged_before_the_disk_has_it(tmp_path, monkeypatch, synced):
    disk, log = SlowDisk(monkeypatch), Journal(tmp_path / "j")
    log.append("study_created")
    acknowledged = synced(log)
    assert disk.begun.acquire(timeout=600)
    assert not acknowledged.wait(0.05)
    disk.let_go.release()
    assert acknowledged.wait(30)
    log.close()


def test_a_sync_under_way_acknowledges_nothing_that_came_after_it_began(tmp_path, monkeypatch, synced):
    disk, log = SlowDisk(monkeypatch), Journal(tmp_path / "j")
    log.append("study_created")
    assert disk.begun.acquire(timeout=600)
    log.append("late")
    acknowledged = synced(log)
    disk.let_go.release()
    assert disk.begun.acquire(timeout=600)  # the second, for what came late
    assert not acknowledged.wait(0.05)
    disk.let_go.release()
    assert acknowledged.wait(30)
    log.close()


# -------------------------------------------------------------------------------------------------------- full disks


class Disk:
    """A disk that can be full: os.write and os.fdatasync of the journal's file fail as on one."""

    def __init__(self, monkeypatch):
        self.full, self.broken, self.half = False, False, False
        self._write, self._fdatasync = os.write, os.fdatasync
        monkeypatch.setattr(os, "write", self.write)
        monkeypatch.setattr(os, "fdatasync", self.fdatasync)
        monkeypatch.setattr(writer, "RETRY_INTERVAL", 0.01)

    def write(self, file, data):
        if self.half and len(data) > 10:
            self.half, self.full = False, True
            return self._write(file, data[:10])
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._write(file, data)

    def fdatasync(self, file):
        if self.broken:
            self.broken = False
            raise OSError(errno.EIO, "Input/output error")
        self._fdatasync(file)


@pytest.fixture
def disk(monkeypatch):
    return Disk(monkeypatch)


@pytest.mark.parametrize("fault", ["full", "half", "broken"])
def test_nothing_is_lost_or_doubled_when_a_disk_fails_for_a_while(tmp_path, disk, fault, caplog):
    log = Journal(tmp_path / "j")
    log.append("study_created")
    log.sync()
    setattr(disk, fault, True)
    for name in "abc":
        log.append(name)
    time.sleep(0.05)
    assert all(journal.decode(line + b"\n") for line in (tmp_path / "j").read_bytes().split(b"\n")[:-1])
    disk.full = False
    log.sync()
    log.append("d")
    log.close()
    assert [event["event"] for event in journal.read(tmp_path / "j")] == ["study_created", *"abcd"]
    said = [record.message for record in caplog.records]
    assert "trying again" in said[0]
    assert "is written again" in said[-1]


def test_a_disk_that_stays_full_is_an_error_and_no_acknowledgement(tmp_path, disk, monkeypatch):
    monkeypatch.setattr(writer, "PATIENCE", 0.05)
    log = Journal(tmp_path / "j")
    log.append("study_created")
    log.sync()
    disk.full = True
    log.append("a")
    with pytest.raises(StorageFailed, match=r"cannot be written \(No space left on device\)"):
        log.sync()
    with pytest.raises(StorageFailed):
        log.append("b")
    log.close()
    assert [event["event"] for event in journal.read(tmp_path / "j")] == ["study_created"]
    assert StorageFailed.exit_code == 74


# ------------------------------------------------------------------------- what is appended while the disk is at work


@pytest.mark.parametrize("size", [70_000, 131_072, 200_000])
def test_a_torn_tail_longer_than_a_block_is_cut(tmp_path, size):
    path = tmp_path / "j"
    write(path, "study_created", "a")
    with path.open("ab") as file:
        file.write(b"x" * size)
    write(path, "b")
    assert [event["event"] for event in journal.read(path)] == ["study_created", "a", "b"]


def test_a_sync_that_fails_takes_back_what_came_after_the_one_before_began(tmp_path, monkeypatch):
    """Else the line that came while the first was under way would be in the file twice."""
    slow, log = SlowDisk(monkeypatch), Journal(tmp_path / "j")
    monkeypatch.setattr(writer, "RETRY_INTERVAL", 0.01)
    log.append("study_created")
    assert slow.begun.acquire(timeout=600)
    log.append("late")
    slow.let_go.release()
    assert slow.begun.acquire(timeout=600)
    slow.broken = True
    slow.let_go.release(100)
    log.sync()
    log.close()
    assert [event["event"] for event in journal.read(tmp_path / "j")] == ["study_created", "late"]


def test_lines_of_a_failed_sync_come_before_those_that_found_the_disk_full(tmp_path, monkeypatch):
    slow, log = SlowDisk(monkeypatch), Journal(tmp_path / "j")
    disk = Disk(monkeypatch)
    log.append("study_created")
    assert slow.begun.acquire(timeout=600)
    disk.full, slow.broken = True, True
    log.append("late")
    slow.let_go.release(100)
    time.sleep(0.05)
    disk.full = False
    log.sync()
    log.close()
    assert [event["event"] for event in journal.read(tmp_path / "j")] == ["study_created", "late"]


def test_a_journal_that_is_closed_is_on_the_disk(tmp_path, monkeypatch):
    slow, log = SlowDisk(monkeypatch), Journal(tmp_path / "j")
    log.append("study_created")
    assert slow.begun.acquire(timeout=600)
    log.append("late")
    closing = threading.Thread(target=log.close)
    closing.start()
    slow.let_go.release()
    assert slow.begun.acquire(timeout=600)  # the second, for what came late
    slow.let_go.release()
    closing.join(30)
    assert not closing.is_alive()
