"""`hpsearch audit`: trains a sample of the trials that were stopped early to their end."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from hpsearch.cli.options import device_option, home_option, output_options, workers_option


@click.command(
    short_help="Train pruned trials to their end: what did pruning cost?",
    epilog="""\b
Example:
  hpsearch audit quickstart --trials 5""",
)
@click.argument("space_or_study")
@click.option(
    "--trials",
    type=click.IntRange(1, 100),
    default=3,
    show_default=True,
    help="Trials in the sample, those of earlier audits included.",
)
@workers_option
@device_option
@home_option
@output_options
def audit(space_or_study: str, trials: int, home_path: Path, quiet: bool, as_json: bool, **changes: Any) -> None:
    """Train a sample of the pruned and paused trials of SPACE_OR_STUDY to their end: what has the pruner cost?

    It says how many of them would have beaten the winner, how well the values where they were stopped predict the final
    ones, and what stopping them saved. The winner stays the winner. Ctrl-C once saves everything and stops; the same
    command resumes.
    """
    from hpsearch.api.audit import auditing
    from hpsearch.cli.outputs import output
    from hpsearch.cli.run import search
    from hpsearch.cli.terminal import AuditTerminal
    from hpsearch.home.home import Home

    home = Home(home_path)
    experiment = auditing(space_or_study, home, trials=trials).override(**changes)
    terminal = partial(AuditTerminal, home, Path(space_or_study), again=f"{space_or_study} --trials {trials}")
    with output(terminal, quiet=quiet, as_json=as_json) as shown:
        caught = search(experiment, home_path, shown)
    if caught is not None:
        sys.exit(128 + caught)
