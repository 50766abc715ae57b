"""The driver's end of the shipping process: starts it, starts it again, waits for it at the end.

A process and not a thread: MLflow takes seconds to import and to make its database, draws pictures and may hang on
a server that is gone. In a thread all of that would share the interpreter lock with the driver, whose verdicts must
come within a millisecond; a process is beside it, at a lower priority, and can be killed.
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

    `tracking` is the URI of an MLflow server or store (None: HOME/mlflow.db); `say` gets, from another thread, one line
    when a view starts failing and one when it is back.
    """
    return Shipper(study_folder.resolve(), home.resolve(), tracking, tuple(names), say=say)


class Shipper:
    """The driver's end of the shipping process, which is started again when it dies."""

    def __init__(
        self, study_folder: Path, home: Path, tracking: str | None, names: tuple[str, ...], *, say: Say | None = None
    ) -> None:
        self.study_folder, self.names = study_folder, names
        self.ready = threading.Event()  # both stores are made and open
        self._say = say or (lambda message: None)
        self._task = {"study_folder": str(study_folder), "home": str(home), "tracking": tracking, "names": list(names)}
        self._turn = threading.RLock()  # one thread at a time changes or tells the process
        self._finishing, self._ended = False, threading.Event()
        self._process = self._spawn()
        self._keeper = threading.Thread(target=self._keep, name="views", daemon=True)
        self._keeper.start()

    def lag(self) -> dict[str, int]:
        """For each view the journal's events that its store has not acknowledged yet."""
        return {name: lacking(self.study_folder, name) for name in self.names}

    def finish(self, timeout: float, on_progress: Callable[[dict[str, int]], None] | None = None) -> dict[str, int]:
        """Waits until the views have the whole journal, or for `timeout` seconds; gives what each still lacks."""
        deadline = time.monotonic() + timeout
        with self._turn:
            self._finishing = True
            self._write({"finish": True})
        while self._keeper.is_alive() and time.monotonic() < deadline:
            if on_progress is not None:
                on_progress(self.lag())
            time.sleep(0.05)
        self.kill()
        return self.lag()

    def kill(self) -> None:
        """Ends the process at once; what is not shipped waits for the next start or `hpsearch sync`."""
        with self._turn:
            self._ended.set()
            if self._process.poll() is None:
                self._process.kill()
        self._keeper.join(timeout=5)

    def _keep(self) -> None:
        """Passes on what the process says; starts it again, ever more rarely, when it dies before its end.

        This thread outlives the processes that it starts: Linux kills a child with the thread that made it.
        """
        for failures in itertools.count():
            self._listen()
            code = self._process.wait()
            if code == 0 or self._ended.is_set():
                return
            if failures == 0:
                self._say(f"the process that writes {' and '.join(self.names)} {describe_exit(code)}; it starts again")
            if self._ended.wait(1 if self._finishing else shipping.BACKOFF[min(failures, len(shipping.BACKOFF) - 1)]):
                return
            with self._turn:
                if not self._ended.is_set():
                    self._process = self._spawn()

    def _spawn(self) -> subprocess.Popen[str]:
        package_root = str(Path(__file__).resolve().parents[2])
        paths = [package_root, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", shipping.__name__],  # what it is to do comes by the pipe: no secrets
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # a Ctrl-C in the terminal is for the driver
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        )
        self._write(self._task)
        if self._finishing:
            self._write({"finish": True})
        return self._process

    def _write(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):  # the process is gone; the next one is told
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
    """How a process ended."""
    return f"was killed (signal {-code})" if code < 0 else f"failed (exit code {code})"
