"""The events of a journal without most evaluations: listing the trials takes half the time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from hpsearch.journal import Entry, Tail, events_of, parsed, without_points

_EVALUATION = re.compile(
    rb'\{"time":[^,"]+,"event":"evaluation","trial":(\d+),"attempt":\d+,"evaluation":\{"index":(\d+),'
)
_PEAK = re.compile(rb'"peak_memory":(\d+)[,}]')


def outline(path: Path) -> Iterator[Entry]:
    """Yields the events like `journal.iterate`, without training points and most evaluations.

    A trial that ended with a best evaluation keeps that one and the one with the highest memory peak; other trials keep
    all. The evaluations come last.
    """
    return events_of(_Outline(path))


class _Outline(Tail):
    """Parses an evaluation's line only once it is known to be needed; damaged lines are counted all the same."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, points=False)
        self._kept: dict[int, dict[int, bytes]] = {}  # trial -> index -> evaluation
        self._ended: set[int] = set()

    def event(self, body: bytes) -> Entry | None:
        found = _EVALUATION.match(body)
        if found is not None:
            trial, index = int(found[1]), int(found[2])
            if trial not in self._ended:
                self._kept.setdefault(trial, {}).setdefault(index, without_points(body))
            return None
        event = super().event(body)
        if event is not None and event["event"] == "trial_finished" and event.get("best_evaluation"):
            self._ended.add(event["trial"])
            there = self._kept.get(event["trial"], {})
            self._kept[event["trial"]] = _listed(there, event["best_evaluation"]["index"])
        return event

    def rest(self) -> list[Entry]:
        return [parsed(body) for bodies in self._kept.values() for body in bodies.values()]


def _listed(evaluations: dict[int, bytes], best: int) -> dict[int, bytes]:
    """The best evaluation and the one with the highest memory peak; all if the line of the best one is damaged."""
    if best not in evaluations:
        return evaluations
    peaks = [(int(found[1]), index) for index, body in evaluations.items() if (found := _PEAK.search(body))]
    return {index: evaluations[index] for index in {best, max(peaks, default=(0, best))[1]}}
