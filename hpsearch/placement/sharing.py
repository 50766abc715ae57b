"""Which trials share a device's memory: how many fit on a GPU, and which one has it alone.

A GPU gets another trial while the sum of the expected peaks leaves a margin. Before the first measurement it has one
trial. A trial that ran out of memory beside others is retried once alone. On a CPU the number of workers is the limit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

from hpsearch.journal.trial_history import TrialHistory
from hpsearch.placement.peaks import Peaks
from hpsearch.trainers import Trainer

SHARE = 0.9  # of a GPU's memory that trials may take: peaks may still grow, and freed memory is fragmented
CONTEXT = 512 * 2**20  # bytes that CUDA takes for each process, beyond what torch reserves


class Sharing:
    """The trials in training by device; all workers on the CPU have one device."""

    def __init__(self, trials: dict[int, TrialHistory], trainer: Trainer) -> None:
        self._trials = trials
        self.peaks = Peaks(trials, trainer)
        self._on: dict[str, set[int]] = defaultdict(set)  # device -> trials in training
        self._most: dict[str, int] = defaultdict(
            int
        )  # device -> most trials at once there: each process keeps its CUDA context
        self._reserved: dict[str, int] = {}  # device -> the trial that waits until it fits there
        self._alone = {number for number, trial in trials.items() if trial.alone}
        self._shared_device: set[int] = set()  # in their latest attempt

    def started(self, number: int, device: str) -> None:
        """Notes that a trial is in training."""
        others = self._on[device]
        self._shared_device.discard(number)
        if others:
            self._shared_device |= {number, *others}
        others.add(number)
        self._most[device] = max(self._most[device], len(others))
        self._reserved = {name: waits for name, waits in self._reserved.items() if waits != number}

    def ended(self, number: int, device: str) -> None:
        """Notes that a trial is not in training any more."""
        self._on[device].discard(number)
        self.peaks.ended(number)

    # ---------------------------------------------------------------------------------------------------------- packing

    def fits(self, number: int | None, device: str) -> bool:
        """Whether a trial is expected to fit beside those in training there; None: whether the smallest would."""
        if not self._on[device] or not device.startswith("cuda"):
            return True
        size = self.peaks.size(device)
        if not size:  # None before the first measurement: one trial; 0 if trials do not report memory
            return size == 0
        return self.peaks.expected(number) <= self._left(device, SHARE * size, more=1)

    def reserved_for(self, device: str) -> int | None:
        """The trial for which the device is reserved; None: no trial."""
        return self._reserved.get(device)

    def reserve(self, number: int, device: str, *, usable: Callable[[], set[str]]) -> bool:
        """Reserves this device for a trial that does not fit yet; returns False if another is reserved for it.

        No other trial is placed there before it, so that small trials cannot keep a large one waiting for ever.
        """
        chosen = next((name for name, waits in self._reserved.items() if waits == number), device)
        if chosen != device and chosen not in usable():
            del self._reserved[chosen]
            chosen = device
        if chosen == device:
            self._reserved[device] = number
        return chosen == device

    def _left(self, device: str, size: float, *, more: int = 0) -> float:
        """Bytes of `size` that the trials in training leave to `more` trials."""
        others = self._on[device]
        contexts = CONTEXT * max(self._most[device], len(others) + more)
        return size - sum(self.peaks.expected(other) for other in others) - contexts

    # ------------------------------------------------------------------------------------------------------------ alone

    def had_company(self, number: int) -> bool:
        """Whether other trials took memory beside a trial's latest attempt."""
        return number in self._shared_device and number not in self._alone

    def isolate(self, number: int) -> None:
        """Gives the trial its device alone from now on: the memory that the others left was too little."""
        self._alone.add(number)
        device = self._trials[number].device
        left = int(self._left(device, self.peaks.size(device) or 0, more=1))
        if left > self.peaks.expected(number):
            self.peaks.ran_out(number, left)

    def next_alone(self, device: str, waiting: Iterable[int], *, usable: Callable[[], set[str]]) -> int | None:
        """The trial that waits to have this device alone: its latest device, or any if that cannot be used."""
        if not self._alone:
            return None
        for number in waiting:
            if number in self._alone:
                home = self._trials[number].device
                if home == device or home not in usable():
                    return number
        return None

    def is_in_use(self, device: str) -> bool:
        """Whether any trial is in training there."""
        return bool(self._on[device])

    def is_exclusive(self, device: str) -> bool:
        """Whether a trial has the device alone."""
        return bool(self._alone) and not self._alone.isdisjoint(self._on[device])

    def may_share(self, number: int) -> bool:
        """Whether a trial may be placed beside others."""
        return number not in self._alone
