"""Which trials share a device's memory: how many fit on a GPU, and which one has it alone.

A GPU gets another trial while the sum of the expected peaks leaves a margin. Before the first measurement it has one
process. The trials of a group share a process and its CUDA context; its memory is free when all of them have ended. A
trial that ran out of memory beside others is retried once alone. On a CPU the number of workers is the limit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from hpsearch.journal.trial_history import TrialHistory
from hpsearch.search.placement.peaks import Peaks
from hpsearch.trainers import Trainer

SHARE = 0.9  # of a GPU's memory that trials may take: peaks may still grow, and freed memory is fragmented
CONTEXT = 512 * 2**20  # bytes that CUDA takes for each process, beyond what torch reserves


class Sharing:
    """The trials in training by device; all workers on the CPU have one device."""

    def __init__(self, trials: Mapping[int, TrialHistory], trainer: Trainer) -> None:
        self._trials = trials
        self.peaks = Peaks(trials, trainer)
        self._on: dict[str, dict[int, list[int]]] = defaultdict(dict)  # device -> slot -> trials of its process
        self._most: dict[str, int] = defaultdict(int)  # device -> most processes at once: each keeps its CUDA context
        self._reserved: dict[str, int] = {}  # device -> the trial that waits until it fits there
        self._alone = {number for number, trial in trials.items() if trial.alone}
        self._shared_device: set[int] = set()  # in their latest attempt
        self._groups: dict[int, list[int]] = {}  # trial -> the trials of its process in its latest attempt

    def started(self, slot: int, group: list[int], device: str) -> None:
        """Notes that the trials of a group are in training in one process."""
        self._shared_device.difference_update(group)
        self._groups |= dict.fromkeys(group, group)
        self._on[device][slot] = group
        trials = self._trials_on(device)
        if len(trials) > 1:
            self._shared_device.update(trials)
        self._most[device] = max(self._most[device], len(self._on[device]))
        self._reserved = {name: waits for name, waits in self._reserved.items() if waits not in group}

    def ended(self, slot: int, device: str) -> None:
        """Notes that no trial of this process is in training any more: until then it keeps the memory of all."""
        del self._on[device][slot]

    def group(self, number: int) -> list[int]:
        """The trials that were trained together in a trial's latest attempt."""
        return self._groups.get(number, [number])

    # ---------------------------------------------------------------------------------------------------------- packing

    def fits(self, number: int | None, device: str) -> bool:
        """Whether a trial is expected to fit beside those in training there; None: whether the smallest would."""
        if not self._on[device] or not device.startswith("cuda"):
            return True
        size = self.peaks.size(device)
        if not size:  # None before the first measurement: one process; 0 if trials do not report memory
            return size == 0
        return self.peaks.expected(number) <= self._left(device, SHARE * size, more=1)

    def fits_in(self, group: list[int], number: int, device: str) -> bool:
        """Whether a trial is expected to fit into the process of a group; before the first measurement it may."""
        size = self.peaks.size(device)
        if not size or not device.startswith("cuda"):
            return True
        needed = sum(self.peaks.expected(one) for one in (*group, number))
        return needed <= self._left(device, SHARE * size, more=1)

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

    def _left(self, device: str, size: float, *, more: int = 0, but: list[int] | None = None) -> float:
        """Bytes of `size` that the groups in training, all `but` one, leave to `more` processes."""
        others = {slot: trials for slot, trials in self._on[device].items() if trials != but}
        contexts = CONTEXT * max(self._most[device], len(others) + more)
        return size - sum(self.peaks.expected(other) for trials in others.values() for other in trials) - contexts

    def _trials_on(self, device: str) -> list[int]:
        return [number for trials in self._on[device].values() for number in trials]

    # ------------------------------------------------------------------------------------------------------------ alone

    def had_company(self, number: int) -> bool:
        """Whether other trials took memory beside a trial's latest attempt."""
        return number in self._shared_device and number not in self._alone

    def isolate(self, number: int) -> None:
        """Gives the trial its device alone from now on: its share of what the others left was too little."""
        self._alone.add(number)
        device, group = self._trials[number].device, self.group(number)
        left = int(self._left(device, self.peaks.size(device) or 0, more=1, but=group)) // len(group)
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
        return bool(self._alone) and not self._alone.isdisjoint(self._trials_on(device))

    def may_share(self, number: int) -> bool:
        """Whether a trial may be placed beside others."""
        return number not in self._alone

    def may_be_grouped(self, number: int) -> bool:
        """Whether a trial may be trained together with others: not if it had a group, or its worker, end."""
        return self.may_share(number) and not self._trials[number].deaths
