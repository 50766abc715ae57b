"""The driver's side of the shipping process: starts it, restarts it, waits for it at the end.

Shipping runs in a process, not a thread: MLflow takes seconds to import and to create its database, draws pictures and
may hang on a server that is gone. A thread would share the interpreter lock with the driver, which must decide within
a millisecond; a process has a lower priority and can be killed.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from hpsearch.views import shipping
from hpsearch.views.follower import Say, lacking


def start(
    study_folder: Path, home: Path, tracking: str | None, names: Iterable[str], *, say: Say | None = None
) -> Shipper:
    """Starts the shipping process for one study and returns at once.

    tracking: URI of an MLflow server or store (None: HOME/mlflow.db). say: called in another thread with a line when a
    view starts to fail, and another when it recovers.
    """
    return Shipper(study_folder.resolve(), home.resolve(), tracking, tuple(names), say=say)


class Shipper:
    """The driver's side of the shipping process, which is restarted when it dies."""

    def __init__(
        self, study_folder: Path, home: Path, tracking: str | None, names: tuple[str, ...], *, say: Say | None = None
    ) -> None:
        self.study_folder, self.names = study_folder, names
        self.ready = threading.Event()  # all stores are created and open
        self._say = say or (lambda message: None)
        self._task = {"study_folder": str(study_folder), "home": str(home), "tracking": tracking, "names": list(names)}
        self._turn = threading.RLock()  # one thread at a time replaces the process or writes to it
        self._orders: list[dict[str, Any]] = []  # what the process was told after its task
        self._finishing, self._ended = False, threading.Event()
        self._process = self._spawn()
        self._supervisor = threading.Thread(target=self._supervise, name="views", daemon=True)
        self._supervisor.start()

    def lag(self) -> dict[str, int]:
        """Returns for each view the number of journal events that its store has not acknowledged."""
        return {name: lacking(self.study_folder, name) for name in self.names}

    def hurry(self) -> None:
        """Has the views catch up at normal priority: no trial is in training any more."""
        self._order("hurry")

    def finish(self, timeout: float, on_progress: Callable[[dict[str, int]], None] | None = None) -> dict[str, int]:
        """Waits until the views have the whole journal, or `timeout` seconds; returns the events that each lacks."""
        deadline = time.monotonic() + timeout
        self._finishing = True
        self._order("finish")
        while self._supervisor.is_alive() and time.monotonic() < deadline:
            if on_progress is not None:
                on_progress(self.lag())
            time.sleep(0.05)
        self.kill()
        return self.lag()

    def kill(self) -> None:
        """Kills the process; the next start or `hpsearch sync` ships the rest."""
        with self._turn:
            self._ended.set()
            if self._process.poll() is None:
                self._process.kill()
        self._supervisor.join(timeout=5)

    def _supervise(self) -> None:
        """Passes on the process's messages; restarts it with growing delays if it dies.

        This thread must outlive the processes that it starts: with PR_SET_PDEATHSIG, Linux kills a child when the
        thread that started it ends.
        """
        for failures in itertools.count():
            self._listen()
            code = self._process.wait()
            if code == 0 or self._ended.is_set():
                return
            if failures == 0:
                self._say(f"the process that writes {' and '.join(self.names)} {describe_exit(code)} and is restarted")
            if self._ended.wait(1 if self._finishing else shipping.BACKOFF[min(failures, len(shipping.BACKOFF) - 1)]):
                return
            with self._turn:
                if not self._ended.is_set():
                    self._process = self._spawn()

    def _spawn(self) -> subprocess.Popen[str]:
        package_root = str(Path(__file__).resolve().parents[2])
        paths = [package_root, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-P",
                "-m",
                shipping.__name__,
            ],  # the task comes by the pipe: a command line can be read by everybody
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # a Ctrl-C in the terminal is for the driver
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        )
        self._brief()
        return self._process

    def _brief(self) -> None:
        """Tells a new process its task, and what the one before was told since."""
        for message in (self._task, *self._orders):
            self._write(message)

    def _order(self, name: str) -> None:
        with self._turn:
            self._orders.append({name: True})
            self._write({name: True})

    def _write(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):  # the process has died; the next one gets the message
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()

    def _listen(self) -> None:
        process = self._process
        assert process.stdout is not None
        assert process.stdin is not None
        for line in process.stdout:
            message = json.loads(line)
            if "ready" in message:
                self.ready.set()
            else:
                self._say(message["say"])
        process.stdout.close()
        with self._turn, contextlib.suppress(OSError):
            process.stdin.close()


def describe_exit(code: int) -> str:
    """Says how a process ended."""
    return f"was killed (signal {-code})" if code < 0 else f"failed (exit code {code})"
