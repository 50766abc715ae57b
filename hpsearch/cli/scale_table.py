"""The larger training of `hpsearch export --for` on the terminal: a table of its values, and the rules behind them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hpsearch.displays.console import Column, console, table, write
from hpsearch.displays.text import cell, plain
from hpsearch.trainers import Change, ScaleUp

COLUMNS = (
    Column("value"),
    Column("trial"),
    Column("larger"),
    Column("by", wraps=True),
    Column("other rules", wraps=True, needed=1),
)


def show(found: ScaleUp) -> None:
    """Prints the sizes, the values, their rules and the warnings."""
    to = console()
    sizes = ", ".join(f"{name} {before:.3g} -> {after:.3g}" for name, (before, after) in found.sizes.items())
    rows = [_row(change) for change in found.changes]
    to.print(table(to, f"larger than trial {found.trial}: {sizes}", COLUMNS, rows), soft_wrap=False)
    for line in [*_rules(found), *(f"warning: {line}" for line in found.warnings)]:
        write(to, plain(line))


def _row(change: Change) -> list[str]:
    others = ", ".join(f"{_shown(one.value)} ({one.rule})" for one in change.others)
    return [change.key, _shown(change.before), _shown(change.after), cell(change.by.rule), cell(others)]


def _rules(found: ScaleUp) -> Iterator[str]:
    """Yields a line for each value that rules were asked about."""
    for change in found.changes:
        by = change.by
        if by.source:
            formula = f"{by.formula} " if by.formula else ""
            holds = f"; holds for {by.holds}" if by.holds else ""
            why = f"; chosen: {change.why}" if change.why else ""
            yield f"{change.key}: {by.rule}: {formula}({by.source}){holds}{why}"
        elif by.formula:
            yield f"{change.key}: {by.formula}"


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)
