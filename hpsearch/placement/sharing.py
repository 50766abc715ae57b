"""Who shares a device's memory with whom: how many trials fit there, and which one is to have it for itself.

A GPU is filled by what was measured: a trial is placed beside others while the sum of their expected peaks leaves a
margin. Until the first measurement it has one trial, and a trial that still ran out of memory beside others has told
nothing about itself yet: it is tried once more alone. Workers on a CPU are as many as the cores carry.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

from hpsearch.journal.history import TrialHistory
from hpsearch.placement.peaks import Peaks
from hpsearch.trainers import Trainer

SHARE = 0.9  # of a GPU's memory that is given out: peaks may still grow, and freed memory has gaps
CONTEXT = 512 * 2**20  # bytes that CUDA takes for each process, beyond what torch reserves


class Sharing:
    """The trials in training by device (workers on a CPU share its memory: they have one name)."""

    def __init__(self, trials: dict[int, TrialHistory], trainer: Trainer) -> None:
        self._trials = trials
        self.peaks = Peaks(trials, trainer)
        self._on: dict[str, set[int]] = defaultdict(set)  # device -> trials in training
        self._most: dict[str, int] = defaultdict(int)  # device -> processes that have trained there: each has a context
        self._next_on: dict[str, int] = {}  # device -> the trial that waits until it fits there
        self._alone = {number for number, trial in trials.items() if trial.alone}
        self._had_company: set[int] = set()  # in their latest attempt

    def began(self, number: int, device: str) -> None:
        """A trial is with a worker."""
        others = self._on[device]
        self._had_company.discard(number)
        if others:
            self._had_company |= {number, *others}
        others.add(number)
        self._most[device] = max(self._most[device], len(others))
        self._next_on = {name: waits for name, waits in self._next_on.items() if waits != number}

    def ended(self, number: int, device: str) -> None:
        """It is no more."""
        self._on[device].discard(number)
        self.peaks.ended(number)

    # ---------------------------------------------------------------------------------------------------------- packing

    def fits(self, number: int | None, device: str) -> bool:
        """Whether a trial is expected to find room beside those in training there; None: whether any new one might."""
        if not self._on[device] or not device.startswith("cuda"):
            return True
        size = self.peaks.size(device)
        if not size:  # until the first has measured it is alone; where trials do not say, slots are all that counts
            return size == 0
        return self.peaks.expected(number) <= self._left(device, SHARE * size, more=1)

    def waits_for(self, device: str) -> int | None:
        """The trial that waits until it fits there: it is the next on this device."""
        return self._next_on.get(device)

    def is_to_wait(self, number: int, device: str, *, usable: Callable[[], set[str]]) -> bool:
        """Lets a trial that does not fit wait for this device; False: it waits for another that is in use.

        Nobody is placed there before it, so that small trials cannot keep a large one waiting for ever.
        """
        chosen = next((name for name, waits in self._next_on.items() if waits == number), device)
        if chosen != device and chosen not in usable():
            del self._next_on[chosen]
            chosen = device
        if chosen == device:
            self._next_on[device] = number
        return chosen == device

    def _left(self, device: str, size: float, *, more: int = 0) -> float:
        """Bytes of `size` that those in training leave, for `more` trials."""
        others = self._on[device]
        contexts = CONTEXT * max(self._most[device], len(others) + more)
        return size - sum(self.peaks.expected(other) for other in others) - contexts

    # ------------------------------------------------------------------------------------------------------------ alone

    def may_do_better_alone(self, number: int) -> bool:
        """Whether others took memory beside the trial's latest attempt."""
        return number in self._had_company and number not in self._alone

    def is_to_be_alone(self, number: int) -> None:
        """From now on the trial is trained alone: what the others had left it was too little."""
        self._alone.add(number)
        device = self._trials[number].device
        left = int(self._left(device, self.peaks.size(device) or 0, more=1))
        if left > self.peaks.expected(number):
            self.peaks.were_too_few(number, left)

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
