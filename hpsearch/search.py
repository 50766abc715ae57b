"""The driver's loop: ask, place, judge, tell. A generator of what happens, for whoever shows it."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch.errors import TrainingFailed, UserError
from hpsearch.history import TrialHistory
from hpsearch.launchers.messages import Answer, Ended, Evaluated, Failed, Launcher, Message, Reply, Task
from hpsearch.study import OUTCOMES, Study
from hpsearch.verdict import Verdict

KEPT = 3  # trials whose best weights stay on the disk: the best ones
ANSWERS = {
    Verdict.CONTINUE: Answer.GO_ON,
    Verdict.PRUNE: Answer.DROP,
    Verdict.DIVERGED: Answer.DROP,
    Verdict.OVERFIT: Answer.FINISH,  # it can still win: its best weights are kept
}


@dataclass(frozen=True)
class Started:
    """A trial is with a worker (attempt 2 and later: continued)."""

    trial: TrialHistory
    slot: int
    attempt: int


@dataclass(frozen=True)
class Measured:
    """A trial was evaluated."""

    trial: TrialHistory
    slot: int
    evaluation: dict[str, Any]


@dataclass(frozen=True)
class Finished:
    """A trial has ended for good, and the disk knows."""

    trial: TrialHistory
    slot: int


@dataclass(frozen=True)
class Paused:
    """A trial was stopped with its state saved (or will be tried again), and why."""

    trial: TrialHistory
    slot: int
    reason: str


Happening = Started | Measured | Finished | Paused


class Search:
    """One driver's work on a study."""

    def __init__(
        self,
        study: Study,
        launcher: Launcher,
        *,
        checkpoints: Path,
        corpora: dict[str, Path] | None = None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        """`checkpoints`: where the trials' folders are made; `corpora`: the prepared data (see Setting);
        `stopping`: whether a person asked to stop.
        """
        self.study, self.launcher = study, launcher
        self.checkpoints, self._corpora, self._stopping = checkpoints, corpora or {}, stopping
        self._waiting = study.unfinished()
        self._busy: dict[int, int] = {}  # slot -> trial
        self._verdicts: dict[int, tuple[Verdict, str]] = {}
        self._deaths: dict[int, int] = {}
        self._failures = 0  # in a row
        self._pausing = False
        self._began = time.monotonic()
        self._searched = study.history.seconds

    def run(self) -> Iterator[Happening]:
        """Searches until the budget is spent or it is told to stop; what runs then is paused, to be continued.

        Raises TrainingFailed when too many trials in a row fail, UserError when a trial finds the user's data wrong.
        """
        while True:
            if not self._pausing and (self._stopping() or self._out_of_time()):
                self._pause_all()
            yield from self._place()
            if not self._busy:
                return
            for message in self.launcher.messages(timeout=self._patience()):
                yield from self._handle(message)

    # ---------------------------------------------------------------------------------------------------------- placing

    def _place(self) -> Iterator[Happening]:
        """Hands trials to the free workers: those that wait to be continued first."""
        for slot in range(len(self.launcher.settings)):
            if slot in self._busy or self._pausing:
                continue
            if self._waiting:
                number = self._waiting.pop(0)
            elif not out_of_trials(self.study):
                number = self.study.ask()
            else:
                return
            yield self._start(slot, number)

    def _start(self, slot: int, number: int) -> Happening:
        setting = self.launcher.settings[slot]
        attempt = self.study.start(number, device=setting.device, threads=setting.threads, worker=slot)
        trial = self.study.history.trials[number]
        self._busy[slot] = number
        self.launcher.train(slot, Task(number, attempt, trial.config, self.folder(number), self._corpora))
        return Started(trial, slot, attempt)

    def folder(self, number: int) -> Path:
        """Where a trial's checkpoints lie."""
        return self.checkpoints / f"{number:04d}"

    # --------------------------------------------------------------------------------------------------------- messages

    def _handle(self, message: Message) -> Iterator[Happening]:
        if self._busy.get(message.slot) != message.trial:
            return  # a worker that was given up
        if isinstance(message, Evaluated):
            yield self._judge(message)
            return
        del self._busy[message.slot]
        if isinstance(message, Ended):
            yield self._end(message)
        else:
            yield self._fail(message)

    def _judge(self, message: Evaluated) -> Happening:
        verdict, reason = self.study.report(message.trial, message.evaluation)
        answer = ANSWERS[verdict]
        if answer is not Answer.GO_ON:
            self._verdicts[message.trial] = verdict, reason
        elif self._pausing:
            answer = Answer.PAUSE
        self.launcher.reply(message.slot, Reply(message.trial, answer, message.evaluation["index"]))
        return Measured(self.study.history.trials[message.trial], message.slot, message.evaluation)

    def _end(self, message: Ended) -> Happening:
        number = message.trial
        trial = self.study.history.trials[number]
        if message.answer is Answer.PAUSE and number not in self._verdicts:
            self.study.interrupt(number)
            return Paused(trial, message.slot, "stopped; its checkpoint is saved")
        verdict, reason = self._verdicts.pop(number, (Verdict.CONTINUE, ""))
        return self._finish(message, OUTCOMES.get(verdict, "completed"), reason)

    def _fail(self, message: Failed) -> Happening:
        number = message.trial
        if self._verdicts.get(number, (None,))[0] in (Verdict.PRUNE, Verdict.DIVERGED):
            return self._end(Ended(message.slot, number, Answer.DROP))  # it was to leave nothing behind
        if message.kind == "died":
            self._verdicts.pop(number, None)
            self._deaths[number] = self._deaths.get(number, 0) + 1
            if self._deaths[number] <= self.study.experiment.search.max_retries:
                self._waiting.insert(0, number)
                reason = f"{message.reason}; it will be continued"
                return Paused(self.study.history.trials[number], message.slot, reason)
        self._write_error(message)
        self._verdicts.pop(number, None)
        outcome = "out_of_memory" if message.kind == "out_of_memory" else "failed"
        finished = self._finish(message, outcome, message.reason)
        if message.kind == "user":
            raise UserError(message.reason)
        return finished

    def _finish(self, message: Ended | Failed, outcome: str, reason: str) -> Happening:
        trial = self.study.finish(message.trial, outcome, reason)
        self._sweep(trial)
        self._failures = self._failures + 1 if trial.outcome == "failed" else 0
        if self._failures >= self.study.experiment.search.max_consecutive_failures:
            last = f"trial {trial.number}: {trial.reason}"
            raise TrainingFailed(f"{self._failures} trials in a row failed; the last: {last}")
        return Finished(trial, message.slot)

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
        return max(0.0, min(1.0, self._left())) if not self._pausing else 1.0

    def _pause_all(self) -> None:
        self._pausing = True
        for slot, number in self._busy.items():
            if number not in self._verdicts:
                self.launcher.reply(slot, Reply(number, Answer.PAUSE))

    def _sweep(self, trial: TrialHistory) -> None:
        """Removes what no one will read again: the state to go on from, and the weights of trials that cannot win."""
        with contextlib.suppress(OSError):
            (self.folder(trial.number) / "last.pt").unlink()
        kept = {t.number for t in self.study.history.ranked()[:KEPT]}
        for number in [t.number for t in self.study.history.ranked()[KEPT : KEPT + 1]] + [trial.number]:
            if number not in kept and not (self.folder(number) / "error.txt").exists():
                shutil.rmtree(self.folder(number), ignore_errors=True)

    def _write_error(self, message: Failed) -> None:
        """Leaves the traceback beside the trial for who wants to read it."""
        if message.details:
            self.folder(message.trial).mkdir(parents=True, exist_ok=True, mode=0o700)
            (self.folder(message.trial) / "error.txt").write_text(message.details)


def spent(study: Study) -> bool:
    """Whether the study's budget leaves nothing to do, so that no worker need be started."""
    hours = study.experiment.budget.hours
    if hours is not None and study.history.seconds >= hours * 3600:
        return True
    return not study.unfinished() and out_of_trials(study)


def out_of_trials(study: Study) -> bool:
    """Whether the study has all the trials that its budget, its grid or its one config allows."""
    allowed = study.experiment.budget.trials or float("inf")
    size = study.experiment.space.size
    if size is not None and (study.experiment.search.sampler == "grid" or size == 1):
        allowed = min(allowed, size)
    return len(study.history.trials) >= allowed
