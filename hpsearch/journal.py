"""The driver's append-only log of what happened: the truth that every other store is rebuilt from.

One JSON object per line, its last key `crc` the CRC-32 of everything before it. A line is in the file (the system's, if
not yet the disk's) before `append` returns, so that no killed process takes along what was answered. A thread syncs the
file in batches, so that a verdict never waits for a disk; `sync()` returns when all that was appended is on it.
A torn last line was never acknowledged and is cut off at the next opening; a damaged line is passed over and counted.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import stat
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic_core import from_json  # pydantic's parser: a third of the time of json.loads, which it agrees with

from hpsearch import crash
from hpsearch.errors import HpsearchError, JournalDamaged, StorageFailed, StudyBusy
from hpsearch.training.atomic import sync_folder

Event = dict[str, Any]
ORIGIN = "origin"  # a driver_started event holds a copy of study_created under this key
PATIENCE = 60.0  # seconds for which a disk that takes nothing is tried again
AGAIN = 0.5  # seconds between the tries
_CRC, _END = b',"crc":"', b'"}\n'  # what stands before and after the eight digits of a line's checksum
_TAIL = len(_CRC) + 8 + len(_END)
_POINTS = b',"points":['
_BUFFER = 1 << 20  # bytes: with Python's usual ones, reading lines takes three times as long

_log = logging.getLogger(__name__)


def encode(event: Event) -> bytes:
    """One journal line: the event as JSON with its checksum as the last key."""
    body = json.dumps(event, ensure_ascii=False, separators=(",", ":"))[:-1].encode()
    return body + b',"crc":"%08x"}\n' % zlib.crc32(body)


def decode(line: bytes, *, points: bool = True) -> Event | None:
    """The event of a whole, undamaged line; None for any other.

    points: with the training points of an evaluation. They are most of a journal, and few of its readers want them.
    """
    body = whole(line)
    if body is None:
        return None
    return parsed(body if points else without_points(body))


def whole(line: bytes) -> bytes | None:
    """What the checksum of an undamaged line is of: all but its last brace and `crc`; None for any other."""
    body = line[:-_TAIL]
    return body if line[-_TAIL:] == b"%b%08x%b" % (_CRC, zlib.crc32(body), _END) else None


def parsed(body: bytes) -> Event:
    """The event of a line's body: what json.loads gives, which is asked where the quicker parser refuses."""
    try:
        event: Event = from_json(body + b"}")
    except ValueError:  # an object of 200 levels, say
        event = json.loads(body + b"}")
    return event


def without_points(body: bytes) -> bytes:
    """The JSON of an evaluation without its points, where they stand last in it, as `evaluation_event` has them."""
    begin = body.find(_POINTS)
    return body if begin < 0 or not body.endswith(b"]}") else body[:begin] + b"}"


def evaluation_event(evaluation: Event) -> Event:
    """An evaluation as its line has it: the training points last."""
    rest = {key: value for key, value in evaluation.items() if key != "points"}
    return {**rest, "points": evaluation.get("points", [])}


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

    def append(self, event: str, **fields: Any) -> Event:
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
        crash.point("journal_written")
        return entry

    def sync(self) -> None:
        """Returns when all that was appended before is on the disk; raises StorageFailed when it cannot be."""
        with self._changed:
            wanted = self._appended
            self._changed.wait_for(lambda: self._synced >= wanted or self._failure is not None)
            if self._synced < wanted:
                self._check()
        crash.point("journal_synced")

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


class Tail:
    """Reads a journal from an offset on, whole valid lines only."""

    def __init__(self, path: Path, offset: int = 0, *, points: bool = True) -> None:
        self.path, self.offset, self._points = path, offset, points
        self.lines = 0  # read so far
        self.damaged: list[int] = []  # numbers of the lines (from 1, where the offset was 0) that were passed over

    def read(self, limit: int = 1 << 22) -> tuple[list[Event], int]:
        """The next events (from about `limit` bytes) and the offset behind them; ([], offset) when there are none."""
        try:
            with self.path.open("rb", buffering=_BUFFER) as file:
                file.seek(self.offset)
                lines = file.readlines(limit)
        except FileNotFoundError:
            return [], self.offset
        if lines and not lines[-1].endswith(b"\n"):
            lines.pop()  # is being written, or torn
        found = []
        for line in lines:
            self.lines += 1
            body = whole(line)
            if body is None:
                self.damaged.append(self.lines)
            elif (event := self.event(body)) is not None:
                found.append(event)
        self.offset += sum(map(len, lines))
        return found, self.offset

    def event(self, body: bytes) -> Event | None:
        """What a whole line says (its text is what `whole` gives); None: nothing now."""
        return parsed(body if self._points else without_points(body))

    def rest(self) -> list[Event]:
        """What is still to be said at the journal's end."""
        return []


def read(path: Path, *, damaged: list[int] | None = None) -> list[Event]:
    """All events of a journal, the study's origin first; line numbers of damaged lines are added to `damaged`.

    Raises JournalDamaged when its lines are not hpsearch's, or nothing says which study it is.
    """
    return list(iterate(path, damaged=damaged))


def iterate(path: Path, *, damaged: list[int] | None = None, points: bool = True) -> Iterator[Event]:
    """The events of a journal one after the other, as `read` gives them; with or without the training points."""
    tail = Tail(path, points=points)
    yield from told(tail)
    if damaged is not None:
        damaged += tail.damaged


def told(tail: Tail) -> Iterator[Event]:
    """The events of a journal as `tail` gives them, the study's origin first."""
    started = False
    for event in _all(tail):
        if not started and event["event"] != "study_created":
            yield _origin(tail.path)
        started = True
        yield event
    if not started and tail.damaged:
        nothing = f"none of its {tail.lines} lines is whole"
        raise JournalDamaged(f"{tail.path}: {nothing}: not an hpsearch journal, or damaged")


def _all(tail: Tail) -> Iterator[Event]:
    end = -1
    while tail.offset != end:
        end = tail.offset
        yield from tail.read()[0]
    yield from tail.rest()


def _origin(path: Path) -> Event:
    """The study's origin where the line that says it is lost: every start of a driver has a copy."""
    for event in _all(Tail(path)):
        if event["event"] == "driver_started" and ORIGIN in event:
            origin: Event = event[ORIGIN]
            return origin
    raise JournalDamaged(
        f"{path}: begins with something else than study_created, and no driver_started has a copy of it: "
        "not an hpsearch journal, or damaged"
    )
