"""Where in its training a trial's best evaluation was, for a column: its epoch, or its step if none are counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Place(Protocol):
    """An evaluation, or what the journal keeps of the best one."""

    @property
    def step(self) -> int:
        """Steps of the training so far."""

    @property
    def epoch(self) -> float:
        """Epochs so far; 0: the trainer counts none."""


def counted_by(places: Sequence[Place | None]) -> str:
    """`epoch`, `step`, or nothing if no training counts either."""
    if any(place and place.epoch for place in places):
        return "epoch"
    return "step" if any(place and place.step for place in places) else ""


def at(place: Place | None, counted: str) -> str:
    """The epoch or the step of a place as a cell; empty if it is not known."""
    if place is None:
        return ""
    if counted == "epoch":
        return f"{place.epoch:.3g}" if place.epoch else ""
    return f"{place.step:,}" if place.step else ""
