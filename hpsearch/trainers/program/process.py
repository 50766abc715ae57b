"""A program in a process group of its own: its output as it comes, and its end with all that it has started."""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

MARK = "HPSEARCH_PROGRAM"  # environment variable of the program and of what it starts, also in another session
LOOK = 0.1  # seconds between two looks at commands while the program prints nothing
LAST = 0.5  # seconds in which the output of a program that has ended must end: a process of its may hold the pipe
BLOCK = 1 << 16  # bytes
PR_SET_PDEATHSIG = 1

_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None  # loaded here: little is safe after a fork


class Program:
    """A running program. `end` ends it, with all processes of its group and those with its mark."""

    def __init__(self, arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str]) -> None:
        """Starts it in the working directory `folder`; raises OSError."""
        self._mark = secrets.token_hex(8)
        self._process = subprocess.Popen(
            list(arguments),
            cwd=folder,
            env={**environment, MARK: self._mark},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent if _LIBC is not None else None,
        )
        assert self._process.stdout is not None
        self._pipe = self._process.stdout.fileno()

    def output(self) -> Iterator[bytes]:
        """Yields the output of both streams as it comes, and b"" every LOOK seconds; ends with the program."""
        ended: float | None = None
        while True:
            if select.select([self._pipe], [], [], LOOK)[0]:
                found = os.read(self._pipe, BLOCK)
                if not found:
                    return
                yield found
            else:
                yield b""
            if ended is None and self._process.poll() is not None:
                ended = time.monotonic()
            if ended is not None and time.monotonic() - ended > LAST:
                return

    def code(self) -> int:
        """Waits for the end; returns the exit code, or minus the signal."""
        return self._process.wait()

    def end(self, grace: float) -> Iterator[bytes]:
        """Ends what runs: SIGTERM, and after `grace` seconds SIGKILL. Yields what it still prints."""
        if self._process.poll() is None:
            self._signal(signal.SIGTERM)
            deadline = time.monotonic() + grace
            for found in self.output():
                yield found
                if time.monotonic() > deadline:
                    break
        self.kill()

    def kill(self) -> None:
        """Kills the program and what it has started, and closes its output."""
        if self._process.poll() is None or sys.platform != "linux":  # once it is reaped, its number may be another's
            self._signal(signal.SIGKILL)
        for pid in _with_mark(self._mark):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


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
