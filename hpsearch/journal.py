"""The driver's append-only log of what happened: the truth that every other store is rebuilt from.

One JSON object per line, its last key `crc` the CRC-32 of everything before it. Lines are written and synced in batches
by a thread, so that a verdict never waits for a disk; `sync()` returns when all that was appended is on the disk.
A torn last line was never acknowledged and is cut off at the next opening.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hpsearch.errors import HpsearchError, JournalDamaged
from hpsearch.training.atomic import sync_folder

Event = dict[str, Any]


def encode(event: Event) -> bytes:
    """One journal line: the event as JSON with its checksum as the last key."""
    body = json.dumps(event, ensure_ascii=False, separators=(",", ":"))[:-1].encode()
    return body + b',"crc":"%08x"}\n' % zlib.crc32(body)


def decode(line: bytes) -> Event | None:
    """The event of a whole, undamaged line; None for any other."""
    body, mark, tail = line.rpartition(b',"crc":"')
    if not mark or len(tail) != 11 or not tail.endswith(b'"}\n'):
        return None
    if b"%08x" % zlib.crc32(body) != tail[:8]:
        return None
    event: Event = json.loads(body + b"}")
    return event


class Journal:
    """The open journal of one study; one process writes it."""

    def __init__(self, path: Path) -> None:
        """Opens or creates the file (mode 0600); raises HpsearchError when it cannot be written."""
        self.path = path
        self._cut_torn_tail()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
        try:
            self._file = os.open(path, flags, 0o600)
        except OSError as error:
            raise HpsearchError(f"{path}: cannot write the journal: {error.strerror}") from error
        sync_folder(path.parent)
        self._changed = threading.Condition()
        self._waiting: list[bytes] = []
        self._appended = self._synced = 0
        self._closing = False
        self._failure: OSError | None = None
        self._writer = threading.Thread(target=self._write_batches, name="journal", daemon=True)
        self._writer.start()

    def append(self, event: str, **fields: Any) -> Event:
        """Hands an event to the writer and returns at once; gives the event as it will be read."""
        entry = {"time": time.time(), "event": event, **fields}
        with self._changed:
            self._waiting.append(encode(entry))
            self._appended += 1
            self._changed.notify_all()
        return entry

    def sync(self) -> None:
        """Returns when all that was appended before is on the disk; raises HpsearchError when it cannot be."""
        with self._changed:
            wanted = self._appended
            self._changed.wait_for(lambda: self._synced >= wanted or self._failure is not None)
            if self._failure is not None:
                raise HpsearchError(f"{self.path}: cannot write the journal: {self._failure.strerror}")

    def close(self) -> None:
        """Syncs what waits and ends the writer."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._writer.join()
        os.close(self._file)

    def _write_batches(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                batch, self._waiting = self._waiting, []
                if not batch:
                    return
            try:
                write_all(self._file, b"".join(batch))
                os.fdatasync(self._file) if hasattr(os, "fdatasync") else os.fsync(self._file)
            except OSError as error:
                self._failure = error
            with self._changed:
                self._synced += len(batch)
                self._changed.notify_all()
            if self._failure is not None:
                return

    def _cut_torn_tail(self) -> None:
        with contextlib.suppress(FileNotFoundError), self.path.open("r+b") as file:
            data = file.read()
            whole = data.rfind(b"\n") + 1
            if whole < len(data):
                file.truncate(whole)
                os.fsync(file.fileno())


class Tail:
    """Reads a journal from an offset on, whole valid lines only."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        self.path, self.offset, self.damaged = path, offset, 0

    def read(self, limit: int = 1 << 24) -> tuple[list[Event], int]:
        """The next events (from at most `limit` bytes) and the offset behind them; ([], offset) when there are none."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                data = file.read(limit)
        except FileNotFoundError:
            return [], self.offset
        whole = data[: data.rfind(b"\n") + 1]
        events = [decode(line) for line in whole.splitlines(keepends=True)]
        self.damaged += sum(event is None for event in events)
        self.offset += len(whole)
        return [event for event in events if event is not None], self.offset


def read(path: Path) -> list[Event]:
    """All events of a journal; raises JournalDamaged when its lines are not hpsearch's or its first one is lost."""
    return list(iterate(path))


def iterate(path: Path) -> Iterator[Event]:
    """The events of a journal one after the other (a damaged line in the middle is passed over)."""
    tail = Tail(path)
    started = False
    while True:
        events, _ = tail.read()
        if not events:
            break
        if not started and events[0]["event"] != "study_created":
            raise JournalDamaged(f"{path}: does not begin with study_created: not an hpsearch journal, or damaged")
        started = True
        yield from events
    if not started and tail.damaged:
        raise JournalDamaged(f"{path}: none of its {tail.damaged} lines is whole: not an hpsearch journal, or damaged")


def write_all(file: int, data: bytes) -> None:
    """Writes every byte to a file descriptor (os.write may write fewer)."""
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
