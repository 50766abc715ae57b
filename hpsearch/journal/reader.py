"""Reads a journal: its undamaged lines from an offset on, or all events from the study's origin on."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from types import NoneType
from typing import Any

from hpsearch.errors import JournalDamaged
from hpsearch.journal.lines import ORIGIN, Entry, parsed, whole, without_points

_NUMBERS = ("index", "step", "tokens", "progress", "epoch", "seconds", "peak_memory", "device_memory", "time")
_TYPES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(_NUMBERS, (int, float)),
    "metrics": (dict,),
    "signatures": (dict,),
    "replicates": (dict,),
    "branch": (dict,),
    "usage": (dict,),
    "precision": (str,),
}
_NEEDED = {"index", "step", "progress", "metrics"}  # of an evaluation: None is no value for them
_METRIC = frozenset({int, float, bool, NoneType})  # types of a metric's value in JSON
_BUFFER = 1 << 20  # bytes: with Python's default buffer, reading lines takes three times as long


class Tail:
    """Reads the undamaged lines of a journal from an offset on."""

    def __init__(self, path: Path, offset: int = 0, *, points: bool = True) -> None:
        self.path, self.offset, self._points = path, offset, points
        self.lines = 0  # read so far
        self.damaged: list[int] = []  # numbers of the skipped lines, from 1 if the offset was 0

    def read(self, limit: int = 1 << 22) -> tuple[list[Entry], int]:
        """Returns the next events (about `limit` bytes) and the offset after them; ([], offset) if there are none."""
        try:
            with self.path.open("rb", buffering=_BUFFER) as file:
                file.seek(self.offset)
                lines = file.readlines(limit)
        except FileNotFoundError:
            return [], self.offset
        if lines and not lines[-1].endswith(b"\n"):
            lines.pop()  # is being written, or torn
        found = []
        for number, line in enumerate(lines, self.lines + 1):
            body = whole(line)
            event = None if body is None else self.event(body)
            if event is not None and is_readable(event):
                found.append(event)
            elif event is not None or body is None:
                self.damaged.append(number)
        self.lines += len(lines)
        self.offset += sum(map(len, lines))
        return found, self.offset

    def event(self, body: bytes) -> Entry | None:
        """Returns the event of an undamaged line's body (see `whole`); None to keep it for `rest`."""
        return parsed(body if self._points else without_points(body))

    def rest(self) -> list[Entry]:
        """Returns the events that were kept until the journal's end."""
        return []


def is_readable(event: Entry) -> bool:
    """Whether an event is no evaluation, or one whose values have the types that `Evaluation` declares.

    Earlier versions recorded what a trainer yielded without a check.
    """
    if event["event"] != "evaluation":
        return True
    raw = event.get("evaluation")
    if not isinstance(raw, dict) or "index" not in raw or not _is_typed(raw):
        return False
    return "points" not in raw or _are_points(raw["points"])


def _are_points(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(point, dict) and _is_typed(point) for point in value)


def _is_typed(raw: dict[str, Any]) -> bool:
    """Whether the values of an evaluation or a training point have the declared types."""
    return _fits(tuple(raw), tuple(map(type, raw.values()))) and _METRIC.issuperset(
        map(type, raw.get("metrics", {}).values())
    )


@lru_cache(maxsize=256)  # a journal has thousands of evaluations with the same keys and types
def _fits(names: tuple[str, ...], types: tuple[type, ...]) -> bool:
    return all(
        name not in _TYPES or issubclass(found, _TYPES[name]) or (found is NoneType and name not in _NEEDED)
        for name, found in zip(names, types, strict=True)
    )


def read(path: Path, *, damaged: list[int] | None = None) -> list[Entry]:
    """Returns all events of a journal, the study's origin first; adds the numbers of damaged lines to `damaged`.

    Raises JournalDamaged if no line is hpsearch's, or the study's origin is lost.
    """
    return list(iterate(path, damaged=damaged))


def iterate(path: Path, *, damaged: list[int] | None = None, points: bool = True) -> Iterator[Entry]:
    """Yields the events of a journal like `read`, with or without the training points."""
    tail = Tail(path, points=points)
    yield from events_of(tail)
    if damaged is not None:
        damaged += tail.damaged


def events_of(tail: Tail) -> Iterator[Entry]:
    """Yields the events of `tail`, the study's origin first."""
    started = False
    for event in _all(tail):
        if not started and event["event"] != "study_created":
            yield _origin(tail.path)
        started = True
        yield event
    if not started and tail.damaged:
        nothing = f"none of its {tail.lines} lines is whole"
        raise JournalDamaged(f"{tail.path}: {nothing}: not an hpsearch journal, or damaged")


def _all(tail: Tail) -> Iterator[Entry]:
    end = -1
    while tail.offset != end:
        end = tail.offset
        yield from tail.read()[0]
    yield from tail.rest()


def _origin(path: Path) -> Entry:
    """Returns the study's origin if its line is damaged, from the copy in a driver_started event."""
    for event in _all(Tail(path)):
        if event["event"] == "driver_started" and ORIGIN in event:
            origin: Entry = event[ORIGIN]
            return origin
    raise JournalDamaged(
        f"{path}: does not begin with study_created, and no driver_started has a copy of it: "
        "not an hpsearch journal, or damaged"
    )
