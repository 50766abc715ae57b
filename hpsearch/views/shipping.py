"""Ships the journal to the views, in a process that shipper.py starts, or in that of `hpsearch sync`.

Each view has its own thread, so that one that hangs does not delay the other.

A view's offset in the journal is stored, in the store and in a file, only after the store has acknowledged everything
before it. After a crash some events are shipped twice, and the views ignore the second copy. So views may lag, and
nothing is lost or doubled.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from hpsearch.errors import HpsearchError, StudyBusy
from hpsearch.journal import pending
from hpsearch.journal.study_lock import StudyLock
from hpsearch.system import failpoints
from hpsearch.system.file_lock import locked
from hpsearch.views import postgres
from hpsearch.views.follower import BUSY, Follower, Say, View, lacking
from hpsearch.views.mlflow import schema

POLL, LONGEST_POLL = 0.5, 3.0  # seconds between reads of the journal
SHARE = 0.1  # of a core used during training; larger batches cost less per row
BACKOFF = (1, 2, 2, 2, 2, 2, 4, 8, 15, 30)  # seconds before retrying after the 1st, 2nd, ... consecutive failure
# Consecutive failures after which `finish` gives up, leaving the rest to a later start: one more than
# mlflow.store.BROKEN, since the first one is about a larger batch.
TRIES_AT_THE_END = 4


def sync(
    study_folder: Path,
    home: Path,
    tracking: str | None,
    names: Iterable[str],
    *,
    say: Say = lambda message: None,
) -> dict[str, int]:
    """Ships in this process what the views of a study lack; returns the number of events that each still lacks.

    Trials marked as running become interrupted. Raises StudyBusy if a driver runs the study, HpsearchError if another
    process ships it.
    """
    folder = study_folder.resolve()
    with undriven(folder):
        pass  # a driver that starts now can train, and waits with its views
    with followers(folder, home.resolve(), tracking, names, say=say) as found:
        for follower in found:
            follow(follower, finishing=lambda: True, pause=time.sleep)
        with contextlib.suppress(StudyBusy), undriven(folder):
            for follower in found:
                follower.undriven = True
                if not follower.failures:
                    follow(follower, finishing=lambda: True, pause=time.sleep)
    # after a failure a run may still be marked as running
    return {f.view.name: max(lacking(folder, f.view.name), int(f.failures > 0)) for f in found}


@contextlib.contextmanager
def undriven(study_folder: Path, hint: str = "a running search ships to its views itself") -> Iterator[None]:
    """Keeps drivers off the study during the block; raises StudyBusy if one runs it, HpsearchError if it is renamed."""
    pending.refuse(study_folder.parent, study_folder.name)
    try:
        lock = StudyLock(study_folder / "lock", what=f"study '{study_folder.name}'")
    except StudyBusy as error:
        raise StudyBusy(f"{error}; {hint}") from error
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def followers(
    study_folder: Path, home: Path, tracking: str | None, names: Iterable[str], *, say: Say
) -> Iterator[list[Follower]]:
    """Yields the views of a study under their lock; raises HpsearchError if another process ships the study."""
    check(home, tracking)
    with locked(study_folder / "views" / "lock", timeout=10, busy=BUSY):
        found = [Follower(view_named(n, study_folder, home, tracking, say=say), study_folder, say=say) for n in names]
        try:
            yield found
        finally:
            for follower in found:
                follower.close()


def check_address() -> None:
    """Raises UserError if HPSEARCH_OPTUNA_URL is invalid; connects to no server."""
    postgres.address()


def check(home: Path, tracking: str | None) -> None:
    """Raises UserError for an invalid HPSEARCH_OPTUNA_URL or another version's MLflow database; asks no server."""
    check_address()
    schema.check_home(home, tracking)


def prepare(home: Path, tracking: str | None) -> None:
    """Creates both stores now (seconds, the first time), not when the shipping process starts.

    A lock in `home` lets one process at a time create them.
    """
    for name in ("mlflow", "optuna"):
        view = view_named(name, home.resolve() / "none", home.resolve(), tracking)
        view.prepare()
        view.close()


def view_named(
    name: str, study_folder: Path, home: Path, tracking: str | None, *, say: Say = lambda message: None
) -> View:
    """Returns the view "mlflow" or "optuna" of one study, not yet open."""
    if name == "mlflow":
        from hpsearch.views.mlflow.store import Store
        from hpsearch.views.mlflow.view import MlflowView

        return MlflowView(study_folder, Store(home, tracking, study=study_folder.name, say=say), say=say)
    if name == "optuna":
        from hpsearch.views.optuna import OptunaView

        return OptunaView(study_folder, home, say=say)
    raise HpsearchError(f"unknown view {name!r}; allowed: mlflow, optuna")


def follow(
    follower: Follower,
    *,
    finishing: Callable[[], bool],
    pause: Callable[[float], Any],
    leaving: Callable[[], bool] = lambda: False,
) -> None:
    """Ships the journal as it grows; ends once `finishing()` is True and all is shipped, or too many tries failed.

    Failures of the view are reported once and retried with growing delays. `leaving`: ends it soon, whatever is left.
    """
    while not leaving():
        before = time.thread_time()
        if follower.step():
            if finishing() and follower.at_end():
                break
            taken = time.thread_time() - before
            pause(min(max(POLL, taken / SHARE), LONGEST_POLL) if follower.at_end() else 0)
        elif finishing() and follower.failures >= TRIES_AT_THE_END:
            break
        else:
            pause(BACKOFF[0] if finishing() else BACKOFF[min(follower.failures, len(BACKOFF)) - 1])


# ------------------------------------------------------------------------------------------------ the process itself


def main() -> None:
    """The shipping process: reads its task, "hurry" and "finish" from standard input; exits when that closes."""
    _step_back()
    failpoints.set_driver(os.getppid())
    task = json.loads(sys.stdin.readline())
    process = Process(Path(task["study_folder"]), Path(task["home"]), task["tracking"], tuple(task["names"]))
    threading.Thread(target=_read_commands, args=(process,), daemon=True).start()
    with locked(process.folder / "views" / "lock"):
        process.run()
    os._exit(0)  # do not wait for threads of libraries


class Process:
    """The shipping process: two threads for each view, one after the other.

    While trials train, a thread of low priority ships. Once none does, a person waits: a thread of normal priority goes
    on. Linux has a priority for each thread, and a process of a user cannot raise one again; other systems have one for
    the process, which therefore stays.
    """

    def __init__(self, folder: Path, home: Path, tracking: str | None, names: tuple[str, ...]) -> None:
        self.folder, self._home, self._tracking, self._names = folder, home, tracking, names
        self.hurrying, self.finishing = threading.Event(), threading.Event()  # nothing trains; the journal has its end
        self._send, self._opened = _sender(), set[str]()

    def run(self) -> None:
        """Ships until the views have the whole journal."""
        load(self._names)
        loops = [threading.Thread(target=self._ship, args=(name,)) for name in self._names]
        for loop in loops:
            loop.start()
        for loop in loops:
            loop.join()

    def _ship(self, name: str) -> None:
        view = view_named(name, self.folder, self._home, self._tracking, say=self._say)
        follower = Follower(
            view, self.folder, say=self._say, on_open=lambda: self._on_open(name), leaving=self.hurrying.is_set
        )
        beside = threading.Thread(target=self._ship_beside, args=(follower,))
        beside.start()
        beside.join()
        follower.leaving = lambda: False
        follow(follower, finishing=self.finishing.is_set, pause=self._pause)
        follower.close()

    def _ship_beside(self, follower: Follower) -> None:
        """Ships while trials train."""
        hurrying = self.hurrying
        follow(follower, finishing=lambda: False, pause=hurrying.wait, leaving=hurrying.is_set)

    def _on_open(self, name: str) -> None:
        if name not in self._opened and not self.hurrying.is_set() and sys.platform == "linux":
            _lower_priority()
        self._opened.add(name)
        if len(self._opened) == len(self._names):
            self._send({"ready": True})

    def _say(self, line: str) -> None:
        self._send({"say": line})

    def _pause(self, seconds: float) -> None:
        if self.finishing.is_set():
            time.sleep(min(seconds, 1))
        else:
            self.finishing.wait(seconds)


def _step_back() -> None:
    """Ignores Ctrl-C, makes new files private.

    The process dies with the driver: on Linux at once, elsewhere when the pipe closes.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.umask(0o077)
    if sys.platform == "linux":
        pr_set_pdeathsig = 1  # man 2 prctl
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL)


def load(names: Iterable[str]) -> None:
    """Imports what the views need when they open: some seconds of a core.

    The priority is lowered only when a view is open: on a machine whose cores are all busy, a thread of low priority
    takes minutes to get there, which a short study would wait for at its end.
    """
    for name in names:
        with contextlib.suppress(ImportError):  # the view says what is missing
            _load(name)


def _load(name: str) -> None:
    if name == "mlflow":
        from hpsearch.views.mlflow import client

        client.load()
    elif name == "optuna":
        from hpsearch.views import optuna

        optuna.load()


def _lower_priority() -> None:
    """Lowers the priority of this thread below training and the driver."""
    os.nice(10)


def _sender() -> Callable[[dict[str, Any]], None]:
    output = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # libraries print to standard error from now on
    lock = threading.Lock()

    def send(message: dict[str, Any]) -> None:
        with lock, contextlib.suppress(OSError):
            output.write(json.dumps(message) + "\n")

    return send


def _read_commands(process: Process) -> None:
    for line in sys.stdin:
        command = json.loads(line)
        if command.get("finish"):
            process.finishing.set()
        process.hurrying.set()  # after it: a thread that goes on then knows whether more is to come
    os._exit(0)  # the driver is gone; the next one resumes at the stored offsets


if __name__ == "__main__":
    main()
