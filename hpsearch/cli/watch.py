"""`hpsearch watch`: the live view of a search that runs in another terminal, or on another machine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hpsearch.cli.options import home_option, output_options

if TYPE_CHECKING:
    from hpsearch.cli.outputs import Output
    from hpsearch.events import Event

INTERRUPTED = 130


@click.command(
    short_help="Show a running search live from another terminal or machine.",
    epilog="""\b
Examples:
  hpsearch watch quickstart
  hpsearch watch quickstart --json""",
)
@click.argument("space_or_study")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Also write the report, time and again.")
@home_option
@output_options
def watch(space_or_study: str, html: Path | None, home_path: Path, quiet: bool, as_json: bool) -> None:
    """Show the search of SPACE_OR_STUDY as its own terminal does, until it ends.

    It reads the study's journal alone and changes nothing, from any machine that sees the home. A study that is
    about to start is waited for; one that is not searched is shown as it is. Ctrl-C ends the view and leaves the
    search alone.
    """
    from hpsearch.api.watch import watch as watched
    from hpsearch.cli.outputs import output
    from hpsearch.cli.terminal import WatchTerminal
    from hpsearch.home.home import Home

    home = Home(home_path)
    with output(lambda: WatchTerminal(home, space_or_study), quiet=quiet, as_json=as_json) as shown:
        try:
            watched(space_or_study, home=home_path, progress=_drawing(shown, html, space_or_study, home_path))
        except KeyboardInterrupt:
            shown.left_early()
            shown.ended(INTERRUPTED)
            sys.exit(INTERRUPTED)
        shown.ended(0)


def _drawing(shown: Output, html: Path | None, study: str, home: Path) -> Callable[[Event], None]:
    """The function that receives the events: it also keeps a page up to date, if one is asked for."""
    if html is None:
        return shown.show
    from hpsearch.cli.watched_page import WatchedPage

    page = WatchedPage(html, study, home=home, say=shown.show)

    def show(event: Event) -> None:
        shown.show(event)
        page.show(event)

    return show
