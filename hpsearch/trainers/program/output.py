"""The metrics in what a program prints: lines of JSON, or what regular expressions find in a line."""

from __future__ import annotations

import ast
import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from hpsearch.trainers.own import PLACES

LONGEST = 1 << 16  # bytes of a line; a longer one holds no metrics
_ENDS = re.compile(rb"[\r\n]")
_log = logging.getLogger(__name__)


class Lines:
    """Cuts output into lines, however it arrives; a progress bar's returns end a line, too."""

    def __init__(self, position: int = 0, *, inside: bool = False) -> None:
        self.position = position  # bytes before the first line that was not yielded
        self.inside = inside  # whether that is within a line that is too long
        self._rest = b""

    def of(self, output: bytes) -> Iterator[str]:
        """Yields the lines that are complete with this output."""
        *complete, self._rest = _ENDS.split(self._rest + output)
        for line in complete:
            self.position += len(line) + 1
            if self.inside:
                self.inside = False
            elif _is_text(line):
                yield line.decode(errors="replace")
        if len(self._rest) > LONGEST or self.inside:
            self.position += len(self._rest)
            self._rest, self.inside = b"", True

    def rest(self) -> Iterator[str]:
        """Yields the last line, if the output ended without a line end."""
        self.position += len(self._rest)
        line, self._rest = self._rest, b""
        if _is_text(line):
            yield line.decode(errors="replace")


class JsonLines:
    """Reads lines that are a JSON object, or a dict as Python prints it, of numbers by name."""

    places: ClassVar[dict[str, float]] = {}  # each line has its own

    def report(self, line: str) -> dict[str, float]:
        """The numbers of a line; empty if it has none."""
        line = line.strip()
        if not (line.startswith("{") and line.endswith("}")):
            return {}
        try:
            found = json.loads(line)
        except ValueError:
            found = _literal(line)
        if not isinstance(found, Mapping):
            return {}
        return {str(name): float(value) for name, value in found.items() if name and type(value) in (int, float)}


def unread(lines: Iterable[str], *, patterns: bool) -> str:
    """Why no metric was found in any of these lines, and what to do; empty if nothing in them looks like one.

    patterns: whether regular expressions read them.
    """
    if patterns:
        return "none of the patterns for metrics found a number in its output"
    if any(JsonLines().report(line[line.index("{") :]) for line in lines if "{" in line):
        return "a JSON object behind other text is not read: print it alone in its line, or give patterns (metrics)"
    return ""


class Patterns:
    """Finds numbers by regular expressions, one for each name. A line with a place alone is that of the lines after."""

    def __init__(self, patterns: Mapping[str, str], places: Mapping[str, float] | None = None) -> None:
        """`places`: those of the lines before."""
        self._patterns = {name: re.compile(pattern) for name, pattern in patterns.items()}
        self.places = dict(places or {})
        self._warned = False

    def report(self, line: str) -> dict[str, float]:
        """The metrics of a line with the places that stand in it or in lines before; empty if it has none."""
        found = dict(self._numbers(line))
        self.places |= {name: value for name, value in found.items() if name in PLACES}
        return {**self.places, **found} if found.keys() - set(PLACES) else {}

    def _numbers(self, line: str) -> Iterator[tuple[str, float]]:
        for name, pattern in self._patterns.items():
            if (match := pattern.search(line)) is None or match[1] is None:
                continue
            try:
                yield name, float(match[1].rstrip(".,;"))
            except ValueError:
                if not self._warned:
                    _log.warning("metrics: %r is no number; the pattern of %s found it", match[1], name)
                self._warned = True


def wrong_pattern(pattern: str) -> str:
    """Why a regular expression cannot find a number; empty if it can."""
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        return f"is no regular expression: {error}"
    return "" if groups == 1 else f"has {groups or 'no'} groups; allowed: one, around the number: 'val loss ([\\d.]+)'"


def _is_text(line: bytes) -> bool:
    return len(line) <= LONGEST and not line.isspace() and line != b""


def _literal(line: str) -> Any:
    try:
        return ast.literal_eval(line)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
