"""`hpsearch.watch`: the live view of a search that another process runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from hpsearch.api.arguments import check_arguments
from hpsearch.api.named import study_named
from hpsearch.api.options import redacted
from hpsearch.api.study import Study, load
from hpsearch.displays.live.following import POLL_SECONDS, follow
from hpsearch.displays.show import displayed
from hpsearch.displays.terminal import SearchTerminal
from hpsearch.events import Notice, Preparing, Show
from hpsearch.home.home import Home, history_of
from hpsearch.journal.study_lock import is_locked

PATIENCE = 30.0  # seconds in which `hpsearch run` comes up, also on a slow machine


def watch(
    study: str | Path,
    *,
    home: str | Path = "mlruns",
    progress: bool | Show = True,
    stopping: Callable[[], bool] | None = None,
) -> Study:
    """Shows the search that another process runs, here or on a machine that sees the home, until it ends.

    study: its name, or its space file. Reads the journal alone, and writes nothing; a search that does not run is shown
    as it is, and one that starts is waited for. progress: as for `hpsearch.run`, with the events Watched and Left in
    place of Opened and Searched. stopping: called twice a second; once it returns True, `watch` returns. Ctrl-C leaves
    the search alone.

    Returns the study. Raises UserError for an unknown study, JournalDamaged.
    """
    with redacted():
        check_arguments(study=study, home=home, progress=progress, stopping=stopping)
        name, at = study_named(study)[0], Home.at(Path(home))
        stopping = stopping or (lambda: False)
        with displayed(progress, in_terminal=SearchTerminal) as show:
            _await_journal(at, name, study, show=show, stopping=stopping)
            if not at.journal(name).exists():
                history_of(at, name, space=study)  # raises UserError, and names the studies that there are
            for event in follow(at.study(name), stopping=stopping):
                show(event)
        return load(name, home=at.path)


def _await_journal(home: Home, name: str, space: str | Path, *, show: Show, stopping: Callable[[], bool]) -> None:
    """Waits while a driver prepares a study of which the journal has nothing yet, and a while for it to come up.

    A driver takes the study's lock once it has imported its libraries. Where another study seems to be meant, returns
    at once.
    """
    until, said = time.monotonic() + PATIENCE, ""
    while not _has_begun(home.journal(name)) and not stopping():
        if is_locked(home.study(name) / "lock"):
            line = f"study {name} starts: its driver prepares the data"
        elif time.monotonic() > until or said.startswith("study") or home.is_mistaken(name, space):
            return
        else:
            line = f"no study {name} in {home.path} yet; waiting {PATIENCE:.0f} s for its run to come up"
        if line != said:
            show(Notice(line))
            said = line
        show(Preparing("waiting for its first trial", 0.0))
        time.sleep(POLL_SECONDS)


def _has_begun(journal: Path) -> bool:
    try:
        with journal.open("rb") as file:
            return file.readline().endswith(b"\n")
    except FileNotFoundError:
        return False
