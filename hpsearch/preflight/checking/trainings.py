"""Short trainings in the workers that a run would have, told when to stop, to pause or to die."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from hpsearch.contract import Command, Evaluation, WorkerSettings
from hpsearch.launchers.local import LocalLauncher
from hpsearch.launchers.messages import Ended, Evaluated, Failed, Message, Noted, Reply, Task

POLL = 0.05  # seconds
_FRAME = re.compile(r'File "([^"\n]+)", line (\d+)')

How = Literal["stop", "pause", "kill"]


@dataclass(frozen=True)
class Order:
    """How far a training goes: to its end, or to a command.

    stop: the answer to an evaluation. pause: between two evaluations, as of Ctrl-C. kill: SIGKILL to the worker, while
    it waits for the answer to an evaluation.
    """

    how: How = "stop"
    at: int | None = None  # the index of the evaluation; None: none
    after: float = math.inf  # seconds since the first evaluation: the first evaluation later than that
    limit: float = math.inf  # seconds in all, after which its worker is killed


@dataclass
class Course:
    """What became of a training."""

    folder: Path
    trial: int
    evaluations: list[Evaluation] = field(default_factory=list)
    at: list[float] = field(default_factory=list)  # seconds from its start, of each
    end: Ended | Failed | None = None
    ended_at: float = math.nan  # seconds
    told_at: float = math.nan  # when the command was given, seconds
    told_after: int = 0  # evaluations before the command
    overdue: bool = False  # it was killed after its limit
    place: str = ""  # of the user's code where it failed, in brackets

    @property
    def failure(self) -> str:
        """Why it failed; empty if it did not."""
        if self.overdue:
            return "it did not end in time"
        return f"{self.end.reason}{self.place}" if isinstance(self.end, Failed) else ""

    @property
    def whole(self) -> bool:
        """Whether it ended by itself."""
        return isinstance(self.end, Ended) and self.end.command is Command.CONTINUE

    @property
    def gap(self) -> float:
        """The longest time between two evaluations, in seconds; 0 if there are fewer than two."""
        return max((b - a for a, b in itertools.pairwise(self.at)), default=0.0)

    def values(self, metric: str) -> dict[int, float]:
        """A metric by evaluation."""
        return {one.index: one.metrics[metric] for one in self.evaluations if metric in one.metrics}


@dataclass
class _Running:
    course: Course
    order: Order
    slot: int
    began: float = field(default_factory=time.monotonic)

    @property
    def passed(self) -> float:
        return time.monotonic() - self.began


class Trainings:
    """Workers, and the trainings that they are given."""

    def __init__(self, launcher: LocalLauncher, folder: Path, prepared: Mapping[str, Path]) -> None:
        self.launcher, self.started, self.notes = launcher, 0, list[str]()
        self._pids = [launcher.pid(slot) for slot in range(self.workers)]
        self.memory: dict[int, list[int]] = {}  # process of a worker -> bytes after each of its trainings
        self.leaks = False
        self.ended: Callable[[], None] = lambda: None  # called after each training, or several at once
        self._folder, self._prepared = folder, dict(prepared)
        self._running: dict[int, _Running] = {}

    @property
    def workers(self) -> int:
        """The number of trainings at once."""
        return len(self.launcher.settings)

    @property
    def replaced(self) -> bool:
        """Whether a worker is another process than at the beginning."""
        return self._pids != [self.launcher.pid(slot) for slot in range(self.workers)]

    def train(self, config: Mapping[str, Any], order: Order, *, slot: int = 0, resumes: Course | None = None) -> Course:
        """Trains a config in a worker, in a folder of its own or in the one of a training that it resumes."""
        self._start(config, order, slot, resumes)
        [course] = self._await()
        return course

    def train_together(self, config: Mapping[str, Any], order: Order) -> list[Course]:
        """Trains a config in every worker at once."""
        for slot in range(self.workers):
            self._start(config, order, slot, None)
        return self._await()

    def train_group(self, members: Sequence[tuple[Mapping[str, Any], Order]]) -> list[Course]:
        """Trains several configs together in one worker (`Trainer.train_many`), each as far as its order goes."""
        self.launcher.train(0, [self._task(config, order, 0, None) for config, order in members])
        return self._await()

    def _start(self, config: Mapping[str, Any], order: Order, slot: int, resumes: Course | None) -> None:
        self.launcher.train(slot, [self._task(config, order, slot, resumes)])

    def _task(self, config: Mapping[str, Any], order: Order, slot: int, resumes: Course | None) -> Task:
        """A task that is in training from now on."""
        trial, attempt = (self.started, 1) if resumes is None else (resumes.trial, 2)
        self.started += 1
        folder = self._folder / f"{trial:04d}"
        self._running[trial] = _Running(Course(folder, trial), order, slot)
        return Task(trial, attempt, dict(config), folder, self._prepared)

    def _await(self) -> list[Course]:
        """Waits for the end of all trainings."""
        started = list(self._running.values())
        while self._running:
            for message in self.launcher.messages(POLL):
                self._take(message)
            for running in list(self._running.values()):
                if running.passed > running.order.limit and not running.course.overdue:
                    running.course.overdue = True
                    self._kill(running.slot)
        self.ended()
        return [running.course for running in started]

    def _take(self, message: Message) -> None:
        if isinstance(message, Noted):
            self.notes += [message.line] if message.line not in self.notes else []
        if message.trial not in self._running or isinstance(message, Noted):
            return
        running = self._running[message.trial]
        if isinstance(message, Evaluated):
            self._note(message, running)
            return
        running.course.end, running.course.ended_at = message, running.passed
        if isinstance(message, Failed):
            running.course.place = _place(message.details, self.launcher.settings[running.slot].base)
        if isinstance(message, Ended) and message.worker_memory:  # 0: others of its group are still in training
            pid = self.launcher.pid(running.slot)
            self.memory.setdefault(pid, []).append(message.worker_memory)
            self.leaks = self.leaks or message.leaks_memory
        del self._running[message.trial]

    def _note(self, message: Evaluated, running: _Running) -> None:
        """Takes an evaluation, and answers it."""
        course, order, found = running.course, running.order, message.evaluation
        course.evaluations.append(found)
        course.at.append(running.passed)
        told = not math.isnan(course.told_at)
        due = (order.at is not None and found.index >= order.at) or course.at[-1] - course.at[0] > order.after
        if due and not told:
            course.told_at, course.told_after = running.passed, len(course.evaluations)
            self._tell(message, running)
            return
        again = {"stop": Command.STOP, "pause": Command.PAUSE, "kill": Command.CONTINUE}[order.how]
        self.launcher.reply(message.slot, Reply(message.trial, again if told else Command.CONTINUE, found.index))

    def _tell(self, message: Evaluated, running: _Running) -> None:
        if running.order.how == "kill":
            self._kill(message.slot)
            return
        stops = running.order.how == "stop"
        command = Command.STOP if stops else Command.CONTINUE
        self.launcher.reply(message.slot, Reply(message.trial, command, message.evaluation.index))
        if not stops:
            self.launcher.reply(message.slot, Reply(message.trial, Command.PAUSE))

    def _kill(self, slot: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.launcher.pid(slot), signal.SIGKILL)


def _place(details: str, base: Path) -> str:
    """The last line of a traceback that is in a file of a folder, ` (my_train.py:12)`; empty if there is none."""
    found = [(Path(path), line) for path, line in _FRAME.findall(details)]
    own = [(path.relative_to(base), line) for path, line in found if path.is_relative_to(base)]
    return f" ({own[-1][0]}:{own[-1][1]})" if own else ""


@contextlib.contextmanager
def trainings(
    trainer: str, settings: Sequence[WorkerSettings], folder: Path, prepared: Mapping[str, Path]
) -> Iterator[Trainings]:
    """Opens workers for trainings with folders in `folder`; ends them after the block."""
    with contextlib.closing(LocalLauncher([*settings], trainer=trainer)) as launcher:
        yield Trainings(launcher, folder, prepared)
