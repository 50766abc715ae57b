"""Which trial goes to which worker: first the queued trials, then those that the policy decides for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from hpsearch.contract import Evaluation
from hpsearch.decisions import Decisions
from hpsearch.launchers.messages import Launcher
from hpsearch.placement.sharing import Sharing
from hpsearch.study import Study

MAX_DEVICE_ERRORS = 2  # trials that end in an error of a device, after which it is not used any more


class Placement:
    """The workers of a launcher: which are free, which train which trial, and the queue of trials."""

    def __init__(self, study: Study, launcher: Launcher, decisions: Decisions) -> None:
        self._study, self._launcher, self._decisions = study, launcher, decisions
        self.busy: dict[int, int] = {}  # slot -> trial
        self._free = set(range(len(launcher.settings)))  # slots
        self._queue = study.unfinished()
        self._policy_has_none = False  # the policy had nothing for a free worker a moment ago
        self._sharing = Sharing(study.history.trials, study.experiment.trainer)
        self._device_errors: dict[str, set[int]] = defaultdict(set)  # device -> trials that had an error of it

    def placements(self) -> Iterator[tuple[int, int]]:
        """Yields (slot, trial) for the free workers, which are busy from then on."""
        self._policy_has_none = False
        for slot in sorted(self._free):
            if self._policy_has_none and not self._queue:
                return
            number = self._next(slot)
            if number is not None:
                self._assign(slot, number)
                yield slot, number

    def ended(self, slot: int) -> None:
        """Notes that a worker is free again."""
        number = self.busy.pop(slot)
        self._free.add(slot)
        self._sharing.ended(number, self._study.history.trials[number].device)

    def measured(self, number: int, evaluation: Evaluation) -> None:
        """Notes the memory that a trial in training took, from an evaluation that is new."""
        self._sharing.peaks.measured(number, evaluation)

    def requeue(self, number: int) -> None:
        """Puts a trial at the head of the queue."""
        self._queue.insert(0, number)

    def requeue_alone(self, number: int) -> bool:
        """Queues a trial that ran out of memory, to have its device alone; returns False if it was alone already."""
        if not self._sharing.had_company(number):
            return False
        self._sharing.isolate(number)
        self.requeue(number)
        return True

    def awaits_worker(self) -> bool:
        """Whether a trial is to be trained and a worker that is not ready yet could take it."""
        coming = any(not self.is_excluded(self._device(s)) and not self._launcher.ready(s) for s in self._free)
        return coming and (bool(self._queue) or self._decisions.has_next())

    def device_failed(self, slot: int, number: int) -> str | None:
        """Notes an error of the worker's device in a trial; returns the device if that excludes it, else None."""
        device = self._device(slot)
        self._device_errors[device].add(number)
        return device if self.is_excluded(device) else None

    def is_excluded(self, device: str) -> bool:
        """Whether a device had errors in too many trials to be used."""
        return len(self._device_errors[device]) >= MAX_DEVICE_ERRORS

    def no_device_left(self) -> bool:
        """Whether all devices are excluded."""
        return all(self.is_excluded(setting.device) for setting in self._launcher.settings)

    # --------------------------------------------------------------------------------------------------------- one slot

    def _next(self, slot: int) -> int | None:
        device = self._device(slot)
        if self.is_excluded(device) or not self._launcher.ready(slot) or self._is_reserved(device):
            return None
        number = self._next_queued(device)
        if number is None:
            return self._new_trial(device)
        if not self._sharing.fits(number, device):
            return None
        self._queue.remove(number)
        return number

    def _new_trial(self, device: str) -> int | None:
        if self._policy_has_none or not self._sharing.fits(None, device):
            return None
        number = self._decisions.next_trial()
        self._policy_has_none = number is None
        if number is None:
            return None
        if self._sharing.fits(number, device):
            return number
        self._queue.append(number)
        self._sharing.reserve(number, device, usable=self._usable)
        return None

    def _assign(self, slot: int, number: int) -> None:
        self.busy[slot] = number
        self._free.remove(slot)
        self._sharing.started(number, self._device(slot))

    def _device(self, slot: int) -> str:
        return self._launcher.settings[slot].device

    def _next_queued(self, device: str) -> int | None:
        """The queued trial to train next on this device, if possible one without an error of it; None: no trial.

        It may have to wait for memory there. A trial that waits for another device is passed over.
        """
        first = self._next_alone(device)
        if first is None:
            first = self._sharing.reserved_for(device)
        if first is not None:
            return first
        usable = self._usable() if self._queue else set()
        for number in filter(self._sharing.may_share, self._queue):
            failed_on = {name for name, trials in self._device_errors.items() if number in trials}
            if (device not in failed_on or usable <= failed_on) and self._fits_or_reserves(number, device):
                return number
        return None

    def _fits_or_reserves(self, number: int, device: str) -> bool:
        return self._sharing.fits(number, device) or self._sharing.reserve(number, device, usable=self._usable)

    def _is_reserved(self, device: str) -> bool:
        """Whether a trial has the device alone, or waits until it can."""
        waits = self._sharing.is_in_use(device) and self._next_alone(device) is not None
        return waits or self._sharing.is_exclusive(device)

    def _next_alone(self, device: str) -> int | None:
        return self._sharing.next_alone(device, self._queue, usable=self._usable)

    def _usable(self) -> set[str]:
        """The devices that are not excluded and have a worker that is ready or busy."""
        settings = enumerate(self._launcher.settings)
        there = {s.device for slot, s in settings if slot in self.busy or self._launcher.ready(slot)}
        return {device for device in there if not self.is_excluded(device)}
