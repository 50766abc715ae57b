"""The driver's loop: asks the policy, places, trains, judges, obeys. A generator of events, for whoever shows them."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

from hpsearch import failpoints
from hpsearch.contract import Command
from hpsearch.decisions import Decisions
from hpsearch.errors import StorageFailed, TrainingFailed, UserError
from hpsearch.events import Event, Finished, Interrupted, Measured, Notice, Paused, Started
from hpsearch.launchers.messages import Ended, Evaluated, Failed, Launcher, Message, Noted, Reply, Task
from hpsearch.outcome import Outcome
from hpsearch.placement.placement import DEVICE_ERRORS, Placement
from hpsearch.policies.loading import load
from hpsearch.policies.policy import Judgement, Policy
from hpsearch.storage.checkpoints import Checkpoints
from hpsearch.storage.disk_space import DiskSpace
from hpsearch.study import Study
from hpsearch.verdict import Verdict

LOOK = 0.25  # seconds between looks whether a person wants to stop
STUMBLES = 3  # times that a trial may find the disk closed, and open again when somebody looks
SAVED = "stopped; its checkpoint is saved"
NOT_SAVED = "stopped; it saved no checkpoint: it goes on from the one before, or trains anew"
OUTCOMES = {Verdict.PRUNE: Outcome.PRUNED, Verdict.OVERFIT: Outcome.OVERFIT, Verdict.DIVERGED: Outcome.DIVERGED}
COMMANDS = {
    Verdict.CONTINUE: Command.CONTINUE,
    Verdict.PAUSE: Command.PAUSE,
    Verdict.PRUNE: Command.STOP,
    Verdict.DIVERGED: Command.STOP,
    Verdict.OVERFIT: Command.FINISH,  # it can still win: its best weights are kept
}


class Search:
    """One driver's work on a study."""

    def __init__(
        self,
        study: Study,
        launcher: Launcher,
        *,
        checkpoints: Path | Checkpoints,
        policy: Policy | None = None,
        prepared: dict[str, Path] | None = None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        """`checkpoints`: where the trials' folders are made; `policy`: what decides (None: the space file's).

        `prepared`: the data (see WorkerSettings); `stopping`: whether a person asked to stop.
        """
        self.study, self.launcher = study, launcher
        if isinstance(checkpoints, Path):
            checkpoints = Checkpoints(checkpoints, study.history)
        self.checkpoints = checkpoints
        self._prepared, self._stopping = prepared or {}, stopping
        self._disk_space = DiskSpace(checkpoints.path, checkpoints.study_storage)
        self.policy = load(study.experiment) if policy is None else policy
        self._decisions = Decisions(study, self.policy)
        self._placement = Placement(study, launcher, self._decisions)
        self._judgements: dict[int, Judgement] = {}  # of trials that are to end or to pause
        self._failures = 0  # since a trial last completed
        self._stumbles: dict[int, int] = defaultdict(int)  # trial -> times it found the disk closed
        self._pausing = False
        self._began = time.monotonic()
        self._searched = study.history.seconds

    def run(self) -> Iterator[Event]:
        """Searches until the budget is spent or it is told to stop; what runs then is paused, to be continued.

        Raises TrainingFailed when too many trials fail, UserError when a trial finds the user's data wrong,
        StorageFailed when a disk takes nothing for too long.
        """
        while True:
            if not self._pausing and (self._stopping() or self._out_of_time()):
                self._pause_all()
                if self._stopping():
                    yield Notice("stopping: trials save their state (once more to leave at once)")
            yield from self._notices(self._disk_space.retry())
            if not self._pausing and not self._disk_space.blocked:
                for slot, number in self._placement.placements():
                    yield self._start(slot, number)
            if not self._placement.busy and (
                self._pausing or not (self._disk_space.blocked or self._placement.unplaced())
            ):
                yield from self._notices(self._why_so_few())
                return
            for message in self.launcher.messages(timeout=self._patience()):
                yield from self._handle(message)

    def _start(self, slot: int, number: int) -> Event:
        settings = self.launcher.settings[slot]
        attempt = self.study.start(number, device=settings.device, threads=settings.threads, worker=slot)
        trial = self.study.history.trials[number]
        folder, remote = self.checkpoints.folder(number), self.checkpoints.remote(number)
        self.launcher.train(slot, Task(number, attempt, trial.config, folder, self._prepared, remote))
        failpoints.hit("trial_placed")
        return Started(trial, slot, attempt)

    # --------------------------------------------------------------------------------------------------------- messages

    def _handle(self, message: Message) -> Iterator[Event]:
        if self._placement.busy.get(message.slot) != message.trial:
            return  # a worker that was given up
        if isinstance(message, Noted):
            yield Notice(f"trial {message.trial}: {message.line}")
        elif isinstance(message, Evaluated):
            yield from self._judge(message)
        else:
            self._placement.ended(message.slot)
            yield from self._fail(message) if isinstance(message, Failed) else [self._end(message)]

    def _judge(self, message: Evaluated) -> Iterator[Event]:
        trial, index = self.study.history.trials[message.trial], message.evaluation.index
        is_old = index < max(trial.evaluations, default=0)  # of its checkpoint; the next one shows how it was judged
        is_new = index not in trial.evaluations  # else it was measured in another attempt, maybe on another device
        self.study.report(message.trial, message.evaluation)
        was_judged = is_old or index <= trial.paused_at
        judgement = Judgement() if was_judged else self._decisions.judge(message.trial)
        failpoints.hit("report_done")
        if is_new:
            self._placement.measured(message.trial, message.evaluation)
        command = COMMANDS[judgement.verdict]
        if command is not Command.CONTINUE:
            self._judgements[message.trial] = judgement
        elif self._pausing:
            command = Command.PAUSE
        self.launcher.reply(message.slot, Reply(message.trial, command, index))
        if not is_old:
            yield Measured(trial, message.slot, message.evaluation)

    def _end(self, message: Ended) -> Event:
        number = message.trial
        trial = self.study.history.trials[number]
        if message.command is Command.PAUSE and number not in self._judgements:
            if not self._pausing:  # its worker was told to end; it goes on with another
                self._placement.put_back(number)
            self.study.interrupt(number)
            return Interrupted(trial, message.slot, SAVED if message.saved else NOT_SAVED, saved=message.saved)
        judgement = self._judgements.pop(number, Judgement())
        if message.command is Command.PAUSE and judgement.verdict is Verdict.PAUSE:
            self.study.pause(number, judgement.reason, saved=message.saved)
            return Paused(trial, message.slot, judgement.reason, saved=message.saved)
        return self._finish(message, OUTCOMES.get(judgement.verdict, Outcome.COMPLETED), judgement.reason)

    def _fail(self, message: Failed) -> Iterator[Event]:
        number = message.trial
        if self._judgements.get(number, Judgement()).verdict in (Verdict.PRUNE, Verdict.DIVERGED):
            yield self._end(Ended(message.slot, number, Command.STOP))  # it was to leave nothing behind
            return
        self._judgements.pop(number, None)
        if message.kind == "disk":
            yield from self._stumble(message)
            return
        if message.kind == "lost":
            yield self._wait(message, f"{message.reason}; it will be continued")
            return
        if message.kind == "device":
            yield from self._doubt(message)
        if message.kind in ("died", "stalled", "device") and self._may_try_again(number):
            yield self._wait(message, f"{message.reason}; it will be continued", died=True)
            return
        if message.kind == "out_of_memory" and self._placement.put_back_alone(number):
            yield self._wait_alone(message)
            return
        if message.details:
            self.checkpoints.write_error(number, message.details)
        outcome = Outcome.OUT_OF_MEMORY if message.kind == "out_of_memory" else Outcome.FAILED
        stalled = "stalled: " if message.kind == "stalled" else ""
        yield self._finish(message, outcome, stalled + message.reason)
        if message.kind == "user":
            raise UserError(message.reason)

    def _may_try_again(self, number: int) -> bool:
        """Whether a trial has retries left, over all drivers; the death at hand is not among its deaths yet."""
        return len(self.study.history.trials[number].deaths) < self.study.experiment.search.max_retries

    def _wait(self, message: Failed, reason: str, *, died: bool = False) -> Event:
        """Puts a trial back, to go on from its checkpoint."""
        self._placement.put_back(message.trial)
        self.study.interrupt(message.trial, reason, died=died)
        return Interrupted(self.study.history.trials[message.trial], message.slot, reason)

    def _wait_alone(self, message: Failed) -> Event:
        """Puts a trial back whose memory others took part of: its next attempt has the device for itself."""
        trial = self.study.history.trials[message.trial]
        reason = f"{message.reason}; it will be tried once more alone on {trial.device}"
        self.study.interrupt(trial.number, reason, alone=True)
        return Interrupted(trial, message.slot, reason)

    def _finish(self, message: Ended | Failed, outcome: Outcome, reason: str) -> Event:
        trial = self.study.finish(message.trial, outcome, reason)
        self.checkpoints.sweep(trial)
        if trial.outcome is Outcome.FAILED:
            self._failures += 1
        elif trial.counts:  # one that was pruned may have ended before it could fail
            self._failures = 0
        if self._failures >= self.study.experiment.search.max_consecutive_failures:
            last = f"trial {trial.number}: {trial.reason}"
            raise TrainingFailed(f"{self._failures} trials failed and none completed since; the last: {last}")
        return Finished(trial, message.slot)

    # ------------------------------------------------------------------------------------------------ disks and devices

    def _stumble(self, message: Failed) -> Iterator[Event]:
        """A trial could save nothing: it waits, and all others that end with it, until there is room again."""
        number = message.trial
        self._stumbles[number] += 1
        yield self._wait(message, message.reason)
        if self._stumbles[number] > STUMBLES:
            place = self.checkpoints.where(number)
            raise StorageFailed(f"{place}: trial {number} cannot save its state: {message.reason}")
        yield from self._notices(self._disk_space.block(message.reason))

    def _why_so_few(self) -> str | None:
        """What the policy says where the search ended before the budget."""
        return None if self._pausing or not self._decisions.reason else self._decisions.reason

    def _notices(self, line: str | None) -> Iterator[Event]:
        if line is not None:
            yield Notice(line)

    def _doubt(self, message: Failed) -> Iterator[Event]:
        """An error of a device: after two trials have met one it is left alone; raises TrainingFailed at the last."""
        device = self._placement.doubt(message.slot, message.trial)
        if device is None:
            return
        yield Notice(f"{device} is left alone from now on: {DEVICE_ERRORS} trials ended in an error of it")
        if self._placement.no_device_left():
            self.study.interrupt(message.trial, message.reason, died=True)
            raise TrainingFailed(f"no device is left to train on; the last error: {message.reason}")

    # --------------------------------------------------------------------------------------------------------- stopping

    def _out_of_time(self) -> bool:
        return self._left() <= 0

    def _left(self) -> float:
        """Seconds left of the budget, over all drivers."""
        hours = self.study.experiment.budget.hours
        if hours is None:
            return float("inf")
        return hours * 3600 - self._searched - (time.monotonic() - self._began)

    def _patience(self) -> float:
        return max(0.0, min(LOOK, self._left())) if not self._pausing else LOOK

    def _pause_all(self) -> None:
        self._pausing = True
        for slot, number in self._placement.busy.items():
            if number not in self._judgements:
                self.launcher.reply(slot, Reply(number, Command.PAUSE))


def spent(study: Study, policy: Policy) -> bool:
    """Whether nothing is left to do: no time, or no trial to resume and none that the policy decides for."""
    hours = study.experiment.budget.hours
    if hours is not None and study.history.seconds >= hours * 3600:
        return True
    return not study.unfinished() and not Decisions(study, policy).more()
