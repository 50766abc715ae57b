"""Which trial goes to which worker: those that wait first, then the ones that the policy decides for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from hpsearch.contract import Evaluation
from hpsearch.decisions import Decisions
from hpsearch.launchers.messages import Launcher
from hpsearch.placement.sharing import Sharing
from hpsearch.study import Study

MAX_DEVICE_ERRORS = 2  # trials that end in an error of a device, after which it is left alone


class Placement:
    """The workers of a launcher: which are free, which trial each other one has, and who waits for one."""

    def __init__(self, study: Study, launcher: Launcher, decisions: Decisions) -> None:
        self._study, self._launcher, self._decisions = study, launcher, decisions
        self.busy: dict[int, int] = {}  # slot -> trial
        self._free = set(range(len(launcher.settings)))  # slots
        self._waiting = study.unfinished()
        self._policy_has_none = False  # the policy had nothing for a free worker a moment ago
        self._sharing = Sharing(study.history.trials, study.experiment.trainer)
        self._device_errors: dict[str, set[int]] = defaultdict(set)  # device -> trials that met an error of it

    def placements(self) -> Iterator[tuple[int, int]]:
        """(slot, trial) for the free workers, one after the other; each trial is with its worker from then on."""
        self._policy_has_none = False
        for slot in sorted(self._free):
            if self._policy_has_none and not self._waiting:
                return
            number = self._next(slot)
            if number is not None:
                self._begin(slot, number)
                yield slot, number

    def ended(self, slot: int) -> None:
        """The worker is free again."""
        number = self.busy.pop(slot)
        self._free.add(slot)
        self._sharing.ended(number, self._study.history.trials[number].device)

    def measured(self, number: int, evaluation: Evaluation) -> None:
        """A trial in training has measured, for the first time, and says what memory it takes."""
        self._sharing.peaks.measured(number, evaluation)

    def requeue(self, number: int) -> None:
        """The trial waits to go on, before all others."""
        self._waiting.insert(0, number)

    def requeue_alone(self, number: int) -> bool:
        """The same for a trial out of memory, with the device for itself; False: it was alone, and does no better."""
        if not self._sharing.may_do_better_alone(number):
            return False
        self._sharing.is_to_be_alone(number)
        self.requeue(number)
        return True

    def awaits_worker(self) -> bool:
        """Whether there is something to train and it waits for a worker that is not there yet."""
        coming = any(not self.is_excluded(self._device(s)) and not self._launcher.ready(s) for s in self._free)
        return coming and (bool(self._waiting) or self._decisions.has_next())

    def device_failed(self, slot: int, number: int) -> str | None:
        """Notes that a trial met an error of the worker's device; gives the device where that is left alone now."""
        device = self._device(slot)
        self._device_errors[device].add(number)
        return device if self.is_excluded(device) else None

    def is_excluded(self, device: str) -> bool:
        """Whether a device is left alone."""
        return len(self._device_errors[device]) >= MAX_DEVICE_ERRORS

    def no_device_left(self) -> bool:
        """Whether all are left alone."""
        return all(self.is_excluded(setting.device) for setting in self._launcher.settings)

    # --------------------------------------------------------------------------------------------------------- one slot

    def _next(self, slot: int) -> int | None:
        device = self._device(slot)
        if self.is_excluded(device) or not self._launcher.ready(slot) or self._is_kept_free(device):
            return None
        number = self._next_waiting(device)
        if number is None:
            return self._decided(device)
        if not self._sharing.fits(number, device):
            return None
        self._waiting.remove(number)
        return number

    def _decided(self, device: str) -> int | None:
        if self._policy_has_none or not self._sharing.fits(None, device):
            return None
        number = self._decisions.next_trial()
        self._policy_has_none = number is None
        if number is None:
            return None
        if self._sharing.fits(number, device):
            return number
        self._waiting.append(number)
        self._sharing.is_to_wait(number, device, usable=self._usable)
        return None

    def _begin(self, slot: int, number: int) -> None:
        self.busy[slot] = number
        self._free.remove(slot)
        self._sharing.began(number, self._device(slot))

    def _device(self, slot: int) -> str:
        return self._launcher.settings[slot].device

    def _next_waiting(self, device: str) -> int | None:
        """The trial whose turn it is on this device, if possible one that has met no error of it.

        It may have to wait for room there; one that waits for room elsewhere is passed over.
        """
        first = self._next_alone(device)
        if first is None:
            first = self._sharing.waits_for(device)
        if first is not None:
            return first
        usable = self._usable() if self._waiting else set()
        for number in filter(self._sharing.shares, self._waiting):
            met = {name for name, trials in self._device_errors.items() if number in trials}
            if (device not in met or usable <= met) and self._has_its_turn(number, device):
                return number
        return None

    def _has_its_turn(self, number: int, device: str) -> bool:
        return self._sharing.fits(number, device) or self._sharing.is_to_wait(number, device, usable=self._usable)

    def _is_kept_free(self, device: str) -> bool:
        """Whether a trial has the device for itself, or waits for the others there to end."""
        waits = self._sharing.has_company(device) and self._next_alone(device) is not None
        return waits or self._sharing.is_taken(device)

    def _next_alone(self, device: str) -> int | None:
        return self._sharing.next_alone(device, self._waiting, usable=self._usable)

    def _usable(self) -> set[str]:
        """The devices that have a worker."""
        settings = enumerate(self._launcher.settings)
        there = {s.device for slot, s in settings if slot in self.busy or self._launcher.ready(slot)}
        return {device for device in there if not self.is_excluded(device)}
