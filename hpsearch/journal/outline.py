"""The events of a journal without most evaluations: listing the trials takes half the time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from hpsearch.journal import Entry, Tail, events_of, is_readable, parsed, without_points

_EVALUATION = re.compile(
    rb'\{"time":([^,"]+),"event":"evaluation","trial":(\d+),"attempt":\d+,"evaluation":\{"index":(\d+),'
)
_BRANCH = b',"branch":{"'
_PEAK = re.compile(rb'"peak_memory":(\d+)[,}]')


def outline(path: Path) -> Iterator[Entry]:
    """Yields the events like `journal.iterate`, without training points and most evaluations.

    A trial that ended with a best evaluation keeps that one and the one with the highest memory peak; other trials keep
    all. The evaluations come last.
    """
    return events_of(_Outline(path))


def outlined(path: Path) -> tuple[list[Entry], Tail]:
    """Returns the events so far like `outline`, and the reader of those that come after them."""
    tail = _Outline(path)
    found = list(events_of(tail))
    return found, Tail(path, tail.offset, points=False)


class _Outline(Tail):
    """Parses an evaluation's line only once it is known to be needed; damaged lines are counted all the same."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, points=False)
        self._kept: dict[int, dict[int, bytes]] = {}  # trial -> index (of a branch: -index) -> evaluation
        self._ended: set[int] = set()
        self._latest = b"0"  # time of the latest evaluation

    def event(self, body: bytes) -> Entry | None:
        found = _EVALUATION.match(body)
        if found is not None:
            self._latest = found[1]
            trial, index, bare = int(found[2]), int(found[3]), without_points(body)
            if trial not in self._ended:
                self._keep(self._kept.setdefault(trial, {}), -index if _BRANCH in bare else index, bare)
            return None
        event = super().event(body)
        if event is not None and event["event"] == "driver_started":
            return {**event, "after": float(self._latest)}  # a killed driver's time ends there
        if event is not None and event["event"] == "trial_finished" and event.get("best_evaluation"):
            self._ended.add(event["trial"])
            there, best = self._kept.get(event["trial"], {}), event["best_evaluation"]
            self._kept[event["trial"]] = _listed(there, -best["index"] if best.get("branch") else best["index"])
        return event

    def rest(self) -> list[Entry]:
        events = (parsed(body) for bodies in self._kept.values() for body in bodies.values())
        return [event for event in events if is_readable(event)]

    @staticmethod
    def _keep(bodies: dict[int, bytes], index: int, body: bytes) -> None:
        """Keeps the first evaluation at an index that can be read."""
        if index not in bodies or not is_readable(parsed(bodies[index])):
            bodies[index] = body


def _listed(evaluations: dict[int, bytes], best: int) -> dict[int, bytes]:
    """The best evaluation and the one with the highest memory peak; all if the line of the best one is damaged."""
    if best not in evaluations:
        return evaluations
    peaks = [(int(found[1]), index) for index, body in evaluations.items() if (found := _PEAK.search(body))]
    return {index: evaluations[index] for index in {best, max(peaks, default=(0, best))[1]}}
