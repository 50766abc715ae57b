"""`hpsearch repair`: checks the journal, and makes MLflow and the Optuna database agree with it."""

from __future__ import annotations

from pathlib import Path

import click

from hpsearch.api.named import study_named
from hpsearch.cli.options import home_option
from hpsearch.errors import HpsearchError, StudyBusy, UserError


@click.command(
    short_help="Check the journals, rebuild damaged databases.",
    epilog="""\b
Examples:
  hpsearch repair quickstart
  hpsearch repair             all studies of the home""",
)
@click.argument("space_or_study", required=False)
@click.option("--all", "every", is_flag=True, help="All studies of the home, as without SPACE_OR_STUDY.")
@home_option
def repair(space_or_study: str | None, every: bool, home_path: Path) -> None:
    """Check SPACE_OR_STUDY's journal, set damaged databases aside, and write to them what they lack.

    Exit code 0: everything is intact at the end; 1: something cannot be repaired; 73: the study is running.
    """
    from hpsearch.home.repair import studies

    if space_or_study is not None and every:
        raise UserError("--all and a study: only one of the two is allowed")
    if space_or_study is not None:
        name, uri = study_named(space_or_study)
        if not _repair(name, uri, home_path, space=space_or_study):
            raise HpsearchError(f"study '{name}' is not intact")
        return
    names = list(studies(home_path))
    if not names:
        raise UserError(f"--home {home_path}: contains no study")
    _repair_all(names, home_path)


def _repair_all(names: list[str], home_path: Path) -> None:
    """Repairs the studies one by one; an error in one does not stop the next."""
    from hpsearch.displays.console import say

    damaged, busy = [], []
    for name in names:
        try:
            intact = _repair(name, None, home_path)
        except StudyBusy as error:
            say(f"  {error}")
            busy.append(name)
        except HpsearchError as error:
            say(f"  {error}")
            damaged.append(name)
        else:
            damaged += [] if intact else [name]
    if damaged:
        raise HpsearchError(f"not intact: {', '.join(damaged)}")
    if busy:
        raise StudyBusy(f"skipped, because they are running: {', '.join(busy)}")


def _repair(name: str, uri: str | None, home_path: Path, *, space: str | None = None) -> bool:
    """Repairs a study, under a heading; returns whether it is intact."""
    from hpsearch.displays.console import say
    from hpsearch.home.home import Home, history_of
    from hpsearch.home.repair import repair as repair_study

    say(f"{name}:")
    home = Home(home_path)
    history = history_of(home, name, space=space)
    uri = uri or history.origin.experiment.get("tracking", {}).get("uri")
    return repair_study(home.study(name), home.path, uri, say=lambda line: say(f"  {line}"))
