"""One trial in training, on the worker's side. It opens no database."""

from __future__ import annotations

import contextlib
import errno
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import Any

from hpsearch.atomic import make_folder
from hpsearch.contract import CHECKPOINTS, Command, Evaluation, Handle, WorkerSettings
from hpsearch.error_lines import first_line, with_class
from hpsearch.errors import HpsearchError, UserError
from hpsearch.launchers.messages import Ended, Evaluated, Failed, Message, Task
from hpsearch.redaction import redact
from hpsearch.trainers import DEFAULT, config_of, load
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
        self._evaluations = _train(trainer, task, handle)

    def answer(self, command: Command) -> None:
        """Sets the trial's command, unless it already has a stronger one."""
        self.last = max(self.last, command)

    def step(self) -> Message:
        """Trains up to the next evaluation or the end; returns every error as a message."""
        trial = self.task.trial
        if self.last is Command.STOP:
            self._evaluations.close()  # type: ignore[attr-defined]
            return self._ended()
        try:
            evaluation = _plain(next(self._evaluations))
        except StopIteration:
            return self._ended()
        except Exception as error:
            kind = _kind(error, self.task.folder)
            return Failed(self.slot, trial, kind, _one_line(error), redact(traceback.format_exc()))
        return Evaluated(self.slot, trial, evaluation)

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
        saved = bool(_checkpoints(self.task.folder) - self._before)
        return Ended(self.slot, self.task.trial, Command.PAUSE, saved=saved)


def _checkpoints(folder: Path) -> set[tuple[int, int]]:
    """Returns inode and time of each checkpoint in a folder: a rewritten checkpoint differs."""
    found = set()
    for name in CHECKPOINTS:
        with contextlib.suppress(OSError):
            status = (folder / name).stat()
            found.add((status.st_ino, status.st_mtime_ns))
    return found


def _plain(evaluation: Evaluation) -> Evaluation:
    """Returns the evaluation with Python floats as metrics."""
    points = [replace(point, metrics=_floats(point.metrics)) for point in evaluation.points]
    return replace(evaluation, metrics=_floats(evaluation.metrics), points=points)


def _floats(metrics: Mapping[str, Any]) -> dict[str, float]:
    return {name: number(name, value) for name, value in metrics.items()}


def number(name: str, value: Any) -> float:
    """Returns a metric's value (a number of Python or numpy, a tensor of one) as a float; raises TypeError."""
    plain = value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value
    if type(plain) is not bool and isinstance(plain, Real):
        return float(plain)
    raise TypeError(f"{name}: {value!r} is not a number")


def _train(name: str, task: Task, handle: Handle) -> Iterator[Evaluation]:
    """Yields the evaluations of the trainer of this name; raises TypeError if it yields something else."""
    make_folder(handle.folder)
    trainer = load(name, handle.settings.base)
    for found in trainer.train(config_of(trainer, task.config), handle):
        if not isinstance(found, Evaluation):
            raise TypeError(f"{name} yielded {type(found).__name__}, not Evaluation")
        yield found


def _kind(error: Exception, folder: Path) -> str:
    text = str(error)
    if ran_out(error):
        return "out_of_memory"
    if "CUDA error" in text or type(error).__name__ == "AcceleratorError":
        return "device"
    if isinstance(error, OSError):
        own = error.filename is not None and Path(str(error.filename)).is_relative_to(folder)
        return "disk" if error.errno in FULL or (own and error.errno in CLOSED) else "error"
    return "user" if isinstance(error, UserError) else "error"


def _one_line(error: Exception) -> str:
    if isinstance(error, HpsearchError):
        return first_line(error)
    return f"out of memory: {first_line(error)}" if isinstance(error, MemoryError) else with_class(error)
