"""`hpsearch explain`: what a key of the space file means."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from hpsearch.cli.options import trainer_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from hpsearch.preflight.reference.entries import Entry


@click.command(
    short_help="What a key, a metric or an outcome means.",
    epilog="""\b
Examples:
  hpsearch explain training.cooldown
  hpsearch explain training
  hpsearch explain val/f1_macro""",
)
@click.argument("key", nargs=-1)
@trainer_option
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def explain(key: tuple[str, ...], trainer: str | None, as_json: bool) -> None:
    """Say what KEY of a space file is, what it may be, and which range is recommended.

    KEY may also be a section (training), a metric (val/f1_macro) or an outcome of a trial (overfit); without it, the
    sections are listed.
    """
    from hpsearch.api.reference import explain as explained
    from hpsearch.displays.console import console

    entry = explained(".".join(key) or None, trainer=trainer)
    if as_json:
        click.echo(json.dumps(asdict(entry), ensure_ascii=False, indent=1))
    else:
        _show(console(), entry)


def _show(to: Console, entry: Entry) -> None:
    """Prints an entry: its words, its facts in a column, its members in a line each."""
    from hpsearch.displays.console import write
    from hpsearch.displays.text import plain

    write(to, plain(f"{entry.name}: {entry.words}" if entry.words else entry.name))
    related = [("related", ", ".join(entry.related))] if entry.related else []
    _print_column(to, [*entry.facts.items(), *related])
    _print_column(to, [(name.removeprefix(f"{entry.name}."), words) for name, words in entry.members], cut=True)
    if entry.members:
        example = next((name for name, _ in entry.members if "." in name), "training.epochs")
        write(to, plain(f"more of each: hpsearch explain {example}"))


def _print_column(to: Console, rows: Sequence[tuple[str, str]], *, cut: bool = False) -> None:
    """Prints names and words in two columns; in a terminal long words wrap, or are `cut` to a line."""
    from rich.text import Text

    margin = 4 + max((len(name) for name, _ in rows), default=0)
    for name, words in rows:
        width = max(20, to.width - margin)
        text = Text(f"{words[: width - 3].rstrip()}..." if cut and to.is_terminal and len(words) > width else words)
        for place, line in enumerate(text.wrap(to, width)):
            line.rstrip()
            to.print(Text(f"  {name}".ljust(margin) if place == 0 else " " * margin).append_text(line))
