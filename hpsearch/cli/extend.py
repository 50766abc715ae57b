"""`hpsearch extend`: adds to the budget of a study, and goes on with it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hpsearch.cli.options import budget_options, home_option, output_options, workers_option

if TYPE_CHECKING:
    from hpsearch.home.home import Home
    from hpsearch.space.experiment import Experiment


@click.command(
    short_help="Add to the budget of a study, and go on with its search.",
    epilog="""\b
Examples:
  hpsearch extend quickstart --trials 8
  hpsearch extend search_spaces/quickstart.yaml --hours 0.5""",
)
@click.argument("space_or_study")
@budget_options("to add")
@workers_option
@home_option
@output_options
def extend(
    space_or_study: str, home_path: Path, workers: int | str | None, quiet: bool, as_json: bool, **more: Any
) -> None:
    """Add to the budget of SPACE_OR_STUDY, and go on with its search.

    If another terminal searches it, that one takes the new budget without a restart. Without an option it goes on with
    what is left. Ctrl-C once saves everything and stops.
    """
    from hpsearch.api.extend import extending, handed_over
    from hpsearch.cli.outputs import output
    from hpsearch.cli.run import search
    from hpsearch.cli.terminal import ExtendTerminal
    from hpsearch.events import Notice
    from hpsearch.home.home import Home
    from hpsearch.journal.study_lock import is_locked

    home = Home(home_path)
    experiment = extending(space_or_study, home, **more)
    name = experiment.study
    with output(lambda: ExtendTerminal(home, Path(space_or_study)), quiet=quiet, as_json=as_json) as shown:
        if is_locked(home.study(name) / "lock"):
            if not any(more.values()):
                line = f"is being searched, and no amount is added: its budget is {_budget(home, experiment)}"
                shown.show(Notice(f"study '{name}' {line}"))
                shown.ended(0)
                return
            line = "is being searched; waiting until that search has taken the new budget"
            shown.show(Notice(f"study '{name}' {line}"))
        if handed_over(name, home):
            shown.show(Notice(f"study '{name}' goes on there with the new budget: {_budget(home, experiment)}"))
            shown.ended(0)
            return
        caught = search(experiment.override(workers=workers), home_path, shown)
    if caught is not None:
        sys.exit(128 + caught)


def _budget(home: Home, experiment: Experiment) -> str:
    """The limits of the study's budget as they are now."""
    from hpsearch.home.home import history_of
    from hpsearch.policies.budget.spending import extended, limits

    return ", ".join(limits(extended(experiment.budget, history_of(home, experiment.study, curves=False))))
