"""A program in a process group of its own: its output as it comes, and its end with all that it has started.

The output goes through a pipe to a spooler (spooler.py), which stores it in files that outlive the worker; the worker
reads the files (spool.py). If the worker read the pipe, what is in it at the worker's death would be lost, and a
program that has saved its state by then does not print it again. Nor does the program print to a file: a script's
`> /dev/stderr` would empty that file, a full disk would end the program, and nothing would hold up one that prints
faster than the worker reads.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hpsearch.trainers.program import spooler
from hpsearch.trainers.program.spool import Spool

MARK = "HPSEARCH_PROGRAM"  # environment variable of the program and of what it starts, also in another session
LOOK = 0.1  # seconds between two looks at commands while the program prints nothing
LAST = 0.5  # seconds in which the output of a program that has ended must end: a process of its may hold the pipe
PATIENCE = 60.0  # seconds for the spooler to store the last output: it may have to wait for a processor
BLOCK = 1 << 16  # bytes
MOST = 3  # spoolers of one program: somebody may kill one
PR_SET_PDEATHSIG = 1
SHELL = "/bin/sh"
ORPHANING = (SHELL, "-c", '"$@" &', "sh") if os.path.exists(SHELL) else ()  # who kills a worker's tree kills no spooler

_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None  # loaded here: little is safe after a fork


class Program:
    """A running program. `end` ends it, with all processes of its group and those with its mark."""

    def __init__(self, arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str], spool: Spool) -> None:
        """Starts it in the working directory `folder`; raises OSError."""
        self._mark, self._spool = secrets.token_hex(8), spool
        pipe, end = os.pipe()
        self._spooler = Spooler(pipe, spool)
        try:
            self._process = subprocess.Popen(
                list(arguments),
                cwd=folder,
                env={**environment, MARK: self._mark},
                stdin=subprocess.DEVNULL,
                stdout=end,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent if _LIBC is not None else None,
            )
        except BaseException:
            os.close(end)
            self._spooler.close()
            raise
        os.close(end)
        self._spooler.belongs_to(self._process.pid)

    def output(self) -> Iterator[bytes]:
        """Yields the output of both streams as it comes, and b"" every LOOK seconds; ends with the program."""
        since: float | None = None  # the program's end, or that of what it has left
        is_killed = False
        while True:
            is_over = self._spooler.is_over  # before the look at the files
            if found := self._spool.read():
                yield found
            elif is_over:
                return
            elif not self._spooler.listen(LOOK):
                yield b""
            if since is None and self._process.poll() is not None:
                since = time.monotonic()
            if since is None or time.monotonic() < since + LAST:
                continue
            if not is_killed:
                self._kill_all()
                since, is_killed = time.monotonic(), True
            elif not found:
                self._spooler.close()

    def code(self) -> int:
        """Waits for the end; returns the exit code, or minus the signal."""
        return self._process.wait()

    def end(self, grace: float) -> Iterator[bytes]:
        """Ends what runs: SIGTERM, and after `grace` seconds SIGKILL. Yields what it still prints."""
        try:
            if self._process.poll() is None:
                self._signal(signal.SIGTERM)
                deadline = time.monotonic() + grace
                for found in self.output():
                    yield found
                    if time.monotonic() > deadline:
                        break
        finally:
            self.kill()
        yield from self._stored()

    def kill(self) -> None:
        """Kills the program and what it has started; what it has printed is in the files then."""
        self._kill_all()
        self._process.wait()
        self._spooler.close()

    def _kill_all(self) -> None:
        if self._process.poll() is None or sys.platform != "linux":  # once it is reaped, its number may be another's
            self._signal(signal.SIGKILL)
        for pid in _with_mark(self._mark):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)

    def _stored(self) -> Iterator[bytes]:
        while found := self._spool.read():
            yield found

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


class Spooler:
    """The worker's side of the process that stores a program's output. One that somebody kills is replaced."""

    def __init__(self, pipe: int, spool: Spool) -> None:
        """Starts it; `pipe`: the output, which this object closes. Raises OSError."""
        self.is_over = False  # whether all output is in the files
        self._pipe, self._spool, self._group, self._started = pipe, spool, 0, 0
        with contextlib.ExitStack() as opened:
            opened.callback(os.close, pipe)
            self._start()
            self._opened = opened.pop_all()

    def belongs_to(self, group: int) -> None:
        """Tells it the program's process group, which it kills when this process dies; 0: all of it has ended."""
        self._group = group
        with contextlib.suppress(OSError):
            self._link.sendall(b"%d\n" % group)

    def listen(self, seconds: float) -> bool:
        """Waits until there is more to read, or no more to come; returns False if neither is so in time.

        Raises ChildProcessError if the process has ended too often.
        """
        if self.is_over or not select.select([self._link], [], [], seconds)[0]:
            return self.is_over
        said = b""
        with contextlib.suppress(OSError):
            said = self._link.recv(BLOCK)
        self.is_over = spooler.END in said
        if not said:  # somebody has killed it; the output waits in the pipe, which this process has open, too
            self._replace()
        return True

    def close(self) -> None:
        """Has it store what there is, and lets it end; waits for that, at most PATIENCE seconds."""
        self.belongs_to(0)
        deadline = time.monotonic() + PATIENCE
        with contextlib.suppress(OSError):
            while not self.is_over and (left := deadline - time.monotonic()) > 0:
                self.listen(left)
        self.is_over = True
        self._link.close()
        self._opened.close()

    def _replace(self) -> None:
        self._link.close()
        self.is_over = True  # unless there is another one
        if self._started == MOST:
            raise ChildProcessError(f"the process that stores its output has ended {MOST} times")
        self._start()
        self.is_over = False
        self.belongs_to(self._group)

    def _start(self) -> None:
        self._started += 1
        file, number = self._spool.open_last()
        self._link, link = socket.socketpair()
        given = [self._pipe, link.fileno(), file]
        try:
            subprocess.run(
                [
                    *ORPHANING,
                    sys.executable,
                    "-I",
                    "-S",
                    spooler.__file__,
                    *map(str, [*given, number]),
                    self._spool.names,
                ],
                cwd="/",
                env={name: value for name, value in os.environ.items() if not name.startswith("HPSEARCH_")},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=given,
                start_new_session=True,
                check=False,
            )
        finally:
            os.close(file)
            link.close()


def _die_with_parent() -> None:
    """Has Linux kill the program when this process dies, so that no other than its next start writes to its folder.

    A worker's reaper does so too, and for the program's children; a search within one process has none.
    """
    if _LIBC is not None:
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _with_mark(mark: str) -> Iterator[int]:
    """Yields the processes that have the mark in their environment (Linux)."""
    wanted = f"{MARK}={mark}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                yield int(folder.name)
