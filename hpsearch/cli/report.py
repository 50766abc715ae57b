"""`hpsearch report`: writes a study's report as an html page."""

from __future__ import annotations

from pathlib import Path

import click

from hpsearch.cli.options import force_option, home_option
from hpsearch.output.waiting import waiting


@click.command(
    short_help="A study as one html page: results, charts, table.",
    epilog="""\b
Examples:
  hpsearch report search_spaces/quickstart.yaml
  hpsearch report quickstart -o quickstart.html --refresh 30""",
)
@click.argument("space_or_study")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("report.html"),
    show_default=True,
    help="The file to write.",
)
@click.option(
    "--refresh",
    type=click.IntRange(1, 86_400),
    metavar="SECONDS",
    help="While the study runs, a browser reads the file again after so many seconds.",
)
@force_option
@home_option
def report(space_or_study: str, output: Path, refresh: int | None, force: bool, home_path: Path) -> None:
    """Write SPACE_OR_STUDY as one html page that needs no network: what was found and how sure it is, charts, tables.

    It reads the journal only and works during a search.
    """
    from hpsearch.api.report import report as write
    from hpsearch.displays.console import say

    with waiting("drawing the report"):
        path = write(space_or_study, output, home=home_path, refresh=refresh, force=force)
    say(f"{path}: {path.stat().st_size / 1e6:.1f} MB; it needs no network: open it in a browser")
