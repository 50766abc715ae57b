"""`hpsearch run`: searches until the budget is spent."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from hpsearch.cli.options import budget_options, home_option, output_options, resources_options, study_name
from hpsearch.errors import UserError

if TYPE_CHECKING:
    from hpsearch.cli.outputs import Output
    from hpsearch.space.experiment import Experiment


@click.command(
    short_help="Search the hyperparameters of a space, or resume its study.",
    epilog="""\b
Example:
  hpsearch run search_spaces/quickstart.yaml --trials 8 --workers 2""",
)
@click.argument("space", type=click.Path(path_type=Path))
@budget_options("of the study, earlier runs included")
@resources_options
@click.option(
    "--study", callback=study_name, help="Name of the study (default: the one in the file, else the file's name)."
)
@home_option
@output_options
def run(space: Path, home_path: Path, quiet: bool, as_json: bool, **changes: Any) -> None:
    """Search the hyperparameters of SPACE, or resume its study.

    Trials that are worse than others at equal progress are pruned; trials that overfit end early and may still win.
    Ctrl-C once saves everything and stops; the same command resumes.
    """
    from hpsearch.cli.outputs import output
    from hpsearch.cli.terminal import RunTerminal
    from hpsearch.events import Preparing
    from hpsearch.home.home import Home

    with output(lambda: RunTerminal(Home(home_path), space), quiet=quiet, as_json=as_json) as shown:
        shown.show(Preparing(f"reading {space}", 0.0))
        from hpsearch.space.experiment import Experiment

        experiment = Experiment.load(space).override(**changes)
        _refuse_second_study(experiment.study, space, home_path)
        caught = search(experiment, home_path, shown)
    if caught is not None:
        sys.exit(128 + caught)


def _refuse_second_study(study: str, space: Path, home_path: Path) -> None:
    """Raises UserError if --home is not given and the study exists in the home beside the space file."""
    from hpsearch.home.home import Home, elsewhere

    home, held = Home(home_path), f"{study}/journal.jsonl"
    chosen = click.get_current_context().get_parameter_source("home_path") is not ParameterSource.DEFAULT
    if chosen or home.journal(study).exists():
        return
    if other := elsewhere(home, held, space=space, above=False):
        raise UserError(
            f"study '{study}' is in {other}: --home {other} resumes it, --home {home_path} starts a new one"
        )


def _refuse_fruitless(shown: Output, folder: Path) -> None:
    """Raises TrainingFailed if the search has ended and no trial has a value."""
    from hpsearch.cli.closing import why_fruitless
    from hpsearch.errors import TrainingFailed

    searched = shown.searched
    if searched is not None and not searched.stopped and searched.history.is_fruitless:
        raise TrainingFailed(why_fruitless(searched.history, folder))


def search(experiment: Experiment, home_path: Path, shown: Output) -> int | None:
    """Searches; a signal during the trials is noted and returned, one before or after them ends the process.

    Raises TrainingFailed if all trials have ended without a value.
    """
    from hpsearch.events import Opened, Preparing, Searched

    shown.show(Preparing("importing torch, optuna and mlflow", 0.0))
    import hpsearch
    from hpsearch.cli.signals import noted
    from hpsearch.home.home import Home

    try:
        with noted(shown.show, since=Opened, until=Searched) as (show, signals):
            hpsearch.run(experiment, home=home_path, progress=show, stopping=signals.stopping)
    except KeyboardInterrupt:
        if shown.searched is not None and not shown.searched.stopped:
            shown.left_early()
        raise
    _refuse_fruitless(shown, Home(home_path).study(experiment.study))
    shown.ended(0 if signals.caught is None else 128 + signals.caught)
    return signals.caught
