"""What a study's budget still allows a driver: in all, and before the confirmation must begin."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from hpsearch.policies.budget.extension import Extension
from hpsearch.policies.budget.spending import TimeLeft, kept, left
from hpsearch.policies.policy import Policy
from hpsearch.search.decisions import Decisions
from hpsearch.search.study import Study
from hpsearch.system import gpus

GRACE, LEAST_GRACE = 0.03, 10.0  # share of the time, and seconds, that trials have to save their state after its end


class Allowance:
    """What is left of the budget's limits of time, over all drivers, while this driver searches."""

    def __init__(self, study: Study, devices: Callable[[], Sequence[str]]) -> None:
        """Begins to count; `devices`: the one of each worker, on Ray as it is known by now."""
        self._study, self._devices = study, devices
        self._started_at, self._seconds_before = time.monotonic(), study.history.seconds
        self._held_at: float | None = None  # since when the search is paused
        self._kept = (-1, TimeLeft())  # trials that had ended, and what their confirmation takes

    def left(self) -> TimeLeft:
        """What is left in all."""
        seconds = self._seconds_before + (self._held_at or time.monotonic()) - self._started_at
        device_seconds = self._study.history.devices.until(self._study.journal.now)
        return left(self._study.budget, seconds=seconds, device_seconds=device_seconds)

    def hold(self) -> None:
        """Stops to count: the search is paused."""
        self._held_at = time.monotonic()

    def go_on(self) -> None:
        """Counts again."""
        if self._held_at is not None:
            self._started_at += time.monotonic() - self._held_at
        self._held_at = None

    def to_search(self) -> TimeLeft:
        """What is left without what is kept for the confirmation of the trials so far."""
        ended = len(self._study.history.finished)
        if self._kept[0] != ended:
            self._kept = ended, reserved(self._study, workers=len(self._devices()))
        return self.left().without(self._kept[1])

    def is_for_confirmation(self) -> bool:
        """Whether the confirmation needs all that is left."""
        return self.to_search().is_over and self._kept[1] != TimeLeft(0.0, 0.0)

    def seconds(self) -> float:
        """Seconds until the first limit is reached; infinity without a limit of time."""
        return self.left().on(self._held())

    def seconds_to_search(self) -> float:
        """Seconds until the search must end; infinity without a limit of time."""
        return self.to_search().on(self._held())

    @property
    def is_overdrawn(self) -> bool:
        """Whether the time ended so long ago that trials must have saved their state by now."""
        limit = min(self._study.budget.seconds, self._study.budget.device_seconds / max(1, self._held()))
        return self.seconds() < -max(LEAST_GRACE, GRACE * limit)

    def _held(self) -> int:
        """The number of devices that the rest of the search holds: all of them, or those in use if no trial is new."""
        found = self._study.history.devices.held
        return found if self._study.history.room == 0 else gpus.count(set(self._devices()))


def take_extension(study: Study) -> bool:
    """Records the larger budget that `hpsearch extend` asks for; returns whether there was one."""
    if not study.experiment.searches:
        return False
    extension = Extension(study.journal.path.parent)
    totals = extension.take()
    known = {name: max(study.history.extension.get(name, 0), getattr(study.budget, name) or 0) for name in totals}
    if larger := {name: total for name, total in totals.items() if total > known[name]}:
        study.extend(larger)
    if totals:
        extension.done()
    return bool(larger)


def reserved(study: Study, *, workers: int) -> TimeLeft:
    """What is kept at the end of the budget for the confirmation; nothing without a limit of time."""
    confirm = study.experiment.search.confirm
    return kept(study.budget, confirm, study.history, workers=workers)


def spent(study: Study, policy: Policy, *, workers: int = 1) -> bool:
    """Whether nothing is left to do: no time, or no trial to resume and none that the policy decides for.

    Closes the search if what is left of the budget is for the confirmation alone.
    """
    history = study.history
    found = left(study.budget, seconds=history.seconds, device_seconds=history.device_seconds)
    if found.is_over:
        return True
    history.closed = history.closed or found.without(reserved(study, workers=workers)).is_over
    return not study.unfinished() and not Decisions(study, policy).has_next()
