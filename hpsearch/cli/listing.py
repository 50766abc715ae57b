"""`hpsearch list`: the studies of a home."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hpsearch.cli.options import home_option
from hpsearch.output.printable import printable
from hpsearch.system import process

if TYPE_CHECKING:
    from hpsearch.home.listing import StudySummary


@click.command(
    "list",
    short_help="List the studies of a home: state, trials, best value, size.",
    epilog="""\b
Examples:
  hpsearch list
  hpsearch list --json | jq '.[] | select(.state == "interrupted") | .name'""",
)
@click.option("--json", "as_json", is_flag=True, help="JSON of all studies, for programs.")
@home_option
def list_studies(as_json: bool, home_path: Path) -> None:
    """List the studies of a home, the latest first: state, trials, best value, last event, size on the disk.

    States: running; stopped (by a person), interrupted (its driver died) and failed, which `hpsearch run` resumes;
    finished; empty; damaged. It reads the journals only and works during searches.
    """
    from hpsearch.api.studies import studies

    found = studies(home_path)
    if as_json:
        unicode = (sys.stdout.encoding or "").lower().startswith("utf")
        click.echo(json.dumps([one.to_dict() for one in found], indent=1, ensure_ascii=not unicode))
    else:
        _print(found, home_path)


def _print(found: tuple[StudySummary, ...], home_path: Path) -> None:
    from hpsearch.displays.console import Column, console, say, table
    from hpsearch.displays.text import cell

    if not found:
        say(f"{home_path}: no study yet; `hpsearch run SPACE` makes one")
        return
    to = console()
    columns = [
        Column("study", wraps=True),
        Column("state", wraps=True),
        Column("trials"),
        Column("best", wraps=True),
        Column("last event", short="last", needed=1),
        Column("size", needed=2),
    ]
    rows = [[printable(cell(text), keep="") for text in _cells(one)] for one in found]
    to.print(table(to, "", columns, rows), soft_wrap=False)
    for one in found:
        if one.reason:
            say(printable(f"{one.name}: {one.reason}", keep=""))


def _cells(one: StudySummary) -> list[str]:
    """A row of the table."""
    from hpsearch.displays.amounts import ago, bytes_text

    return [one.name, shown_state(one), _trials(one), _best(one), ago(one.last), bytes_text(one.bytes)]


def shown_state(one: StudySummary) -> str:
    """The state, of a running study with its process."""
    if one.driver is None:
        limits = [name.replace("_", " ") for name in one.ended_by if name != "trials"]
        return f"{one.state}, {' and '.join(limits)} spent" if limits else one.state
    host = one.driver.get("host")
    where = f" on {host}" if host and host != process.hostname() else ""
    return f"{one.state}, pid {one.driver['pid']}{where}" if "pid" in one.driver else one.state


def _trials(one: StudySummary) -> str:
    """How many trials have ended, and of how many."""
    if one.metric is None:
        return ""
    return f"{one.done}" if one.total is None else f"{one.done}/{one.total}"


def _best(one: StudySummary) -> str:
    from hpsearch.output.digits import digits

    how = "" if not one.confirmed else " 1 fresh seed" if one.fresh_seeds == 1 else " confirmed"
    return "" if one.best is None else f"{one.metric} {digits(one.best)}{how}"
