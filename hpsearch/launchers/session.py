"""The trials that a worker trains together: mostly one. It opens no database."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpsearch.contract import CHECKPOINTS, Command, Evaluation, Handle, TrialTask, WorkerSettings
from hpsearch.errors import HpsearchError, UserError
from hpsearch.launchers.messages import Ended, Evaluated, Failed, Message, Task
from hpsearch.launchers.usage import Usage
from hpsearch.output.error_lines import first_line, message, with_class, with_line
from hpsearch.output.redaction import redact
from hpsearch.system.atomic import make_folder
from hpsearch.trainers import DEFAULT, config_of, load
from hpsearch.trainers.evaluations import closing, evaluations, evaluations_of_many
from hpsearch.training.memory import ran_out

_log = logging.getLogger(__name__)

TRAINER = DEFAULT
LISTEN = 0.05  # seconds between two checks for messages: a check takes microseconds, a step may take fewer
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG}  # errors of a disk, wherever the training raises them
CLOSED = {errno.EROFS, errno.EACCES, errno.EPERM}  # likewise, if the file is in the trial's own folder


class Session:
    """Trials in training together: `step` trains up to the next messages, `answer` sets a trial's command.

    One trial is a group of one. `trials` has those that have not ended; the session is over when it is empty.
    """

    def __init__(
        self, slot: int, tasks: Sequence[Task], settings: WorkerSettings, *, trainer: str, listen: Callable[[], None]
    ) -> None:
        self.slot, self.trials = slot, {task.trial: InTraining(slot, task) for task in tasks}
        self.first = tasks[0].trial  # of those in training; once all have ended, the one that ended last
        self._listen, self._listened = listen, time.monotonic()
        self._usage = Usage(settings.device)
        handles = {task.trial: self._handle(task, settings) for task in tasks}
        self._process, self._base = os.getpid(), settings.base
        self._evaluations = _train(trainer, tasks, handles)

    def answer(self, trial: int, command: Command) -> None:
        """Sets a trial's command, unless it already has a stronger one or has ended."""
        if trial in self.trials:
            self.trials[trial].answer(command)

    def pause(self) -> None:
        """Commands all trials to pause."""
        for trial in self.trials.values():
            trial.answer(Command.PAUSE)

    def step(self) -> list[Message]:
        """Trains up to the next evaluation of a trial, or the end of at least one; returns every error as messages."""
        try:
            while not self._all_stopped():
                trial, evaluation = next(self._evaluations)
                if evaluation is None:
                    return [self._ended(trial)]
                if self.trials[trial].last is not Command.STOP:
                    return [Evaluated(self.slot, trial, replace(evaluation, usage=self._usage.take()))]
            _close(self._evaluations, self._base)
        except StopIteration:
            pass
        except Exception as error:
            return self.failed(error)
        except (SystemExit, GeneratorExit) as error:
            if os.getpid() != self._process:  # a process that the trainer has forked ends
                raise
            return self.failed(error)
        return [self._ended(trial) for trial in list(self.trials)]

    def failed(self, error: BaseException) -> list[Message]:
        """Returns a message for each trial in training: the training raised an error."""
        folders = [trial.task.folder for trial in self.trials.values()]
        kind, reason = _kind(error, folders), _one_line(error)
        if not isinstance(error, Exception):
            reason = redact(with_line(error, self._base))  # with the line of the trainer
        details = redact("".join(traceback.format_exception(error)))
        failed, self.trials = [*self.trials], {}
        return [Failed(self.slot, trial, kind, reason, details) for trial in failed]

    def _handle(self, task: Task, settings: WorkerSettings) -> Handle:
        def command() -> Command:
            self._hear()
            return trial.command()

        trial = self.trials[task.trial]
        return Handle(replace(settings, prepared=task.prepared), task.folder, command)

    def _hear(self) -> None:
        """Receives the driver's commands, if the last check was LISTEN seconds ago."""
        now = time.monotonic()
        if now - self._listened > LISTEN:
            self._listened = now
            self._listen()
            self._usage.sample()

    def _all_stopped(self) -> bool:
        return all(trial.last is Command.STOP for trial in self.trials.values())

    def _ended(self, number: int) -> Ended:
        trial = self.trials.pop(number)
        self.first = next(iter(self.trials), number)
        return trial.ended()


def stepped(session: Session) -> list[Message]:
    """`Session.step` in a process that gets no Ctrl-C of the user's: a KeyboardInterrupt is the trainer's own."""
    process = os.getpid()
    try:
        return session.step()
    except KeyboardInterrupt as error:
        if os.getpid() != process:  # a process that the trainer has forked ends
            raise
        return session.failed(error)


class InTraining:
    """One trial of a session: its command, and what its training has read of it."""

    def __init__(self, slot: int, task: Task) -> None:
        self.slot, self.task = slot, task
        self.last = Command.CONTINUE
        self._heard = Command.CONTINUE  # the last command that the training has read
        self._before: set[tuple[int, int]] = set()  # the checkpoints that existed when the training read PAUSE

    def answer(self, command: Command) -> None:
        """Sets the command, unless there is a stronger one."""
        self.last = max(self.last, command)

    def command(self) -> Command:
        """Returns the command as the training reads it: PAUSE for STOP."""
        if self.last is Command.PAUSE and self._heard is not Command.PAUSE:
            self._before = _checkpoints(self.task.folder)
        self._heard = self.last
        return Command.PAUSE if self.last is Command.STOP else self.last

    def ended(self) -> Ended:
        """Returns how the trial ended. A training that did not read the PAUSE reached its own end."""
        if self.last is Command.STOP or self._heard is not Command.PAUSE:
            return Ended(self.slot, self.task.trial, self.last if self.last is not Command.PAUSE else Command.CONTINUE)
        found = _checkpoints(self.task.folder)
        saved = bool(found - self._before)
        return Ended(self.slot, self.task.trial, Command.PAUSE, saved=saved, kept=bool(found))


def _checkpoints(folder: Path) -> set[tuple[int, int]]:
    """Returns inode and time of each checkpoint in a folder: a rewritten checkpoint differs."""
    found = set()
    for name in CHECKPOINTS:
        with contextlib.suppress(OSError):
            status = (folder / name).stat()
            found.add((status.st_ino, status.st_mtime_ns))
    return found


def _train(name: str, tasks: Sequence[Task], handles: Mapping[int, Handle]) -> Iterator[tuple[int, Evaluation | None]]:
    """Yields trials and their checked evaluations by the trainer of this name; None at the end of a trial's training.

    The end of one trial, and of all that are left, may be the end of the iterator.
    """
    for handle in handles.values():
        make_folder(handle.folder)
    trainer = load(name, handle.settings.base)
    given = [TrialTask(task.trial, config_of(trainer, task.config), handles[task.trial]) for task in tasks]
    if len(given) > 1:
        yield from evaluations_of_many(trainer, given)
        return
    seconds = tasks[0].measure
    with closing(evaluations(trainer, given[0].config, given[0].handle, measure=seconds)) as training:
        for evaluation in training:
            yield given[0].trial, evaluation


def _close(training: Iterator[Any], base: Path) -> None:
    """Closes a training whose trial was stopped. An error that it raises then is logged: the trial has ended anyway."""
    process = os.getpid()
    try:
        training.close()  # type: ignore[attr-defined]
    except BaseException as error:  # also what a Ctrl-C raises: the search ends after this trial
        if os.getpid() != process:  # a process that the trainer has forked ends
            raise
        _log.warning("the trial was stopped, and its training raised %s", with_line(error, base))


def _kind(error: BaseException, folders: list[Path]) -> str:
    text = message(error)
    if ran_out(error):
        return "out_of_memory"
    if "CUDA error" in text or type(error).__name__ == "AcceleratorError":
        return "device"
    if isinstance(error, OSError):
        own = error.filename is not None and any(Path(str(error.filename)).is_relative_to(one) for one in folders)
        return "disk" if error.errno in FULL or (own and error.errno in CLOSED) else "error"
    return "user" if isinstance(error, UserError) else "error"


def _one_line(error: BaseException) -> str:
    if isinstance(error, HpsearchError):
        return first_line(error)
    return f"out of memory: {first_line(error)}" if isinstance(error, MemoryError) else with_class(error)
