"""`hpsearch.watch`: the live view of a search that another process runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hpsearch.api.arguments import check_arguments
from hpsearch.api.named import study_named
from hpsearch.api.options import redacted
from hpsearch.api.study import Study, load
from hpsearch.displays.live.following import follow
from hpsearch.displays.show import displayed
from hpsearch.displays.terminal import SearchTerminal
from hpsearch.events import Show
from hpsearch.home.home import Home, history_of


def watch(
    study: str | Path,
    *,
    home: str | Path = "mlruns",
    progress: bool | Show = True,
    stopping: Callable[[], bool] | None = None,
) -> Study:
    """Shows the search that another process runs, here or on a machine that sees the home, until it ends.

    study: its name, or its space file. Reads the journal alone, and writes nothing; a search that does not run is shown
    as it is. progress: as for `hpsearch.run`, with the events Watched and Left in place of Opened and Searched.
    stopping: called twice a second; once it returns True, `watch` returns. Ctrl-C leaves the search alone.

    Returns the study. Raises UserError for an unknown study, JournalDamaged.
    """
    with redacted():
        check_arguments(study=study, home=home, progress=progress, stopping=stopping)
        name, at = study_named(study)[0], Home.at(Path(home))
        if not at.journal(name).exists():
            history_of(at, name, space=study)  # raises UserError, and names the studies that there are
        with displayed(progress, in_terminal=SearchTerminal) as show:
            for event in follow(at.study(name), stopping=stopping or (lambda: False)):
                show(event)
        return load(name, home=at.path)
