"""The text of a drafted space file: each value with the reason for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hpsearch.document.scalars import written
from hpsearch.output.printable import printable

WIDTH = 110  # columns, beyond which a comment stands above its line


class Line:
    """A key with its value, a comment, and lines under it."""

    def __init__(self, key: str, value: Any = None, why: str = "", *, under: Sequence[Line] = ()) -> None:
        self.key, self.value, self.why, self.under = key, value, why, under

    def text(self, indent: str = "") -> str:
        """The line and those under it."""
        flat = f"{indent}{written(self.key)}: {written(self.value)}"
        if not self.under and len(flat) > WIDTH and isinstance(self.value, Mapping):
            return Line(self.key, why=self.why, under=[Line(*pair) for pair in self.value.items()]).text(indent)
        own = f"{indent}{written(self.key)}:" if self.under else flat
        if self.why:
            why = f"# {printable(self.why, keep='')}"
            own = f"{own}  {why}" if len(own) + len(why) + 2 <= WIDTH else f"{indent}{why}\n{own}"
        return "\n".join([own, *(line.text(f"{indent}  ") for line in self.under)])


def file_text(head: Iterable[str], lines: Iterable[Line]) -> str:
    """The whole file; `head`: lines of comments above it."""
    return "\n".join([*(f"# {printable(line, keep='')}" for line in head), *(line.text() for line in lines)]) + "\n"


def data_set(name: str, keys: Mapping[str, Any], reasons: Mapping[str, str]) -> Line:
    """The lines of one data set."""
    return Line(name, under=[Line(key, value, reasons.get(key, "")) for key, value in keys.items()])
