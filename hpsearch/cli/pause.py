"""`hpsearch pause` and `hpsearch resume`: stop a search that runs in another terminal for a while."""

from __future__ import annotations

from pathlib import Path

import click

from hpsearch.cli.options import home_option


@click.command(
    short_help="Pause a running search; its devices are free until `resume`.",
    epilog="""\b
Example:
  hpsearch pause quickstart""",
)
@click.argument("space_or_study")
@home_option
def pause(space_or_study: str, home_path: Path) -> None:
    """Pause the search of SPACE_OR_STUDY: its trials save their state, and its devices are free until `resume`.

    The process of the search stays and waits. Time in a pause does not count against the budget. It waits until no
    trial is in training. A pause ends with its process: `hpsearch run` after that searches at once.
    """
    from hpsearch.api.named import study_named
    from hpsearch.api.pause import pause as paused
    from hpsearch.displays.console import say
    from hpsearch.home.home import Home

    name, option = study_named(space_or_study)[0], Home(home_path).option
    was_running = paused(space_or_study, home=home_path)
    how = "is paused" if was_running else "is paused already"
    say(f"study '{name}' {how}; hpsearch resume {name}{option} resumes it")


@click.command(
    short_help="Let a paused search go on.",
    epilog="""\b
Example:
  hpsearch resume quickstart""",
)
@click.argument("space_or_study")
@home_option
def resume(space_or_study: str, home_path: Path) -> None:
    """Let the search of SPACE_OR_STUDY go on after `hpsearch pause`.

    A search that was stopped or killed has no process that could go on: `hpsearch run` resumes it.
    """
    from hpsearch.api.named import study_named
    from hpsearch.api.pause import resume as resumed
    from hpsearch.displays.console import say

    name = study_named(space_or_study)[0]
    say(f"study '{name}' {'goes on' if resumed(space_or_study, home=home_path) else 'is not paused'}")
