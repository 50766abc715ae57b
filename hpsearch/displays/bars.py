"""Bars and sparklines, in Unicode or in ASCII."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console


@dataclass(frozen=True)
class Glyphs:
    """The characters of bars, sparklines and spinners."""

    full: str
    half: str  # the last character of what is done, if it is less than half
    empty: str
    levels: str  # of a sparkline, the lowest first
    spinner: str
    cut: str  # the end of a text that is cut
    dot: str  # between parts of a line

    def bar(self, share: float, width: int) -> str:
        """A bar of `width` characters; share: 0 to 1, what is outside counts as the nearest."""
        cells = 0.0 if math.isnan(share) else min(1.0, max(0.0, share)) * width
        full = int(cells)
        rest = self.half if cells - full >= 0.5 else ""
        return (self.full * full + rest).ljust(width, self.empty)

    def sparkline(self, values: Sequence[float], width: int) -> str:
        """A curve in at most `width` characters; its range is that of its finite values, a blank is no finite value."""
        shown = _thinned(values, width)
        finite = [value for value in shown if math.isfinite(value)]
        if not finite:
            return " " * len(shown)
        low, span = min(finite), max(finite) - min(finite)
        top = len(self.levels) - 1
        return "".join(
            self.levels[round((value - low) / span * top) if span else 0] if math.isfinite(value) else " "
            for value in shown
        )


UNICODE = Glyphs("━", "╸", "─", "▁▂▃▄▅▆▇█", "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "…", "·")
ASCII = Glyphs("#", "#", ".", "_.-=^", "-\\|/", "~", "|")


def glyphs(console: Console, environment: Mapping[str, str] = os.environ) -> Glyphs:
    """The characters that the terminal can show: ASCII in the locale C, though Python writes UTF-8 there."""
    wanted = environment.get("LC_ALL") or _ctype(environment) or environment.get("LANG") or ""
    return ASCII if console.options.ascii_only or wanted in ("C", "POSIX") else UNICODE


def _ctype(environment: Mapping[str, str]) -> str:
    """The locale of characters; Python itself sets C.UTF-8 where LANG is C (PEP 538)."""
    found = environment.get("LC_CTYPE", "")
    return "" if found == "C.UTF-8" and environment.get("LANG") in ("C", "POSIX") else found


def _thinned(values: Sequence[float], width: int) -> list[float]:
    """At most `width` of the values, evenly spread, the last one among them."""
    if len(values) <= width:
        return list(values)
    step = (len(values) - 1) / max(1, width - 1)
    return [values[len(values) - 1 - round(step * back)] for back in reversed(range(width))]
