"""How the attempts of trials end: a trial is finished, paused, interrupted, or retried after a failure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from hpsearch.contract import Command
from hpsearch.errors import StorageFailed, TrainingFailed, UserError
from hpsearch.events import Event, Finished, Interrupted, Notice, Paused
from hpsearch.launchers.messages import Ended, Failed
from hpsearch.outcome import Outcome
from hpsearch.policies.policy import Judgement
from hpsearch.search.placement.placement import MAX_DEVICE_ERRORS, Placement
from hpsearch.search.study import Study
from hpsearch.storage.checkpoints import Checkpoints
from hpsearch.storage.disk_space import DiskSpace
from hpsearch.verdict import Verdict

MAX_DISK_RETRIES = 3  # retries of a trial that cannot save its state although the disk has room again
STOPPED = "stopped"  # why a trial is interrupted: a person wants it
SAVED = "its checkpoint is saved"
KEPT = "it saved nothing new when told to pause: it resumes from the state it saved before"
NOT_SAVED = "it has saved no state: it starts over"
LATE = "it took too long to save its state: it resumes from what it saved before, if anything"
OUTCOMES = {Verdict.PRUNE: Outcome.PRUNED, Verdict.OVERFIT: Outcome.OVERFIT, Verdict.DIVERGED: Outcome.DIVERGED}


class Attempts:
    """Records the end of each attempt in the study, and returns the trial to the queue if it is retried."""

    def __init__(self, study: Study, placement: Placement, checkpoints: Checkpoints, disk_space: DiskSpace) -> None:
        self._study, self._placement = study, placement
        self._checkpoints, self._disk_space = checkpoints, disk_space
        self.judgements: dict[int, Judgement] = {}  # of trials that were told to end or to pause
        self.cooling: set[int] = set()  # trials that were told to cool down, to end before the budget is spent
        self.why = STOPPED  # trials are interrupted
        self._failures = 0  # since a trial last completed
        self._disk_failures: dict[int, int] = defaultdict(int)  # trial -> attempts that could not save their state

    def may_pause(self, number: int) -> bool:
        """Whether a trial in training may be interrupted: it was not told to end, or it cools down at length first."""
        return self.judgements.get(number, Judgement()).verdict in (Verdict.CONTINUE, Verdict.OVERFIT)

    def ended(self, message: Ended, *, requeue: bool) -> Event:
        """Records that a training ended as commanded; `requeue`: resume it if no judgement asked for its end."""
        number = message.trial
        trial = self._study.history.trial(number)
        if message.command is Command.PAUSE and self.may_pause(number):
            cooled = self.judgements.pop(number, None) is not None or number in self.cooling
            why = f"{self.why}{' before its cool-down has ended' * cooled}; {_state(message)}"
            if requeue:  # it is judged again when it resumes
                self._placement.requeue(number)
            self._study.interrupt(number, why)
            return Interrupted(trial, message.slot, why, saved=message.saved)
        judgement = self.judgements.pop(number, Judgement())
        if message.command is Command.PAUSE and judgement.verdict is Verdict.PAUSE:
            self._study.pause(number, judgement.reason, saved=message.saved)
            return Paused(trial, message.slot, judgement.reason, saved=message.saved)
        return self._finish(message, OUTCOMES.get(judgement.verdict, Outcome.COMPLETED), judgement.reason)

    def given_up(self, number: int, slot: int) -> Event:
        """Records that the worker of a trial was ended before the trial had obeyed."""
        self.judgements.pop(number, None)
        why = f"{self.why}; {LATE}"
        self._study.interrupt(number, why)
        return Interrupted(self._study.history.trial(number), slot, why, saved=False)

    def failed(self, message: Failed) -> Iterator[Event]:
        """Retries a trial whose training failed, or finishes it.

        Raises UserError if its data or config are wrong, TrainingFailed after too many failures or without a device,
        StorageFailed if it can never save its state.
        """
        number = message.trial
        judgement = self.judgements.pop(number, Judgement())
        if judgement.verdict in (Verdict.PRUNE, Verdict.DIVERGED):  # its training was to end and keep nothing
            yield self._finish(message, OUTCOMES[judgement.verdict], judgement.reason)
        elif message.kind == "disk":
            yield from self._retry_with_disk(message)
        elif message.kind == "lost":
            yield self._retry(message, f"{message.reason}; it will be resumed")
        else:
            if message.kind == "device":
                yield from self._note_device_error(message)
            yield self._retry_or_finish(message)
            if message.kind == "user":
                raise UserError(message.reason)

    def _retry_or_finish(self, message: Failed) -> Event:
        """Retries what retrying may fix; else the trial is out of memory or has failed."""
        number, kind = message.trial, message.kind
        if kind in ("died", "stalled", "device") and self._has_retries(number):
            return self._retry(message, f"{message.reason}; it will be resumed", died=True)
        if kind == "out_of_memory" and self._placement.requeue_alone(number):
            return self._retry_alone(message)
        if message.details:
            self._checkpoints.write_error(number, message.details)
        if kind == "error" and self._placement.had_mates(number):
            return self._retry(message, f"{message.reason}; it will be tried once more by itself", died=True)
        outcome = Outcome.OUT_OF_MEMORY if kind == "out_of_memory" else Outcome.FAILED
        return self._finish(message, outcome, ("stalled: " if kind == "stalled" else "") + message.reason)

    def _finish(self, message: Ended | Failed, outcome: Outcome, reason: str) -> Event:
        """Finishes a trial; raises TrainingFailed if too many failed and none completed since."""
        trial = self._study.finish(message.trial, outcome, reason)
        self._checkpoints.sweep(trial)
        if trial.outcome is Outcome.FAILED:
            self._failures += 1
        elif trial.counts or trial.outcome is Outcome.SHORT:  # a pruned trial may have ended before it could fail
            self._failures = 0
        if self._failures >= self._study.experiment.search.max_consecutive_failures:
            last = f"{trial.name}: {trial.reason}"
            raise TrainingFailed(f"{self._failures} trials failed and none completed since; the last: {last}")
        return Finished(trial, message.slot)

    # --------------------------------------------------------------------------------------------------------- retries

    def _has_retries(self, number: int) -> bool:
        """Whether a trial has retries left, over all drivers; the death at hand is not among its deaths yet."""
        return len(self._study.history.trial(number).deaths) < self._study.experiment.search.max_retries

    def _retry(self, message: Failed, reason: str, *, died: bool = False) -> Event:
        """Queues a trial, which resumes from its checkpoint; `died`: the failure counts against its retries."""
        self._placement.requeue(message.trial)
        self._study.interrupt(message.trial, reason, died=died)
        return Interrupted(self._study.history.trial(message.trial), message.slot, reason)

    def _retry_alone(self, message: Failed) -> Event:
        """Records that the next attempt of a queued trial has its device for itself."""
        trial = self._study.history.trial(message.trial)
        reason = f"{message.reason}; it will be tried once more alone on {trial.device}"
        self._study.interrupt(trial.number, reason, alone=True)
        return Interrupted(trial, message.slot, reason)

    def _retry_with_disk(self, message: Failed) -> Iterator[Event]:
        """Queues a trial that cannot save its state; no trial is placed until the disk has room again."""
        number = message.trial
        self._disk_failures[number] += 1
        yield self._retry(message, message.reason)
        if self._disk_failures[number] > MAX_DISK_RETRIES:
            place = self._checkpoints.where(number)
            name = self._study.history.trial(number).name
            raise StorageFailed(f"{place}: {name} cannot save its state: {message.reason}")
        line = self._disk_space.block(message.reason)
        if line is not None:
            yield Notice(line)

    def _note_device_error(self, message: Failed) -> Iterator[Event]:
        """Excludes a device after errors in MAX_DEVICE_ERRORS trials; raises TrainingFailed if none is left."""
        device = self._placement.device_failed(message.slot, message.trial)
        if device is None:
            return
        yield Notice(f"{device} is not used any more: {MAX_DEVICE_ERRORS} trials ended with an error of this device")
        if self._placement.no_device_left():
            self._study.interrupt(message.trial, message.reason, died=True)
            raise TrainingFailed(f"no device is left to train on; the last error: {message.reason}")


def _state(message: Ended) -> str:
    """Says what a paused training resumes from."""
    if message.saved:
        return SAVED
    return KEPT if message.kept else NOT_SAVED
