"""`hpsearch repair`: the journal checked, MLflow and the Optuna database made to say what it tells."""

from __future__ import annotations

from pathlib import Path

import click

from hpsearch.api.named import study_named
from hpsearch.cli.options import home_option
from hpsearch.errors import HpsearchError, StudyBusy, UserError


@click.command(
    epilog="""\b
Examples:
  hpsearch repair quickstart
  hpsearch repair             all studies of the home"""
)
@click.argument("space_or_study", required=False)
@click.option("--all", "every", is_flag=True, help="All studies of the home, as without SPACE_OR_STUDY.")
@home_option
def repair(space_or_study: str | None, every: bool, home_path: Path) -> None:
    """Check SPACE_OR_STUDY's journal, set damaged databases aside, and store in them all that it tells.

    Exit code 0: all is whole at the end; 1: something cannot be brought back; 73: the study is being run.
    """
    from hpsearch.repair import studies

    if space_or_study is not None and every:
        raise UserError("--all and a study: give one of them")
    if space_or_study is not None:
        name, uri = study_named(space_or_study)
        if not _repair(name, uri, home_path, space=space_or_study):
            raise HpsearchError(f"study '{name}' is not whole")
        return
    names = list(studies(home_path))
    if not names:
        raise UserError(f"--home {home_path}: holds no study")
    _repair_all(names, home_path)


def _repair_all(names: list[str], home_path: Path) -> None:
    """Repairs one after the other; what is wrong with one does not stop the next."""
    broken, busy = [], []
    for name in names:
        try:
            whole = _repair(name, None, home_path)
        except StudyBusy as error:
            click.echo(f"  {error}")
            busy.append(name)
        except HpsearchError as error:
            click.echo(f"  {error}")
            broken.append(name)
        else:
            broken += [] if whole else [name]
    if broken:
        raise HpsearchError(f"not whole: {', '.join(broken)}")
    if busy:
        raise StudyBusy(f"left out, for they are being run: {', '.join(busy)}")


def _repair(name: str, uri: str | None, home_path: Path, *, space: str | None = None) -> bool:
    """Repairs a study, under a heading; whether it is whole."""
    from hpsearch.home import Home, history_of
    from hpsearch.repair import repair as mend

    click.echo(f"{name}:")
    home = Home(home_path)
    history = history_of(home, name, space=space)
    uri = uri or history.origin["experiment"].get("tracking", {}).get("uri")
    return mend(home.study(name), home.path, uri, say=lambda line: click.echo(f"  {line}"))
