"""Servers that end with this process, however it ends: signalled, killed, or with its terminal."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

LAST = 8192  # bytes that are kept of what a server prints
STOPPED_BY = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Variables that would give MLflow and uvicorn another address, other hosts, no checks or another store.
DROPPED = (
    *("UVICORN_", "FORWARDED_ALLOW_IPS", "_MLFLOW_", "MLFLOW_SERVER_", "MLFLOW_UVICORN_", "MLFLOW_GUNICORN_"),
    *("MLFLOW_HOST", "MLFLOW_STATIC_PREFIX", "MLFLOW_ARTIFACTS_", "MLFLOW_REGISTRY_", "MLFLOW_READ_REPLICA_"),
    "MLFLOW_TRACKING_",  # credentials for another server
)


@dataclass(frozen=True)
class Server:
    """A server to start: its command, and what it needs in its environment besides ours."""

    command: Sequence[str]
    added: dict[str, str]
    verbose: bool = False  # whether what it prints goes to our terminal; else its end is printed if it fails

    def start(self) -> subprocess.Popen[bytes]:
        """Starts it in a session of its own; on Linux it gets SIGTERM if this process is killed."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(DROPPED)} | self.added
        return subprocess.Popen(
            self.command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=None if self.verbose else subprocess.PIPE,
            stderr=None if self.verbose else subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )


def serve(servers: Sequence[Server], *, started: Callable[[], object] = lambda: None) -> int:
    """Runs servers until the first of them ends; returns its exit code. All end, with their children, with this one.

    started: called once they have been started. A keeper process in between holds the reading end of a pipe, which
    closes however this process ends.
    """
    reading, writing = os.pipe()
    keeper = os.fork()
    if keeper == 0:
        os.close(writing)
        _keep(servers, reading)

    def stop(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    os.close(reading)
    for number in STOPPED_BY:
        signal.signal(number, stop)
    try:
        started()
        return os.waitstatus_to_exitcode(os.waitpid(keeper, 0)[1])
    finally:
        os.close(writing)
        with contextlib.suppress(ChildProcessError):  # already waited for
            os.waitpid(keeper, 0)


def _keep(servers: Sequence[Server], alive: int) -> NoReturn:
    """The keeper process: starts the servers, and ends them when the first ends or the pipe `alive` closes."""
    running: list[subprocess.Popen[bytes]] = []
    code = 1
    try:
        os.setsid()  # out of reach of a Ctrl-C in the terminal and of signals to the group
        for number in STOPPED_BY:
            signal.signal(number, lambda number, frame: None)
        running += [server.start() for server in servers]
        said = _read_until_end(running, alive)
        if code := running[0].poll() or 0:
            os.write(2, said)
    finally:
        try:
            _end(running)
            code = running[0].returncode
        finally:
            os._exit(code if code >= 0 else 128 - code)


def _read_until_end(running: Sequence[subprocess.Popen[bytes]], alive: int) -> bytes:
    """Reads what the servers print until the first ends or the pipe `alive` closes; returns the first one's last lines.

    Unread, a server would wait once its pipe is full.
    """
    outputs = [process.stdout.fileno() for process in running if process.stdout is not None]
    first, said = running[0].stdout, b""
    while True:
        has_ended = running[0].poll() is not None  # before the reading: what it printed last is read still
        ready = select.select([alive, *outputs], [], [], 0.2)[0]
        if alive in ready:
            return b""
        for output in ready:
            if not (found := os.read(output, 1 << 16)):
                outputs.remove(output)
            elif first is not None and output == first.fileno():
                said = (said + found)[-LAST:]
        if has_ended and not ready:
            return said


def _die_with_parent() -> None:
    """Makes Linux send SIGTERM to the server if the keeper is killed; MLflow passes it to its children."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1  # man 2 prctl
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def _end(running: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ends the servers and their children."""
    for number, patience in ((signal.SIGTERM, 3.0), (signal.SIGKILL, None)):
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
        for process in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=patience)
