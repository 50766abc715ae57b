"""`hpsearch.report`: a study as one self-contained html page, also during the search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hpsearch.api.arguments import check_arguments
from hpsearch.api.named import study_named
from hpsearch.errors import UserError
from hpsearch.home.home import Home, history_of
from hpsearch.journal.study_lock import is_locked
from hpsearch.system.atomic import write_atomically
from hpsearch.system.own_output import is_page, refuse_other

MOST_SECONDS = 86_400  # between two refreshes


def report(
    study: str | Path,
    output: str | Path = "report.html",
    *,
    home: str | Path = "mlruns",
    refresh: int | None = None,
    force: bool = False,
) -> Path:
    """Writes a study's report, given its name or its space file: one html file that needs no network (2 MB).

    It reads the journal only, so it works during a search. refresh: seconds after which a browser reads the file again
    while the study runs; who redraws it calls this function. The file has its old or its new content at any time.
    force: replace a file that is no report, too. Returns its path. Raises UserError if the home has no such study, if
    another file is there, or if it cannot be written.
    """
    check_arguments(study=study, home=home)
    _check(output, refresh)
    name, _ = study_named(study)
    at, path = Home.at(Path(home)), Path(output)
    refuse_other(path, is_page, force=force)
    history = history_of(at, name, space=study)
    running = is_locked(at.study(name) / "lock")
    for trial in history.everything.values():
        trial.running = trial.running and running  # a killed driver leaves its trials marked as running
    from hpsearch.results.page import page  # jinja2, matplotlib: only where a page is drawn

    html = page(history, at.study(name), running=running, option=at.option, refresh=refresh)
    try:
        write_atomically(path, html.encode("utf-8", errors="replace"))
    except OSError as error:
        raise UserError(f"{path}: cannot write: {error.strerror}") from error
    return path


def _check(output: Any, refresh: Any) -> None:
    """Raises UserError for an output that cannot be a file, and for a wrong refresh."""
    if not isinstance(output, str | Path):
        raise UserError(f"output: {output!r} is not allowed; allowed: the path of a file")
    if Path(output).is_dir():
        raise UserError(f"output: {output} is a folder; allowed: the path of a file, as in report.html")
    if refresh is not None and (type(refresh) is not int or not 1 <= refresh <= MOST_SECONDS):
        raise UserError(f"refresh: {refresh!r} is not allowed; allowed: whole seconds from 1 to {MOST_SECONDS}")
