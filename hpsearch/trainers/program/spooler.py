"""The spooler: stores what a program prints in files, in a process of its own that outlives the worker.

`python spooler.py PIPE LINK FILE NUMBER NAMES`: descriptors of the program's output, of a socket to the worker and of
the file to begin with; the file's number, and what stands before the number in all names. The worker runs it as a
script, isolated: it imports nothing of hpsearch, so that it starts in milliseconds.

It ends with the last process that holds the pipe. It reads nothing while nothing can be stored, and the program waits,
as with any pipe: the disk is full, or MOST files are there that the worker still needs. When its worker dies, it kills
the program and stores the rest.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import sys
import time

SEGMENT = 1 << 20  # bytes of a file
MOST = 16  # files of one start of a program
BLOCK = 1 << 16  # bytes: what a pipe holds
IDLE = 1.0  # seconds between two looks at the clock
PATIENCE = 10.0  # seconds after the worker's end, within which the output must end
HOLD = 600.0  # seconds after it, within which a full disk must have room for the rest
LOOK = 0.05  # seconds between two attempts to store something
REST = 16  # blocks that a pipe may hold at most
NEWS, END = b".", b"E"  # to the worker: there is more; that was all


def path_of(names: str, number: int) -> str:
    """The path of a file."""
    return f"{names}{number:06d}.txt"


def lock(file: int) -> None:
    """Locks a file for as long as somebody writes to it; does nothing on a file system without locks."""
    with contextlib.suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_EX)


class Spooler:
    """The loop of the process."""

    def __init__(self, pipe: int, link: int, file: int, number: int, names: str) -> None:
        self._pipe, self._link, self._file, self._number, self._names = pipe, link, file, number, names
        self._used = os.fstat(file).st_size
        self._group = 0  # the program's process group; 0: not known
        self._is_last = False  # whether the worker wants no more than what is there
        self._left: float | None = None  # when the worker ended; None: it has not
        os.set_blocking(link, False)

    def run(self) -> None:
        """Stores the output to its end, or all that is there once the worker wants no more."""
        while not self._alone_for(PATIENCE) and not self._is_last:
            if self._wait([self._pipe], IDLE) and not self._move():
                break
        for _ in range(REST):
            if not self._wait([self._pipe], 0) or not self._move():
                break
        os.set_blocking(self._link, True)
        self._tell(END)

    def _move(self) -> bool:
        """Stores a block; returns False at the end of the output."""
        block = os.read(self._pipe, BLOCK)
        self._store(memoryview(block))
        self._tell(NEWS)
        return block != b""

    def _store(self, block: memoryview) -> None:
        while block:
            try:
                if self._used >= SEGMENT:
                    self._begin_next()
                stored = os.write(self._file, block[: SEGMENT - self._used])
            except FileNotFoundError:  # the trial's folder is deleted
                raise SystemExit(1) from None
            except OSError:
                stored = 0
            if not stored:
                self._wait([], LOOK)
                if self._is_last:
                    self._tell(END)  # it need not wait: whoever reads the rest finds the lock
                if self._alone_for(HOLD):
                    raise SystemExit(1)
            self._used, block = self._used + stored, block[stored:]

    def _begin_next(self) -> None:
        """Opens the next file; raises OSError while there are too many."""
        if self._left is None and os.path.exists(path_of(self._names, self._number + 1 - MOST)):
            raise BlockingIOError
        path = path_of(self._names, self._number + 1)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        lock(file)  # before the other one is closed: whoever finds no lock finds the last file
        os.close(self._file)
        self._file, self._used, self._number = file, os.fstat(file).st_size, self._number + 1

    def _wait(self, files: list[int], seconds: float) -> bool:
        """Whether one of the files can be read within some time; hears the worker meanwhile."""
        links = [self._link] if self._left is None else []
        ready = select.select([*files, *links], [], [], seconds)[0]
        if self._link in ready:
            self._hear()
        return any(file in ready for file in files)

    def _hear(self) -> None:
        """Reads the program's process group, 0 for its end, or that the worker is dead."""
        try:
            said = os.read(self._link, BLOCK).split()
        except OSError:
            said = []
        if said:
            self._group = int(said[-1])
            self._is_last = self._group == 0
            return
        self._left = time.monotonic()
        if self._group:
            with contextlib.suppress(OSError):
                os.killpg(self._group, signal.SIGKILL)

    def _alone_for(self, seconds: float) -> bool:
        """Whether the worker ended longer ago than that."""
        return self._left is not None and time.monotonic() > self._left + seconds

    def _tell(self, word: bytes) -> None:
        with contextlib.suppress(OSError):  # it is dead, or has much to hear already
            os.write(self._link, word)


def main(arguments: list[str]) -> None:
    """Leaves the worker's tree of processes, as far as no shell has done that, and stores the output."""
    if os.fork():
        os._exit(0)
    for ending in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(ending, signal.SIG_IGN)  # whoever signals all processes signals the program, too
    pipe, link, file, number = map(int, arguments[:4])
    Spooler(pipe, link, file, number, arguments[4]).run()


if __name__ == "__main__":
    main(sys.argv[1:])
