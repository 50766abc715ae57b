"""Ships the journal to the views, in a process of its own (shipper.py starts it), or in that of `hpsearch sync`.

Within the process each view has a thread, so that one that hangs does not hold up the other.

A view's offset in the journal is stored, in the store itself and beside it, only after the store has acknowledged what
was before it; what is shipped twice after a crash is told apart by the views. So the views lag and catch up, and
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

from hpsearch import failpoints
from hpsearch.errors import HpsearchError, StudyBusy
from hpsearch.file_lock import locked
from hpsearch.study_lock import StudyLock
from hpsearch.views import postgres
from hpsearch.views.follower import BUSY, Follower, Say, View, lacking
from hpsearch.views.mlflow import schema

POLL, LONGEST_POLL = 0.5, 3.0  # seconds between looks at the journal
SHARE = 0.1  # of a core, that shipping takes while training needs it; larger batches cost less for each row
BACKOFF = (1, 2, 2, 2, 2, 2, 4, 8, 15, 30)  # seconds to the next try after the 1st, 2nd ... failure in a row
# Failures in a row after which finishing gives a view up, and a later start ships the rest: one more than
# mlflow.BROKEN, for the first is of a larger batch.
TRIES_AT_THE_END = 4


def sync(
    study_folder: Path,
    home: Path,
    tracking: str | None,
    names: Iterable[str],
    *,
    say: Say = lambda message: None,
) -> dict[str, int]:
    """Ships in this process what the views of a study lack; gives the events that each lacks still (0: all there).

    What claims to be running is ended: no driver runs the study. Raises StudyBusy when one does, HpsearchError when
    another process ships the study.
    """
    folder = study_folder.resolve()
    with undriven(folder):
        pass  # a driver that starts from here on waits with its views, not with its trials
    with followers(folder, home.resolve(), tracking, names, say=say) as found:
        for follower in found:
            follow(follower, finishing=lambda: True, pause=time.sleep)
        with contextlib.suppress(StudyBusy), undriven(folder):
            for follower in found:
                follower.undriven = True
                if not follower.failures:
                    follow(follower, finishing=lambda: True, pause=time.sleep)
    # what claims to be running still is lacking its end
    return {f.view.name: max(lacking(folder, f.view.name), int(f.failures > 0)) for f in found}


@contextlib.contextmanager
def undriven(study_folder: Path, hint: str = "a running search ships to its views by itself") -> Iterator[None]:
    """Keeps drivers off the study; raises StudyBusy, naming it, when one runs it."""
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
    """The views of a study, for this process alone; raises HpsearchError when another process ships the study."""
    check(home, tracking)
    with locked(study_folder / "views" / "lock", timeout=10, busy=BUSY):
        found = [Follower(view_named(n, study_folder, home, tracking, say=say), study_folder, say=say) for n in names]
        try:
            yield found
        finally:
            for follower in found:
                follower.close()


def check_address() -> None:
    """Raises UserError when HPSEARCH_OPTUNA_URL is set to what no database can be reached by; asks no server."""
    postgres.address()


def check(home: Path, tracking: str | None) -> None:
    """Raises UserError for a wrong HPSEARCH_OPTUNA_URL, or an MLflow database of another version; asks no server."""
    check_address()
    schema.check_home(home, tracking)


def prepare(home: Path, tracking: str | None) -> None:
    """Makes both stores now (seconds, the first time); the shipping process else does it when it starts.

    One process at a time makes them, under a lock in `home`: two at once would break each other.
    """
    for name in ("mlflow", "optuna"):
        view = view_named(name, home.resolve() / "none", home.resolve(), tracking)
        view.prepare()
        view.close()


def view_named(
    name: str, study_folder: Path, home: Path, tracking: str | None, *, say: Say = lambda message: None
) -> View:
    """The view "mlflow" or "optuna" of one study, not yet open."""
    if name == "mlflow":
        from hpsearch.views.mlflow.store import Store
        from hpsearch.views.mlflow.view import MlflowView

        return MlflowView(study_folder, Store(home, tracking, study=study_folder.name, say=say), say=say)
    if name == "optuna":
        from hpsearch.views.optuna import OptunaView

        return OptunaView(study_folder, home, say=say)
    raise HpsearchError(f"no view is called {name!r}; there are mlflow and optuna")


def follow(follower: Follower, *, finishing: Callable[[], bool], pause: Callable[[float], Any]) -> None:
    """Ships what the journal gets, until `finishing` says that it gets no more and all is shipped or given up.

    Failures of the view are said once, remembered and tried again, ever more rarely.
    """
    while True:
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
    """The shipping process: its task and "finish" come on standard input; it is gone when that closes."""
    _stay_behind()
    failpoints.take_along(os.getppid())
    task = json.loads(sys.stdin.readline())
    send = _sender()
    finishing = threading.Event()
    threading.Thread(target=_obey, args=(finishing,), daemon=True).start()
    folder, home, opened = Path(task["study_folder"]), Path(task["home"]), set[str]()

    def on_open(name: str) -> None:
        opened.add(name)
        if len(opened) == len(task["names"]):
            send({"ready": True})

    def run(name: str) -> None:
        view = view_named(name, folder, home, task["tracking"], say=lambda line: send({"say": line}))
        follower = Follower(view, folder, say=lambda line: send({"say": line}), on_open=lambda: on_open(name))
        follow(follower, finishing=finishing.is_set, pause=lambda s: _pause(finishing, s))
        follower.close()

    with locked(folder / "views" / "lock"):
        loops = [threading.Thread(target=run, args=(name,)) for name in task["names"]]
        for loop in loops:
            loop.start()
        for loop in loops:
            loop.join()
    os._exit(0)  # a library's threads must not keep it


def _stay_behind() -> None:
    """Lets training and the driver go first, leaves Ctrl-C to the driver, and dies with the driver (Linux at once,
    elsewhere when the pipe closes). New files are private.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.umask(0o077)
    if hasattr(os, "nice"):
        os.nice(10)
    if sys.platform == "linux":
        pr_set_pdeathsig = 1  # man 2 prctl
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL)


def _sender() -> Callable[[dict[str, Any]], None]:
    output = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is no message
    lock = threading.Lock()

    def send(message: dict[str, Any]) -> None:
        with lock, contextlib.suppress(OSError):
            output.write(json.dumps(message) + "\n")

    return send


def _obey(finishing: threading.Event) -> None:
    for line in sys.stdin:
        if json.loads(line).get("finish"):
            finishing.set()
    os._exit(0)  # the driver is gone; the next one goes on from the stored offsets


def _pause(finishing: threading.Event, seconds: float) -> None:
    if finishing.is_set():
        time.sleep(min(seconds, 1))
    else:
        finishing.wait(seconds)


if __name__ == "__main__":
    main()
