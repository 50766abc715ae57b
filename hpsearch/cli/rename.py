"""`hpsearch rename`: gives a study another name, everywhere."""

from __future__ import annotations

import os
from pathlib import Path

import click

from hpsearch.cli.options import home_option


@click.command(
    short_help="Rename a study: folder, journal, MLflow and database.",
    epilog="""\b
Example:
  hpsearch rename quickstart python-reference --edit""",
)
@click.argument("space_or_study")
@click.argument("new", metavar="NEW")
@click.option("--edit", is_flag=True, help="Write the new name into the space files that name the study, too.")
@home_option
def rename(space_or_study: str, new: str, edit: bool, home_path: Path) -> None:
    """Rename SPACE_OR_STUDY to NEW: its folder, its journal, its MLflow experiment and runs, its Optuna study.

    Nothing of its trials changes. The space file is yours: it is named with the line to change, or --edit changes it.
    If the command is interrupted, the same one finishes it.
    """
    from hpsearch.api.rename import former_name
    from hpsearch.displays.console import say
    from hpsearch.home.home import Home
    from hpsearch.home.renaming import rename as renamed
    from hpsearch.home.renaming import space_files

    home, name = Home(home_path), former_name(space_or_study)
    renamed(home, name, new, say=say)
    say(f"study '{name}' is now '{new}'")
    given = Path(space_or_study)
    files = [given] if os.path.isfile(given) else space_files(home, new, name)
    for path in files:
        _tell(path, new, edit=edit)
    if not files:
        say(f"a space file that names it must say `study: {new}` for `hpsearch run` to find it")


def _tell(path: Path, new: str, *, edit: bool) -> None:
    """Edits a space file, or says which line must be changed."""
    from hpsearch.displays.console import say
    from hpsearch.home import renaming

    place = renaming.place_of_name(path)
    if edit:
        renaming.edit(path, new)
        say(f"{place}: edited: study: {new}")
    else:
        say(f"{place}: change this to `study: {new}`, or `hpsearch run` begins a new study (--edit does it)")
