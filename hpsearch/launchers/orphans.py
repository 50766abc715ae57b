"""Kills the processes that a worker leaves behind: DataLoader workers, ranks, commands that a trainer started.

A worker can die without cleaning up (kill -9, a crash, the death of its driver), so another process, the reaper, does
it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import signal
import time
from collections.abc import Iterator
from pathlib import Path

MARK = "HPSEARCH_WORKER"  # environment variable of each program that a worker starts, also of those in another session
PATIENCE = 5.0  # seconds after which the reaper gives up
LOOK = 0.1  # seconds between two checks of a worker, if the system has no pidfd


def start_reaper(*, close: int | None = None) -> None:
    """Starts a process that kills what this process leaves behind. Call it before this process has threads.

    This process becomes the leader of its own session. `close`: a file descriptor that the reaper must not keep open.
    The reaper is not a child of this process, so `os.wait()` in a trainer does not return it.
    """
    with contextlib.suppress(PermissionError):  # it already leads a process group
        os.setsid()
    worker, mark = os.getpid(), secrets.token_hex(8)
    os.environ[MARK] = mark
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        os.setsid()
        if os.fork() == 0:
            if close is not None:
                os.close(close)
            _kill_after(worker, mark)
    finally:
        os._exit(0)


def reset_sigterm_in_forks() -> None:
    """Restores the default action of SIGTERM in forked processes, whatever handler this process has.

    SIGTERM is blocked during the fork: Python would drop a signal that arrives before the new process runs.
    """

    def reset() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    os.register_at_fork(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM}),
        after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM}),
        after_in_child=reset,
    )


def _kill_after(worker: int, mark: str) -> None:
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # whoever signals all processes signals the worker too
    _await_end(worker)
    deadline = time.monotonic() + PATIENCE
    while (left := list(_left_by(worker, mark))) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)


def _await_end(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        if hasattr(os, "pidfd_open"):  # Linux
            select.select([os.pidfd_open(pid)], [], [])
        while not hasattr(os, "pidfd_open"):
            os.kill(pid, 0)
            time.sleep(LOOK)


def _left_by(worker: int, mark: str) -> Iterator[int]:
    """Yields the living processes of a worker's session and group, and those with its mark in their environment."""
    if not Path("/proc/self/stat").exists():  # macOS: kills the process group
        with contextlib.suppress(OSError):
            os.killpg(worker, signal.SIGKILL)
        return
    wanted = f"{MARK}={mark}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, _, group, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            is_mine = str(worker) in (group, session) or wanted in (folder / "environ").read_bytes().split(b"\0")
            if state != "Z" and is_mine and folder.name != str(worker):
                yield int(folder.name)
