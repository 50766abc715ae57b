"""The driver's loop: asks the policy, places and trains trials, judges them. A generator of events for the displays."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from hpsearch import failpoints
from hpsearch.attempts import Attempts
from hpsearch.contract import Command
from hpsearch.decisions import Decisions
from hpsearch.events import Event, Measured, Notice, Started
from hpsearch.launchers.messages import Evaluated, Failed, Launcher, Message, Noted, Reply, Task
from hpsearch.placement.placement import Placement
from hpsearch.policies.loading import load
from hpsearch.policies.policy import Judgement, Policy
from hpsearch.storage.checkpoints import Checkpoints
from hpsearch.storage.disk_space import DiskSpace
from hpsearch.study import Study
from hpsearch.verdict import Verdict

POLL_SECONDS = 0.25  # between two checks whether a person wants to stop
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
    ) -> None:
        """Prepares a search; `checkpoints`: the trials' checkpoints, or the folder for them.

        policy: None for the one that the space file names; prepared: the trainer's data (see WorkerSettings).
        """
        self.study, self.launcher, self._prepared = study, launcher, prepared or {}
        if isinstance(checkpoints, Path):
            checkpoints = Checkpoints(checkpoints, study.history)
        self.checkpoints = checkpoints
        self.policy = load(study.experiment) if policy is None else policy
        self._disk_space = DiskSpace(checkpoints.path, checkpoints.study_storage)
        self._decisions = Decisions(study, self.policy)
        self._placement = Placement(study, launcher, self._decisions)
        self._attempts = Attempts(study, self._placement, checkpoints, self._disk_space)
        self._interrupting = False  # a person or the end of the hours ends the search before its budget is spent
        self._started_at, self._seconds_before = time.monotonic(), study.history.seconds

    def run(self, stopping: Callable[[], bool] = lambda: False) -> Iterator[Event]:
        """Searches until the budget is spent or `stopping()`; interrupted trials are resumed by the next run.

        Raises TrainingFailed when too many trials fail, UserError when the user's data or config are wrong,
        StorageFailed when a disk refuses writes for too long.
        """
        while True:
            if not self._interrupting and (stopping() or self._seconds_left() <= 0):
                self._interrupt()
                if stopping():
                    yield Notice("stopping: trials save their state (once more to leave at once)")
            if (line := self._disk_space.retry()) is not None:
                yield Notice(line)
            if not self._interrupting and not self._disk_space.blocked:
                for slot, number in self._placement.placements():
                    yield self._start(slot, number)
            if self._is_over():
                if self._decisions.reason and not self._interrupting:
                    yield Notice(self._decisions.reason)
                return
            for message in self.launcher.messages(timeout=self._timeout()):
                yield from self._handle(message)

    def _start(self, slot: int, number: int) -> Event:
        settings = self.launcher.settings[slot]
        attempt = self.study.start(number, device=settings.device, threads=settings.threads, worker=slot)
        trial = self.study.history.trials[number]
        folder, remote = self.checkpoints.folder(number), self.checkpoints.remote(number)
        self.launcher.train(slot, Task(number, attempt, trial.config, folder, self._prepared, remote))
        failpoints.hit("trial_placed")
        return Started(trial, slot, attempt)

    # -------------------------------------------------------------------------------------------------------- messages

    def _handle(self, message: Message) -> Iterator[Event]:
        if self._placement.busy.get(message.slot) != message.trial:
            return  # of a worker that was replaced
        if isinstance(message, Noted):
            yield Notice(f"trial {message.trial}: {message.line}")
        elif isinstance(message, Evaluated):
            yield from self._judge(message)
        else:
            self._placement.ended(message.slot)
            if isinstance(message, Failed):
                yield from self._attempts.failed(message)
            else:
                yield self._attempts.ended(message, requeue=not self._interrupting)

    def _judge(self, message: Evaluated) -> Iterator[Event]:
        """Records an evaluation and replies with what the policy decides for the trial."""
        trial, index = self.study.history.trials[message.trial], message.evaluation.index
        is_old = index < max(trial.evaluations, default=0)  # of its checkpoint; the policy judged it before
        is_new = index not in trial.evaluations  # else an earlier attempt measured it, perhaps on another device
        self.study.report(message.trial, message.evaluation)
        was_judged = is_old or index <= trial.paused_at
        judgement = Judgement() if was_judged else self._decisions.judge(message.trial)
        failpoints.hit("report_done")
        if is_new:
            self._placement.measured(message.trial, message.evaluation)
        command = COMMANDS[judgement.verdict]
        if command is not Command.CONTINUE:
            self._attempts.judgements[message.trial] = judgement
        elif self._interrupting:
            command = Command.PAUSE
        self.launcher.reply(message.slot, Reply(message.trial, command, index))
        if not is_old:
            yield Measured(trial, message.slot, message.evaluation)

    # ------------------------------------------------------------------------------------------------------------- end

    def _is_over(self) -> bool:
        """Whether no trial is in training and none will be."""
        if self._placement.busy:
            return False
        return self._interrupting or not (self._disk_space.blocked or self._placement.awaits_worker())

    def _seconds_left(self) -> float:
        """Seconds left of the budget's hours, over all drivers; infinity without hours."""
        hours = self.study.experiment.budget.hours
        if hours is None:
            return float("inf")
        return hours * 3600 - self._seconds_before - (time.monotonic() - self._started_at)

    def _timeout(self) -> float:
        """Seconds to wait for messages."""
        return POLL_SECONDS if self._interrupting else max(0.0, min(POLL_SECONDS, self._seconds_left()))

    def _interrupt(self) -> None:
        """Asks all trials in training to save their state and end."""
        self._interrupting = True
        for slot, number in self._placement.busy.items():
            if number not in self._attempts.judgements:
                self.launcher.reply(slot, Reply(number, Command.PAUSE))


def spent(study: Study, policy: Policy) -> bool:
    """Whether nothing is left to do: no time, or no trial to resume and none that the policy decides for."""
    hours = study.experiment.budget.hours
    if hours is not None and study.history.seconds >= hours * 3600:
        return True
    return not study.unfinished() and not Decisions(study, policy).has_next()


def nothing_left(study: Study, policy: Policy) -> str:
    """The line that says why the policy has no trial for a study; empty if it has one or names no reason."""
    decisions = Decisions(study, policy)
    if decisions.has_next():
        return ""
    if study.history.trials:
        return decisions.reason
    return f"0 trials: the policy has none to train{': ' * bool(decisions.reason)}{decisions.reason}"
