"""The open journal of a driver: appends at once, syncs in batches, retries while the disk refuses writes."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import stat
import threading
import time
from pathlib import Path
from typing import Any

from hpsearch.errors import HpsearchError, StorageFailed, StudyBusy
from hpsearch.journal.lines import Entry, encode
from hpsearch.system import failpoints
from hpsearch.system.atomic import sync_folder

PATIENCE = 60.0  # seconds for which writes are retried
RETRY_INTERVAL = 0.5  # seconds

_log = logging.getLogger(__name__)


class Journal:
    """The open journal of one study; one process writes it."""

    def __init__(self, path: Path, *, after: float = 0.0) -> None:
        """Opens or creates the file (mode 0600). New events are not earlier than `after`, the time of its last event.

        Raises StudyBusy if another process writes it, HpsearchError if it cannot be written or is a link.
        """
        self.path = path
        self._file = _open(path)
        self._size = self._synced_size = _cut_torn_tail(self._file)
        self._start, self._clock = max(time.time(), after), time.monotonic()
        self._changed = threading.Condition()
        self._unwritten: list[bytes] = []
        self._unsynced: list[bytes] = []
        self._appended = self._synced = 0
        self._closing = False
        self._error: OSError | None = None
        self._failure: OSError | None = None
        self._writer = threading.Thread(target=self._sync_batches, name="journal", daemon=True)
        self._writer.start()

    @property
    def now(self) -> float:
        """The time of an event that would be written now, unix seconds."""
        return self._start + time.monotonic() - self._clock

    def append(self, event: str, **fields: Any) -> Entry:
        """Writes an event without waiting for the disk; returns the event as it will be read.

        Its time is the wall clock's at the journal's opening plus the monotonic time since: it never runs backwards.
        On a full disk the line waits in memory; raises StorageFailed once that has lasted PATIENCE seconds.
        """
        entry = {"time": self.now, "event": event, **fields}
        with self._changed:
            self._check()
            self._unwritten.append(encode(entry))
            self._appended += 1
            if self._error is None:
                self._write()
            self._changed.notify_all()
        failpoints.hit("journal_written")
        return entry

    def sync(self) -> None:
        """Returns once all appended events are on the disk; raises StorageFailed if that is not possible."""
        with self._changed:
            wanted = self._appended
            self._changed.wait_for(lambda: self._synced >= wanted or self._failure is not None)
            if self._synced < wanted:
                self._check()
        failpoints.hit("journal_synced")

    def close(self) -> None:
        """Syncs the events that wait (with one more retry on a failing disk) and ends the writer."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._writer.join()
        os.close(self._file)

    def _check(self) -> None:
        if self._failure is not None:
            raise StorageFailed(
                f"{self.path}: cannot be written ({self._failure.strerror}); what was finished is on the disk, and the "
                "same command resumes from there"
            )

    # ------------------------------------------------------------------------------------------ with the lock held

    def _write(self) -> None:
        """Writes the lines that wait, all or none."""
        data = b"".join(self._unwritten)
        try:
            _write_all(self._file, data)
        except OSError as error:
            self._truncate(self._size)
            self._error = error
            return
        self._size += len(data)
        self._unsynced += self._unwritten
        self._unwritten = []
        self._error = None

    def _truncate(self, size: int) -> None:
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, size)

    # ------------------------------------------------------------------------------------------------ in the thread

    def _sync_batches(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._unsynced or self._error or self._closing)
                if not self._unsynced and not self._unwritten:
                    return
                lines, size = len(self._unsynced), self._size
            if self._error is None:
                self._sync(lines, size)
            if self._error is not None and not self._recover():
                return

    def _sync(self, lines: int, size: int) -> None:
        """Syncs the first `lines` unsynced lines; after an error all unsynced lines are written again.

        (A failed fsync may drop them from the system's cache, and reports that only once.)
        """
        try:
            os.fdatasync(self._file) if hasattr(os, "fdatasync") else os.fsync(self._file)
        except OSError as error:
            with self._changed:
                self._error = error
                self._unwritten = self._unsynced + self._unwritten
                self._unsynced, self._size = [], self._synced_size
                self._truncate(self._size)
            return
        with self._changed:
            del self._unsynced[:lines]
            self._synced_size, self._synced = size, self._synced + lines
            self._changed.notify_all()

    def _recover(self) -> bool:
        """Retries the write for at most PATIENCE seconds; returns whether it succeeded."""
        began = time.monotonic()
        _log.warning("%s: cannot be written (%s); trying again for %.0f s", self.path, _strerror(self), PATIENCE)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing, timeout=RETRY_INTERVAL)
                self._write()
                if self._error is None:
                    _log.warning("%s: is written again", self.path)
                    return True
                if self._closing or time.monotonic() - began > PATIENCE:
                    self._failure = self._error
                    self._changed.notify_all()
                    return False


def _strerror(journal: Journal) -> str:
    return str(journal._error.strerror if journal._error else "")


def _open(path: Path) -> int:
    """Opens and locks the file: no two drivers write one journal even if someone removed the study's lock."""
    is_new = not path.exists()
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        file = os.open(path, flags, 0o600)
    except OSError as error:
        raise HpsearchError(f"{path}: cannot write the journal: {error.strerror}") from error
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            raise HpsearchError(f"{path}: the journal must be a file of its own, not a link or a device")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        raise StudyBusy(f"{path}: another process writes this journal") from error
    except HpsearchError:
        os.close(file)
        raise
    if is_new:
        sync_folder(path.parent)
    return file


def _cut_torn_tail(file: int) -> int:
    """Truncates the file after its last complete line; returns its size."""
    size = end = os.fstat(file).st_size
    while end > 0:
        begin = max(0, end - (1 << 16))
        found = os.pread(file, end - begin, begin).rfind(b"\n")
        end = begin + found + 1 if found >= 0 else begin
        if found >= 0:
            break
    if end < size:
        os.ftruncate(file, end)
        os.fsync(file)
    return end


def _write_all(file: int, data: bytes) -> None:
    """Writes every byte to a file descriptor (os.write may write fewer)."""
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
