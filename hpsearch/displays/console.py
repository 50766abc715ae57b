"""A terminal on which words wrap and tables fit; into a pipe or a file, nothing is folded.

There COLUMNS, if it is set, is the width of tables; lines stay whole, for grep.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hpsearch.displays.text import plain

INDENT = 4  # columns by which the rest of a long line stands in
UNFOLDED = 100_000  # columns of what is no terminal
UNFRAMED: dict[str, Any] = {"box": box.SIMPLE_HEAD, "padding": (0, 1, 0, 0), "show_edge": False}
LEAST = 24  # columns of a cell that wraps, before other columns are left out


def console() -> Console:
    """The standard output."""
    made = Console(highlight=False, soft_wrap=True)
    if not made.is_terminal:
        made.width = _columns() or UNFOLDED
    return made


def _columns() -> int:
    """The width that COLUMNS asks for; 0 without one."""
    wanted = os.environ.get("COLUMNS", "")
    return int(wanted) if wanted.isascii() and wanted.isdigit() else 0


def write(to: Console, line: str) -> None:
    """Prints a line of markup; in a terminal it wraps between words, and its rest is indented."""
    text = Text.from_markup(line)
    if not to.is_terminal or text.cell_len <= to.width:
        to.print(text)
        return
    margin = len(text.plain) - len(text.plain.lstrip(" ")) + INDENT
    first, *rest = text.wrap(to, max(20, to.width - margin))
    to.print(first)
    for part in rest:
        part.pad_left(margin)
        to.print(part)


def say(line: str) -> None:
    """Prints a line of plain text on the standard output."""
    write(console(), plain(line))


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    name: str
    short: str = ""  # its name where the table is too wide
    wraps: bool = False  # between the words of its cells
    needed: int = 0  # the columns that are needed least are left out first; 0: never


def table(
    to: Console, title: str, columns: Sequence[Column], rows: Sequence[Sequence[str]], *, framed: bool = True
) -> Table:
    """Makes a table that is no wider than the terminal: with short names, then without the columns needed least.

    cells: plain text. No number is ever broken. framed: with lines around the table and between its columns.
    """
    kept = list(range(len(columns)))
    names = [column.name for column in columns]
    if _width(kept, names, columns, rows, framed) > to.width:
        names = [column.short or column.name for column in columns]
    while _width(kept, names, columns, rows, framed) > to.width:
        spare = [at for at in kept if columns[at].needed]
        if not spare:
            break
        kept.remove(min(spare, key=lambda at: columns[at].needed))
    made = Table(title=Text(title) if title else None, title_justify="left", **({} if framed else UNFRAMED))
    extents = [_Extent.of(columns[at], [names[at], *(row[at] for row in rows)]) for at in kept]
    widths = _widths(to.width, extents, framed)
    for at, width in zip(kept, widths, strict=True):
        made.add_column(names[at], no_wrap=not columns[at].wraps, overflow="fold", width=width)
    for row in rows:
        made.add_row(*(Text(row[at]) for at in kept))
    return made


def fits(to: Console, columns: Sequence[Column], rows: Sequence[Sequence[str]], *, framed: bool = True) -> bool:
    """Whether a table of these columns, with their short names, is no wider than the terminal."""
    names = [one.short or one.name for one in columns]
    return _width(list(range(len(columns))), names, columns, rows, framed) <= to.width


def _width(
    kept: list[int], names: list[str], columns: Sequence[Column], rows: Sequence[Sequence[str]], framed: bool = True
) -> int:
    """The least width of a table with these columns."""
    cells = (_Extent.of(columns[at], [names[at], *(row[at] for row in rows)]).least for at in kept)
    return framed + sum((3 if framed else 2) + width for width in cells)


class _Extent(NamedTuple):
    """The width at which a column's longest word fits (LEAST at most, if it wraps), and that of its longest cell."""

    least: int
    full: int

    @classmethod
    def of(cls, column: Column, cells: list[str]) -> _Extent:
        full = max(map(_cells, cells), default=0)
        if not column.wraps:
            return cls(full, full)
        return cls(min(LEAST, max((_cells(word) for cell in cells for word in cell.split()), default=0)), full)


def _widths(width: int, columns: list[_Extent], framed: bool = True) -> list[int]:
    """The width of each column; what is left beside the least ones goes to the last columns first."""
    found = [column.least for column in columns]
    left = width - framed - sum((3 if framed else 2) + least for least in found)
    for at in reversed(range(len(columns))):
        more = max(0, min(left, columns[at].full - found[at]))
        found[at], left = found[at] + more, left - more
    return found


def _cells(text: str) -> int:
    """The width of a text, which may have several lines."""
    return max((Text(line).cell_len for line in text.split("\n")), default=0)
