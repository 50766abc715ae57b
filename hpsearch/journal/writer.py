"""The open journal of a driver: appended to at once, synced in batches, waiting for a disk that takes nothing."""

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

from hpsearch import failpoints
from hpsearch.atomic import sync_folder
from hpsearch.errors import HpsearchError, StorageFailed, StudyBusy
from hpsearch.journal.lines import Entry, encode

PATIENCE = 60.0  # seconds for which a disk that takes nothing is tried again
AGAIN = 0.5  # seconds between the tries

_log = logging.getLogger(__name__)


class Journal:
    """The open journal of one study; one process writes it."""

    def __init__(self, path: Path, *, after: float = 0.0) -> None:
        """Opens or creates the file (mode 0600); `after`: the time of its last event, which no new one precedes.

        Raises StudyBusy when another process writes it, HpsearchError when it cannot be written or is a link.
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
        self._trouble: OSError | None = None
        self._failure: OSError | None = None
        self._writer = threading.Thread(target=self._sync_batches, name="journal", daemon=True)
        self._writer.start()

    def append(self, event: str, **fields: Any) -> Entry:
        """Puts an event into the file and returns without waiting for the disk; gives the event as it will be read.

        Its time is the wall clock's when the journal was opened plus what has passed since: it never runs backwards.
        On a full disk the line waits in memory; raises StorageFailed when that has lasted too long.
        """
        entry = {"time": self._start + time.monotonic() - self._clock, "event": event, **fields}
        with self._changed:
            self._check()
            self._unwritten.append(encode(entry))
            self._appended += 1
            if self._trouble is None:
                self._write()
            self._changed.notify_all()
        failpoints.hit("journal_written")
        return entry

    def sync(self) -> None:
        """Returns when all that was appended before is on the disk; raises StorageFailed when it cannot be."""
        with self._changed:
            wanted = self._appended
            self._changed.wait_for(lambda: self._synced >= wanted or self._failure is not None)
            if self._synced < wanted:
                self._check()
        failpoints.hit("journal_synced")

    def close(self) -> None:
        """Syncs what waits (a disk in trouble gets one more try) and ends the writer."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._writer.join()
        os.close(self._file)

    def _check(self) -> None:
        if self._failure is not None:
            raise StorageFailed(
                f"{self.path}: cannot be written ({self._failure.strerror}); what was finished is on the disk, and the "
                "same command goes on from there"
            )

    # ------------------------------------------------------------------------------------------ with the lock held

    def _write(self) -> None:
        """Puts the lines that wait into the file, all of them or none."""
        data = b"".join(self._unwritten)
        try:
            _write_all(self._file, data)
        except OSError as error:
            self._retreat(self._size)
            self._trouble = error
            return
        self._size += len(data)
        self._unsynced += self._unwritten
        self._unwritten = []
        self._trouble = None

    def _retreat(self, size: int) -> None:
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, size)

    # ------------------------------------------------------------------------------------------------ in the thread

    def _sync_batches(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._unsynced or self._trouble or self._closing)
                if not self._unsynced and not self._unwritten:
                    return
                lines, size = len(self._unsynced), self._size
            if self._trouble is None:
                self._sync(lines, size)
            if self._trouble is not None and not self._recover():
                return

    def _sync(self, lines: int, size: int) -> None:
        """Syncs the first `lines` of those not synced; after an error they are to be written again.

        (A failed fsync may have dropped them from the system's cache and says so only once.)
        """
        try:
            os.fdatasync(self._file) if hasattr(os, "fdatasync") else os.fsync(self._file)
        except OSError as error:
            with self._changed:
                self._trouble = error
                self._unwritten = self._unsynced + self._unwritten
                self._unsynced, self._size = [], self._synced_size
                self._retreat(self._size)
            return
        with self._changed:
            del self._unsynced[:lines]
            self._synced_size, self._synced = size, self._synced + lines
            self._changed.notify_all()

    def _recover(self) -> bool:
        """Tries to write again until it succeeds, for at most PATIENCE seconds; False: given up."""
        began = time.monotonic()
        _log.warning("%s: cannot be written (%s); trying again for %.0f s", self.path, _strerror(self), PATIENCE)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing, timeout=AGAIN)
                self._write()
                if self._trouble is None:
                    _log.warning("%s: is written again", self.path)
                    return True
                if self._closing or time.monotonic() - began > PATIENCE:
                    self._failure = self._trouble
                    self._changed.notify_all()
                    return False


def _strerror(journal: Journal) -> str:
    return str(journal._trouble.strerror if journal._trouble else "")


def _open(path: Path) -> int:
    """The file, locked: even where somebody removed the study's lock, no two drivers write one journal."""
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
    """Cuts off what stands behind the last line's end; gives the size that is left."""
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
