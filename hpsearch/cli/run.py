"""`hpsearch run`: searches until the budget is spent."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from hpsearch.cli.options import Workers, device_option, home_option
from hpsearch.errors import UserError

if TYPE_CHECKING:
    from hpsearch.cli.terminal import RunTerminal
    from hpsearch.space.experiment import Experiment


@click.command(
    epilog="""\b
Example:
  hpsearch run search_spaces/quickstart.yaml --trials 8 --workers 2"""
)
@click.argument("space", type=click.Path(path_type=Path))
@click.option("--trials", type=click.IntRange(1), help="Trials of the study, earlier runs included.")
@click.option("--hours", type=click.FloatRange(0, min_open=True), help="Hours of the study, earlier runs included.")
@click.option("--workers", type=Workers(), help="Training processes; auto: one per CPU core or GPU.")
@device_option
@click.option(
    "--launcher",
    type=click.Choice(["local", "inline", "ray"]),
    help="Where workers run: processes here, this process, a Ray cluster.",
)
@click.option("--study", help="Name of the study (default: the one in the file, else the file's name).")
@home_option
def run(space: Path, home_path: Path, **changes: Any) -> None:
    """Search the hyperparameters of SPACE, or resume its study.

    Trials that are worse than others at equal progress are pruned; trials that overfit end early and may still win.
    Ctrl-C once saves everything and stops; the same command resumes.
    """
    from hpsearch.cli.terminal import RunTerminal
    from hpsearch.home import Home
    from hpsearch.space.experiment import Experiment

    if changes["hours"] is not None and not math.isfinite(changes["hours"]):
        raise click.BadParameter("must be a finite number above 0", param_hint="--hours")
    experiment = Experiment.load(space).override(**changes)
    _refuse_second_study(experiment.study, space, home_path)
    with RunTerminal(Home(home_path), space) as terminal:
        caught = _search(experiment, home_path, terminal)
    if caught is not None:
        sys.exit(128 + caught)


def _refuse_second_study(study: str, space: Path, home_path: Path) -> None:
    """Raises UserError if --home is not given and the study exists in the home beside the space file."""
    from hpsearch.home import Home, elsewhere

    home, held = Home(home_path), f"{study}/journal.jsonl"
    chosen = click.get_current_context().get_parameter_source("home_path") is not ParameterSource.DEFAULT
    if chosen or home.journal(study).exists():
        return
    if other := elsewhere(home, held, space=space, above=False):
        raise UserError(
            f"study '{study}' is in {other}: --home {other} resumes it, --home {home_path} starts a new one"
        )


def _search(experiment: Experiment, home_path: Path, terminal: RunTerminal) -> int | None:
    """Searches; a signal during the trials is noted and returned, one before or after them ends the process."""
    import hpsearch
    from hpsearch.cli.signals import noted
    from hpsearch.events import Opened, Searched

    try:
        with noted(terminal.show, since=Opened, until=Searched) as (show, signals):
            hpsearch.run(experiment, home=home_path, progress=show, stopping=signals.stopping)
    except KeyboardInterrupt:
        if terminal.searched is not None and not terminal.searched.stopped:
            terminal.left_early()
        raise
    return signals.caught
