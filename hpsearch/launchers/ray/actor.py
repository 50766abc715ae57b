"""The worker's end on Ray: a class whose instance lives in a process of some node and trains what it is handed."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from hpsearch.contract import Command, WorkerSettings
from hpsearch.errors import StorageFailed, UserError
from hpsearch.launchers import memory, orphans
from hpsearch.launchers.messages import Ended, Evaluated, Failed, Message, Noted, Task
from hpsearch.launchers.ray import local_ray
from hpsearch.launchers.ray.upload import Elsewhere
from hpsearch.launchers.ray.visibility import SharedFolder, SharedStorage
from hpsearch.launchers.session import Session
from hpsearch.logs import warnings_to
from hpsearch.redaction import guard, redact
from hpsearch.trainers import load


@dataclass(frozen=True)
class Place:
    """Where an actor found itself."""

    node: str  # Ray's name of the node
    host: str
    pid: int
    gpus: tuple[str, ...]  # that it was given, as the node names them
    lacks: str = ""  # what of the driver's it does not see, in words


@dataclass(frozen=True)
class Life:
    """A sign of life."""

    looks: int  # between steps, so far
    memory: int  # bytes, the most that the process has had


class Actor:
    """Trains one trial at a time; `tell` and `life` come in a thread of their own.

    Each trial placed has a `turn`, so that what was said to one is never heard by the next.
    """

    def __init__(self, slot: int, settings: WorkerSettings, trainer: str, storage: str | None = None) -> None:
        """`storage`: URL of what is not in a folder that all nodes see."""
        guard()
        self.slot, self.settings, self.trainer = slot, settings, trainer
        self._lock = threading.Lock()
        self._storage = storage
        self._elsewhere: Elsewhere | None = None
        self._session: Session | None = None
        self._turn, self._ahead = 0, (0, Command.CONTINUE)  # what was said of a turn before that turn came
        self._looks = 0
        self._leak = memory.Leak()
        self._terminated = False
        with contextlib.suppress(ValueError):  # only the main thread may: there Ray makes an actor, and hears signals
            signal.signal(signal.SIGTERM, self._terminate)
            orphans.reset_sigterm_in_forks()
            local_ray.hear()

    def hello(self, shared: SharedFolder | SharedStorage) -> Place:
        """Says where it is, once the trainer is imported (torch: seconds)."""
        import ray  # in this process it is

        orphans.kill_after_me()
        with contextlib.suppress(Exception):
            load(self.trainer, self.settings.base).warm_up()
        context = ray.get_runtime_context()
        gpus = tuple(str(gpu) for gpu in context.get_accelerator_ids().get("GPU", []))
        return Place(context.get_node_id(), socket.gethostname(), os.getpid(), gpus, shared.lacking() or self._open())

    def _open(self) -> str:
        """Makes ready what a storage needs here; gives what is lacking."""
        try:
            if self._storage is not None:
                self._elsewhere = Elsewhere(self._storage)
        except UserError as error:
            return f"lacks something: {error}"
        return ""

    def train(self, turn: int, task: Task) -> list[Message]:
        """Trains up to the first evaluation or the end."""
        with _noted(self.slot, task.trial) as found:
            try:
                task = self._brought(task)
            except (StorageFailed, OSError) as error:
                return [*found, self._unsaved(task.trial, error)]
        session = Session(self.slot, task, self.settings, trainer=self.trainer, listen=self._look)
        with self._lock:
            self._turn, self._session = turn, session
            if self._ahead[0] == turn:
                session.answer(self._ahead[1])
        return found + self._step(session)

    def answer(self, command: Command) -> list[Message]:
        """Trains on after an evaluation."""
        session = self._session
        if session is None:
            return []
        session.answer(command)
        return self._step(session)

    def tell(self, turn: int, command: Command) -> None:
        """What the driver says unasked."""
        with self._lock:
            if self._session is not None and turn == self._turn:
                self._session.answer(command)
            elif turn > self._turn:
                self._ahead = turn, command

    def life(self) -> Life:
        """A sign of life, answered while it trains."""
        return Life(self._looks, memory.peak())

    def leave(self) -> None:
        """Takes away what it has on the node: it is about to be killed."""
        if self._elsewhere is not None:
            self._elsewhere.scratch.remove()

    def _step(self, session: Session) -> list[Message]:
        with _noted(self.slot, session.task.trial) as found:
            message = self._kept(session.step())
        if not isinstance(message, Evaluated):
            self._session = None
        if isinstance(message, Ended):
            kept, leaks = self._leak.after_trial()
            message = replace(message, memory=kept, leaks=leaks or self._terminated)
        return [*found, message]

    def _terminate(self, number: int, frame: Any) -> None:
        """On SIGTERM: saves what is in training, which goes on elsewhere, and is replaced."""
        self._terminated = True
        session = self._session
        if session is None:
            raise SystemExit(128 + number)
        session.answer(Command.PAUSE)

    def _look(self) -> None:
        self._looks += 1
        if self._elsewhere is not None:
            self._elsewhere.look()

    # --------------------------------------------------------------------------------------------------- with a storage

    def _brought(self, task: Task) -> Task:
        """The task with folders that are on this node; raises StorageFailed or OSError."""
        if self._elsewhere is None or task.remote is None:
            return task
        return self._elsewhere.begin(task, task.remote, self._beat)

    def _beat(self) -> None:
        self._looks += 1

    def _kept(self, message: Message) -> Message:
        """The message, once what the trial has saved is stored: before its end is said."""
        if self._elsewhere is None:
            return message
        try:
            if isinstance(message, Evaluated):
                self._elsewhere.look()
            else:
                self._elsewhere.end(keep=getattr(message, "command", Command.PAUSE) is not Command.STOP)
        except (StorageFailed, OSError) as error:
            return self._unsaved(message.trial, error) if isinstance(message, Ended) else message
        return message

    def _unsaved(self, trial: int, error: Exception) -> Failed:
        return Failed(self.slot, trial, "disk", redact(str(error)))


@contextlib.contextmanager
def _noted(slot: int, trial: int) -> Iterator[list[Message]]:
    """Collects what the package logs in this thread as a warning or worse: the driver has the terminal."""
    found: list[Message] = []
    with warnings_to(lambda line: found.append(Noted(slot, trial, line)), this_thread=True):
        yield found
