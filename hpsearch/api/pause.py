"""`hpsearch.pause` and `hpsearch.resume`: stop a search for a while, and let it go on."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from hpsearch.api.arguments import check_arguments
from hpsearch.api.named import study_named
from hpsearch.displays.live.following import Follower, State
from hpsearch.errors import HpsearchError
from hpsearch.home.home import Home, hint, history_of
from hpsearch.journal.history import History
from hpsearch.journal.pause_file import PauseFile

POLL_SECONDS = 0.1  # between checks whether the driver has obeyed


def pause(study: str | Path, *, home: str | Path = "mlruns") -> bool:
    """Pauses the search that another process runs: its trials save their state, its devices are free until `resume`.

    study: its name, or its space file. Returns once no trial is in training; False if it was paused already. Time in a
    pause does not count against the budget. Raises UserError for an unknown study, HpsearchError if none searches it.
    """
    follower, file, name = _opened(study, home)
    if follower.history.on_hold and file.is_asked:
        return False
    file.ask()
    _await(follower, lambda history: history.on_hold, name=name, wanted=lambda: file.is_asked)
    return True


def resume(study: str | Path, *, home: str | Path = "mlruns") -> bool:
    """Lets a paused search go on; its trials resume where they were.

    study: its name, or its space file. Returns once the search goes on; False if it was not paused. Raises UserError
    for an unknown study, HpsearchError if no process searches it: `hpsearch.run` resumes that.
    """
    follower, file, name = _opened(study, home)
    if not follower.history.on_hold and not file.is_asked:
        return False
    file.withdraw()
    _await(follower, lambda history: not history.on_hold, name=name, wanted=lambda: not file.is_asked)
    return True


def _opened(study: str | Path, home: str | Path) -> tuple[Follower, PauseFile, str]:
    """The study's follower, its pause file and its name; raises HpsearchError if no process searches it."""
    check_arguments(study=study, home=home)
    name, at = study_named(study)[0], Home.at(Path(home))
    folder = at.study(name)
    if not at.journal(name).exists():
        history_of(at, name, space=study)  # raises UserError, and names the studies that there are
    follower = Follower(folder)
    state = follower.state()
    if not state.goes_on:
        other = hint(at, name, study if Path(study).suffix else None)
        raise HpsearchError(f"study '{name}' is not running ({state}){other}; hpsearch run resumes it")
    return follower, PauseFile(folder), name


def _await(follower: Follower, done: Callable[[History], bool], *, name: str, wanted: Callable[[], bool]) -> None:
    """Waits until the driver has obeyed; raises HpsearchError if it ends first, or another command takes it back."""
    while True:
        for _ in follower.new():
            pass
        if done(follower.history):
            return
        state = follower.state()
        if not state.goes_on:
            raise HpsearchError(f"study '{name}' runs no more: {state}")
        if not wanted() and state is not State.STARTING:
            raise HpsearchError(f"study '{name}': another command has taken this back")
        time.sleep(POLL_SECONDS)
