"""The files with what a program has printed: written by its spooler, read by its worker or, after a kill, by the next.

Each start of a program has a number, and its output lies in files of SEGMENT bytes, output-START-NUMBER.txt. A position
counts the bytes of a start; the worker's saved state has the one up to which it knows the output.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

from hpsearch.trainers.program.spooler import SEGMENT, lock, path_of

BLOCK = 1 << 20  # bytes that are read at once
PATIENCE = 60.0  # seconds to wait for the spooler of a killed worker, which gives up before if it has a processor
LOOK = 0.005  # seconds between two looks at it
_NAME = re.compile(r"output-(\d{4,})-(\d{6,})\.txt")


class Spool:
    """The output of one start of a program."""

    def __init__(self, folder: Path, start: int, *, position: int = 0) -> None:
        self.start, self.position = start, position  # position: up to where it has been read
        self.names = str(folder.absolute() / f"output-{start:04d}-")
        self._folder = folder

    def read(self) -> bytes:
        """The next bytes, at most BLOCK; b"" at the end of what is there."""
        number, offset = divmod(self.position, SEGMENT)
        try:
            file = os.open(path_of(self.names, number), os.O_RDONLY)
        except FileNotFoundError:
            return b""
        try:
            found = os.pread(file, BLOCK, offset)
        finally:
            os.close(file)
        self.position += len(found)
        return found

    def open_last(self) -> tuple[int, int]:
        """Opens the last file, made if there is none, to append to it, and locks it; returns descriptor and number."""
        number = max((number for start, number, _ in _files(self._folder) if start == self.start), default=0)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        file = os.open(path_of(self.names, number), flags, 0o600)
        lock(file)
        return file, number

    def settle(self) -> None:
        """Waits until nobody writes to it any more, at most PATIENCE seconds."""
        deadline = time.monotonic() + PATIENCE
        while self._is_written() and time.monotonic() < deadline:
            time.sleep(LOOK)

    def _is_written(self) -> bool:
        paths = [path for start, _, path in _files(self._folder) if start == self.start]
        for path in paths[-2:]:  # a spooler locks its next file before it closes the other one
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return True
                except OSError:  # a file system without locks
                    return False
        return False


def starts(folder: Path) -> list[int]:
    """The starts of which there is output, the earliest first."""
    return sorted({start for start, _, _ in _files(folder)})


def free(folder: Path, start: int, position: int) -> None:
    """Deletes all files of earlier starts, and those of this one that lie before the position."""
    for found, number, path in _files(folder):
        if found < start or (found == start and (number + 1) * SEGMENT <= position):
            path.unlink(missing_ok=True)


def _files(folder: Path) -> Iterator[tuple[int, int, Path]]:
    """Yields start, number and path of each file, sorted."""
    found = ((_NAME.fullmatch(path.name), path) for path in folder.glob("output-*.txt"))
    yield from sorted((int(match[1]), int(match[2]), path) for match, path in found if match)
