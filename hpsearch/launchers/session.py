"""One trial in training, on the worker's side. It opens no database."""

from __future__ import annotations

import contextlib
import errno
import os
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from hpsearch.atomic import make_folder
from hpsearch.contract import CHECKPOINTS, Command, Evaluation, Handle, WorkerSettings
from hpsearch.error_lines import first_line, message, with_class
from hpsearch.errors import HpsearchError, UserError
from hpsearch.launchers.messages import Ended, Evaluated, Failed, Message, Task
from hpsearch.redaction import redact
from hpsearch.trainers import DEFAULT, config_of, load
from hpsearch.trainers.checked import in_one_line
from hpsearch.trainers.evaluations import evaluations
from hpsearch.training.memory import ran_out

TRAINER = DEFAULT
LISTEN = 0.05  # seconds between two checks for messages: a check takes microseconds, a step may take fewer
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG}  # errors of a disk, wherever the training raises them
CLOSED = {errno.EROFS, errno.EACCES, errno.EPERM}  # likewise, if the file is in the trial's own folder


class Session:
    """One trial in training: `step` trains up to the next message, `answer` sets the command."""

    def __init__(
        self, slot: int, task: Task, settings: WorkerSettings, *, trainer: str, listen: Callable[[], None]
    ) -> None:
        self.slot, self.task = slot, task
        self.last = Command.CONTINUE
        self._heard = Command.CONTINUE  # the last command that the training has read
        self._before: set[tuple[int, int]] = set()  # the checkpoints that existed when the training read PAUSE
        self._listen, self._listened = listen, time.monotonic()
        handle = Handle(replace(settings, prepared=task.prepared), task.folder, self._command)
        self._process, self._base = os.getpid(), settings.base
        self._evaluations = _train(trainer, task, handle)

    def answer(self, command: Command) -> None:
        """Sets the trial's command, unless it already has a stronger one."""
        self.last = max(self.last, command)

    def step(self) -> Message:
        """Trains up to the next evaluation or the end; returns every error as a message."""
        if self.last is Command.STOP:
            self._evaluations.close()  # type: ignore[attr-defined]
            return self._ended()
        try:
            evaluation = next(self._evaluations)
        except StopIteration:
            return self._ended()
        except Exception as error:
            return self.failed(error)
        except (SystemExit, GeneratorExit) as error:
            if os.getpid() != self._process:  # a process that the trainer has forked ends
                raise
            return self.failed(error)
        return Evaluated(self.slot, self.task.trial, evaluation)

    def failed(self, error: BaseException) -> Failed:
        """Returns the message for an error that the training raised."""
        kind, reason = _kind(error, self.task.folder), _one_line(error)
        if not isinstance(error, Exception):
            reason = redact(in_one_line(error, self._base))  # with the line of the trainer
        details = "".join(traceback.format_exception(error))
        return Failed(self.slot, self.task.trial, kind, reason, redact(details))

    def _command(self) -> Command:
        now = time.monotonic()
        if now - self._listened > LISTEN:
            self._listened = now
            self._listen()
        if self.last is Command.PAUSE and self._heard is not Command.PAUSE:
            self._before = _checkpoints(self.task.folder)
        self._heard = self.last
        return Command.PAUSE if self.last is Command.STOP else self.last

    def _ended(self) -> Ended:
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


def _train(name: str, task: Task, handle: Handle) -> Iterator[Evaluation]:
    """Yields the checked evaluations of the trainer of this name."""
    make_folder(handle.folder)
    trainer = load(name, handle.settings.base)
    yield from evaluations(trainer, config_of(trainer, task.config), handle)


def _kind(error: BaseException, folder: Path) -> str:
    text = message(error)
    if ran_out(error):
        return "out_of_memory"
    if "CUDA error" in text or type(error).__name__ == "AcceleratorError":
        return "device"
    if isinstance(error, OSError):
        own = error.filename is not None and Path(str(error.filename)).is_relative_to(folder)
        return "disk" if error.errno in FULL or (own and error.errno in CLOSED) else "error"
    return "user" if isinstance(error, UserError) else "error"


def _one_line(error: BaseException) -> str:
    if isinstance(error, HpsearchError):
        return first_line(error)
    return f"out of memory: {first_line(error)}" if isinstance(error, MemoryError) else with_class(error)
