"""Bytes and times in words that fit a column."""

from __future__ import annotations

import time

UNITS = ("B", "kB", "MB", "GB", "TB")
SPANS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"))


def bytes_text(count: float) -> str:
    """Formats bytes with a decimal unit: 0 B, 812 kB, 2.3 GB."""
    unit = 0
    while count >= 999.5 and unit < len(UNITS) - 1:
        count, unit = count / 1000, unit + 1
    return f"{count:.0f} {UNITS[unit]}" if count >= 9.95 or unit == 0 else f"{count:.1f} {UNITS[unit]}"


def ago(at: float, now: float | None = None) -> str:
    """Formats how long ago a time (unix seconds) was: 12 s ago, 5 min ago, 3 h ago, 2 d ago; empty if it is unknown."""
    if not at:
        return ""
    gone = max(0.0, (time.time() if now is None else now) - at)
    for seconds, unit in SPANS:
        if gone >= seconds:
            return f"{gone // seconds:.0f} {unit} ago"
    return f"{gone:.0f} s ago"
