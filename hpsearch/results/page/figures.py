"""Numbers and untrusted text, as people read them."""

from __future__ import annotations

import html
import math
from functools import lru_cache
from typing import Any

from hpsearch.output.digits import digits
from hpsearch.output.printable import printable
from hpsearch.output.redaction import redact

LONGEST = 4000  # characters of one text
NONE = "\N{EN DASH}"  # in place of a number that is not there


def text(value: object) -> str:
    """A text from outside without control characters and secrets; the template escapes it."""
    return _cleaned(str(value))


@lru_cache(maxsize=50_000)  # names and values are repeated by the thousand, and redacting one takes half a millisecond
def _cleaned(value: str) -> str:
    found = printable(redact(value), keep="\n\t")
    return found if len(found) <= LONGEST else found[: LONGEST - 1] + "…"


def label(value: object, longest: int = 60) -> str:
    """The same for a chart, where plotly reads some tags: escaped, and cut to one line."""
    line = " ".join((text(value) if isinstance(value, str) else str(value)).split())
    return html.escape(line if len(line) <= longest else line[: longest - 1] + "…", quote=False)


def figure(value: float | None, places: int = 4) -> str:
    """A number in as few digits as tell it: 2.711, 0.00319, 1.28e-05, 12,345; an en dash for none."""
    if value is None or not math.isfinite(value):
        return NONE
    if value == 0:
        return "0"
    if 1e-4 <= abs(value) < 10**places:
        found = f"{value:.{places}g}"
        return f"{float(found):.{places}f}".rstrip("0").rstrip(".") if "e" in found else found
    return f"{value:,.0f}" if 10**places <= abs(value) < 1e7 else f"{value:.{places - 1}g}"


def measured(value: float | None) -> str:
    """The value of a metric; an en dash for none."""
    return NONE if value is None or not math.isfinite(value) else digits(value)


def shown(value: Any) -> str:
    """The value of a hyperparameter."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return text(value)
    return str(value) if isinstance(value, int) else figure(value, 3)


def duration(seconds: float) -> str:
    """A time: 48 s, 12.4 min, 3.52 h, 2.1 days."""
    for limit, unit, name in ((90, 1, "s"), (5400, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{figure(seconds / unit, 3)} {name}"
    return f"{figure(seconds / 86400, 3)} days"


def count(n: int, noun: str) -> str:
    """A number of things: 1 trial, 1,200 trials."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def listed(names: list[str], most: int = 8) -> str:
    """Names in a sentence: a, b and c; of many the first ones."""
    if len(names) > most:
        return ", ".join(names[:most]) + f" and {len(names) - most} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
