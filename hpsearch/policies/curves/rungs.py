"""The evaluations at which trials are compared and paused: `max(1, R/27) * 3^k` of a training with R evaluations."""

from __future__ import annotations

FACTOR = 3  # from one rung to the next
SHARE = FACTOR**3  # the first rung is at 1/27 of a training


def rungs(end: int, *, first: int | None = None, factor: int = FACTOR) -> list[int]:
    """The rungs below the end of a training, then the end; `first`: default max(1, end // 27)."""
    at, found = first or max(1, end // SHARE), list[int]()
    while at < end:
        found.append(at)
        at *= factor
    return [*found, end]
