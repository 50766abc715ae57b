"""`hpsearch confirm`: trains the best trials of a study again with fresh seeds."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from hpsearch.cli.options import device_option, home_option, output_options, workers_option


@click.command(
    short_help="Train the best trials once more with fresh seeds.",
    epilog="""\b
Example:
  hpsearch confirm quickstart --top 3 --seeds 3""",
)
@click.argument("space_or_study")
@click.option(
    "--top", type=click.IntRange(1, 100), default=3, show_default=True, help="Trials to train again: the best ones."
)
@click.option("--seeds", type=click.IntRange(1, 100), default=3, show_default=True, help="Fresh seeds of each.")
@workers_option
@device_option
@home_option
@output_options
def confirm(
    space_or_study: str, top: int, seeds: int, home_path: Path, quiet: bool, as_json: bool, **changes: Any
) -> None:
    """Train the best trials of SPACE_OR_STUDY again with fresh seeds, and rank them by those alone.

    It trains no new trial. The winner of the confirmation is what `hpsearch export` writes from then on. Ctrl-C once
    saves everything and stops; the same command resumes.
    """
    from hpsearch.api.confirm import confirming
    from hpsearch.cli.outputs import output
    from hpsearch.cli.run import search
    from hpsearch.cli.terminal import ConfirmTerminal
    from hpsearch.home.home import Home

    home = Home(home_path)
    experiment = confirming(space_or_study, home, top=top, seeds=seeds).override(**changes)
    again = f"{space_or_study} --top {top} --seeds {seeds}"
    terminal = partial(ConfirmTerminal, home, Path(space_or_study), again=again)
    with output(terminal, quiet=quiet, as_json=as_json) as shown:
        caught = search(experiment, home_path, shown)
    if caught is not None:
        sys.exit(128 + caught)
