"""The queue of a study: configs that people enqueue (`hpsearch enqueue`), read by the driver while it searches.

A file beside the journal to which any process appends a line for each config. Nothing is ever removed from it: the
journal records what became of each line, so that a killed driver reads the others again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hpsearch.errors import StorageFailed
from hpsearch.journal import Entry, decode, encode
from hpsearch.system import failpoints
from hpsearch.system.atomic import sync_folder

NAME = "queue.jsonl"  # in the study's folder


class QueueFile:
    """The queue in a study's folder."""

    def __init__(self, folder: Path) -> None:
        self._path, self._offset = folder / NAME, 0
        self._held: int | None = None  # the file, while this object has locked it

    @contextlib.contextmanager
    def locked(self) -> Iterator[int]:
        """Keeps other processes from adding to the queue during the block; raises StorageFailed if it cannot.

        Reading needs no lock, and `add` locks the queue itself: this is for both as one step.
        """
        if self._held is not None:
            yield self._held
            return
        with self._failing():
            self._held = _opened(self._path)
        try:
            yield self._held
        finally:
            os.close(self._held)
            self._held = None

    def add(self, params: Mapping[str, Any]) -> str:
        """Appends a config and returns its id once it is on the disk; raises StorageFailed if that is not possible."""
        request = uuid.uuid4().hex
        line = encode({"time": time.time(), "event": "enqueue", "id": request, "params": dict(params)})
        with self.locked() as file, self._failing():
            _append(file, line)
            sync_folder(self._path.parent)
        return request

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        """Raises StorageFailed for an error of the system in the block."""
        try:
            yield
        except OSError as error:
            raise StorageFailed(f"{self._path}: cannot be written: {error.strerror}") from error

    def new(self) -> list[Entry]:
        """Returns the lines since the last call (id, params); skips damaged ones, which were never acknowledged."""
        try:
            there = os.lstat(self._path)
            if not stat.S_ISREG(there.st_mode) or there.st_size <= self._offset:
                return []
            with self._path.open("rb") as file:
                file.seek(self._offset)
                whole, end, _ = file.read().rpartition(b"\n")
        except OSError:
            return []
        self._offset += len(whole + end)
        found = [decode(line + b"\n") for line in whole.split(b"\n")]
        return [entry for entry in found if entry is not None and _is_request(entry)]


def _opened(path: Path) -> int:
    """Opens and locks the file, which is made if it is missing."""
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    file = os.open(path, flags, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
    except BaseException:
        os.close(file)
        raise
    return file


def _append(file: int, line: bytes) -> None:
    size = os.fstat(file).st_size
    is_torn = size > 0 and os.pread(file, 1, size - 1) != b"\n"  # a crash of the machine left half a line
    os.write(file, b"\n" * is_torn + line)
    failpoints.hit("request_written")
    os.fsync(file)


def _is_request(entry: Entry) -> bool:
    return isinstance(entry.get("id"), str) and isinstance(entry.get("params"), dict)
