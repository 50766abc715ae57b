"""Which trials go to which worker: first the queued ones, then those that the policy decides for.

With `trials_per_worker` a worker trains a group: trials of equal shape, as many as there are and fit its device.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from hpsearch.contract import Evaluation
from hpsearch.launchers.messages import Launcher
from hpsearch.search.decisions import Decisions
from hpsearch.search.placement.sharing import Sharing
from hpsearch.search.study import Study

MAX_DEVICE_ERRORS = 2  # trials that end in an error of a device, after which it is not used any more


class Placement:
    """The workers of a launcher: which are free, which train which trial, and the queue of trials."""

    def __init__(self, study: Study, launcher: Launcher, decisions: Decisions) -> None:
        self._study, self._launcher, self._decisions = study, launcher, decisions
        self.running: dict[int, int] = {}  # trial -> slot
        self._free = set(range(len(launcher.settings)))  # slots
        self._queue = study.unfinished()
        self._most = study.experiment.resources.trials_per_worker
        self._policy_has_none = False  # the policy had nothing for a free worker a moment ago
        self._sharing = Sharing(study.history.everything, study.experiment.trainer)
        self._device_errors: dict[str, set[int]] = defaultdict(set)  # device -> trials that had an error of it

    def placements(self) -> Iterator[tuple[int, list[int]]]:
        """Yields (slot, trials) for the free workers, which are busy until all of the trials have ended."""
        self._policy_has_none = False
        for slot in sorted(self._free):
            if self._policy_has_none and not self._queue:
                return
            number = self._next(slot)
            if number is not None:
                group = self._group(number, self._device(slot))
                self._assign(slot, group)
                yield slot, group

    def ended(self, number: int) -> None:
        """Notes that a trial has ended; its worker is free again once it trains no other."""
        slot = self.running.pop(number)
        self._sharing.peaks.ended(number)
        if slot not in self.running.values():
            self._free.add(slot)
            self._sharing.ended(slot, self._study.history.trial(number).device)

    def trials_of(self, slot: int) -> list[int]:
        """The trials that a worker trains."""
        return [number for number, place in self.running.items() if place == slot]

    def measured(self, number: int, evaluation: Evaluation) -> None:
        """Notes the memory that a trial in training took, from an evaluation that is new."""
        self._sharing.peaks.measured(number, evaluation)

    def requeue(self, number: int) -> None:
        """Puts a trial at the head of the queue, if this run may still train it."""
        if self._study.is_open(number):
            self._queue.insert(0, number)

    def close(self) -> None:
        """Removes the trials from the queue that this run may not train any more."""
        self._queue = [number for number in self._queue if self._study.is_open(number)]

    def end(self) -> None:
        """Asks the policy for no further trial of the search, and removes those from the queue that have no value."""
        self._decisions.is_ending = True
        self._queue = [number for number in self._queue if self._study.history.trial(number).measured]

    def reopen(self) -> None:
        """Takes up again what `close` and `end` have put aside: there is more time after all."""
        self._decisions.is_ending = False
        waiting = self._study.unfinished()
        self._queue += [number for number in waiting if number not in self.running and number not in self._queue]

    def requeue_alone(self, number: int) -> bool:
        """Queues a trial that ran out of memory, to have its device alone; returns False if it was alone already."""
        if not self._sharing.had_company(number):
            return False
        self._sharing.isolate(number)
        self.requeue(number)
        return True

    @property
    def is_ending(self) -> bool:
        """Whether no trial begins or resumes but those that wait already, those of people, and the confirmation's."""
        return self._decisions.is_ending

    @property
    def is_idle(self) -> bool:
        """Whether no trial is in training, and none waits for a worker or is decided for."""
        return not self.running and not self._queue and not self._decisions.has_next()

    @property
    def has_free_worker(self) -> bool:
        """Whether a worker that is ready trains nothing."""
        return any(self._launcher.ready(slot) and not self.is_excluded(self._device(slot)) for slot in self._free)

    def had_mates(self, number: int) -> bool:
        """Whether a trial was trained together with others in its latest attempt."""
        return len(self._sharing.group(number)) > 1

    def awaits_worker(self) -> bool:
        """Whether a trial is to be trained and a worker that is not ready yet could take it."""
        coming = any(not self.is_excluded(self._device(s)) and not self._launcher.ready(s) for s in self._free)
        return coming and (bool(self._queue) or self._decisions.has_next())

    def device_failed(self, slot: int, number: int) -> str | None:
        """Notes an error of the worker's device in a trial; returns the device if that excludes it, else None.

        An error of a whole group is one error, of its first trial.
        """
        device = self._device(slot)
        self._device_errors[device].add(self._sharing.group(number)[0])
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

    def _assign(self, slot: int, group: list[int]) -> None:
        self.running |= dict.fromkeys(group, slot)
        self._free.remove(slot)
        self._sharing.started(slot, group, self._device(slot))

    # --------------------------------------------------------------------------------------------------------- a group

    def _group(self, first: int, device: str) -> list[int]:
        """The trials that one worker trains together: `first` and others of its shape, as long as they fit."""
        group = [first]
        if self._most > 1 and self._sharing.may_be_grouped(first):
            while len(group) < self._most and self._sharing.fits_in(group, first, device):
                number = self._mate(group, device)
                if number is None:
                    break
                group.append(number)
        return group

    def _mate(self, group: list[int], device: str) -> int | None:
        """The next trial of a group: a queued or else a new one; a new one that does not suit is queued."""
        number = next((one for one in self._queue if self._suits(one, group, device)), None)
        if number is not None:
            self._queue.remove(number)
            return number
        number = None if self._policy_has_none else self._decisions.next_trial()
        self._policy_has_none = number is None
        if number is None or self._suits(number, group, device):
            return number
        self._queue.append(number)
        return None

    def _suits(self, number: int, group: list[int], device: str) -> bool:
        """Whether a trial can be trained together with a group: it has the same shape, and room."""
        return (
            self._sharing.may_be_grouped(number)
            and self._sharing.peaks.shape(number) == self._sharing.peaks.shape(group[0])
            and self._sharing.fits_in(group, number, device)
        )

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
        there = {s.device for slot, s in settings if slot not in self._free or self._launcher.ready(slot)}
        return {device for device in there if not self.is_excluded(device)}
