"""Who shares a device's memory with whom, and which trial is to have it for itself.

A trial that ran out of memory beside others has told nothing about itself yet: it is tried once more alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

from hpsearch.history import TrialHistory


class Sharing:
    """The trials in training by device (workers on a CPU share its memory: they have one name)."""

    def __init__(self, trials: dict[int, TrialHistory]) -> None:
        self._trials = trials
        self._on: dict[str, set[int]] = defaultdict(set)  # device -> trials in training
        self._alone = {number for number, trial in trials.items() if trial.alone}
        self._had_company: set[int] = set()  # in their latest attempt

    def began(self, number: int, device: str) -> None:
        """A trial is with a worker."""
        others = self._on[device]
        self._had_company.discard(number)
        if others:
            self._had_company |= {number, *others}
        others.add(number)

    def ended(self, number: int, device: str) -> None:
        """It is no more."""
        self._on[device].discard(number)

    def may_do_better_alone(self, number: int) -> bool:
        """Whether others took memory beside the trial's latest attempt."""
        return number in self._had_company and number not in self._alone

    def is_to_be_alone(self, number: int) -> None:
        """From now on the trial is trained alone."""
        self._alone.add(number)

    def next_alone(self, device: str, waiting: Iterable[int], *, usable: Callable[[], set[str]]) -> int | None:
        """The trial that waits to have this device for itself: the device that it was on, or if it cannot be any."""
        if not self._alone:
            return None
        for number in waiting:
            if number in self._alone:
                home = self._trials[number].device
                if home == device or home not in usable():
                    return number
        return None

    def has_company(self, device: str) -> bool:
        """Whether any trial is in training there."""
        return bool(self._on[device])

    def is_taken(self, device: str) -> bool:
        """Whether a trial has the device for itself."""
        return bool(self._alone) and not self._alone.isdisjoint(self._on[device])

    def shares(self, number: int) -> bool:
        """Whether a trial may be placed beside others."""
        return number not in self._alone
