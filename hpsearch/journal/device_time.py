"""For how long devices are held for trials: what device-hours and money count."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from hpsearch.system import gpus

_OWN_GPU = re.compile(r"cuda:\d+(\+\d+)*")  # of this machine: its workers share it


@dataclass
class DeviceTime:
    """Adds up the time in which at least one trial has a device, over all devices.

    A device is a GPU of this machine, whatever the number of trials on it, or else a worker: a process on the CPU, or
    an actor of a cluster; of several GPUs that each trial has, all count. It is held from the start of its first
    trial's attempt to the end, the pause or the interruption of its last one's. Repeats of the confirmation count like
    trials.
    """

    seconds: float = 0.0  # of what has ended
    each: int = 1  # devices of the trial that was started last
    _since: dict[str, float] = field(default_factory=dict)  # device -> when it was taken, unix seconds
    _holder: dict[int, str] = field(default_factory=dict)  # trial -> its device

    @property
    def held(self) -> int:
        """The number of devices that are held now."""
        return gpus.count(self._since)

    @property
    def trials(self) -> int:
        """The number of trials that have a device now."""
        return len(self._holder)

    @property
    def spending(self) -> int:
        """The number of devices that the rest of a search holds at least: those held now, or those of one trial."""
        return max(self.held, self.each)

    def started(self, trial: int, *, device: str, worker: int, at: float) -> None:
        """Notes that a worker trains a trial."""
        self.ended(trial, at=at)
        self._holder[trial] = place = device_of(device, worker)
        self.each = gpus.count([place])
        self._since.setdefault(place, at)

    def ended(self, trial: int, *, at: float) -> None:
        """Notes that a trial is not in training any more; nothing if it was not."""
        place = self._holder.pop(trial, None)
        if place is not None and place not in self._holder.values():
            self.seconds += gpus.count([place]) * max(0.0, at - self._since.pop(place))

    def stopped(self, *, at: float) -> None:
        """Notes that no trial is in training any more: their driver is gone, or begins anew."""
        self.seconds, self._since, self._holder = self.until(at), {}, {}

    def until(self, at: float) -> float:
        """Returns the seconds so far, if no device is released before `at`."""
        return self.seconds + sum(gpus.count([place]) * max(0.0, at - since) for place, since in self._since.items())


def device_of(device: str, worker: int) -> str:
    """Names the device of a worker."""
    return device if _OWN_GPU.fullmatch(device) else f"{device} of worker {worker}"
