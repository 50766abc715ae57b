"""A worker on Ray: an actor, which runs in a process on a node and trains one trial at a time."""

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
from hpsearch.launchers.ray.transfer import TrialTransfer
from hpsearch.launchers.ray.visibility import SharedFolder, SharedStorage
from hpsearch.launchers.session import Session, stepped
from hpsearch.output.logs import warnings_to
from hpsearch.output.redaction import guard, redact
from hpsearch.trainers import load


@dataclass(frozen=True)
class ActorInfo:
    """Where an actor runs."""

    node: str  # Ray's id of the node
    host: str
    pid: int
    gpus: tuple[str, ...]  # ids of the GPUs that Ray assigned to it
    problem: str = ""  # why the node cannot be used; "": it can


@dataclass(frozen=True)
class ActorHeartbeat:
    """Shows that an actor is alive."""

    steps: int  # calls of the training between steps, so far
    memory: int  # bytes, peak of the process


class Actor:
    """Trains one trial at a time; Ray calls `tell` and `heartbeat` in another thread.

    Each trial has a `turn` number, so that a command for one never reaches the next.
    """

    def __init__(self, slot: int, settings: WorkerSettings, trainer: str, storage: str | None = None) -> None:
        """`storage`: URL of the storage, if the nodes share no folder."""
        guard()
        self.slot, self.settings, self.trainer = slot, settings, trainer
        self._lock = threading.Lock()
        self._storage = storage
        self._transfer: TrialTransfer | None = None
        self._session: Session | None = None
        self._turn, self._early = 0, (0, Command.CONTINUE)  # a command for a turn that has not started yet
        self._steps = 0
        self._leak = memory.LeakDetector()
        self._terminated = False
        with contextlib.suppress(ValueError):  # only the main thread may; Ray makes actors there
            signal.signal(signal.SIGTERM, self._terminate)
            orphans.reset_sigterm_in_forks()
            local_ray.unblock_sigterm()

    def hello(self, shared: SharedFolder | SharedStorage) -> ActorInfo:
        """Imports the trainer (torch takes seconds) and returns where the actor runs."""
        import ray  # already imported in this process

        orphans.start_reaper()
        with contextlib.suppress(Exception):
            load(self.trainer, self.settings.base).warm_up()
        context = ray.get_runtime_context()
        gpus = tuple(str(gpu) for gpu in context.get_accelerator_ids().get("GPU", []))
        problem = shared.problem() or self._open()
        return ActorInfo(context.get_node_id(), socket.gethostname(), os.getpid(), gpus, problem)

    def _open(self) -> str:
        """Connects to the storage, if any; returns why this node cannot use it, or ""."""
        try:
            if self._storage is not None:
                self._transfer = TrialTransfer(self._storage)
        except UserError as error:
            return f"lacks something: {error}"
        return ""

    def train(self, turn: int, task: Task) -> list[Message]:
        """Trains up to the first evaluation or the end; returns the messages."""
        with _noted(self.slot, task.trial) as found:
            try:
                task = self._download(task)
            except (StorageFailed, OSError) as error:
                return [*found, self._disk_failure(task.trial, error)]
        session = Session(self.slot, [task], self.settings, trainer=self.trainer, listen=self._look)
        with self._lock:
            self._turn, self._session = turn, session
            if self._early[0] == turn:
                session.answer(session.first, self._early[1])
        return found + self._step(session)

    def answer(self, command: Command) -> list[Message]:
        """Sets the command after an evaluation and trains up to the next one; returns the messages."""
        session = self._session
        if session is None:
            return []
        session.answer(session.first, command)
        return self._step(session)

    def tell(self, turn: int, command: Command) -> None:
        """Sets the command between evaluations."""
        with self._lock:
            if self._session is not None and turn == self._turn:
                self._session.answer(self._session.first, command)
            elif turn > self._turn:
                self._early = turn, command

    def heartbeat(self) -> ActorHeartbeat:
        """Returns a heartbeat, also while a trial trains."""
        return ActorHeartbeat(self._steps, memory.peak())

    def leave(self) -> None:
        """Deletes the actor's files on the node; the launcher kills it next."""
        if self._transfer is not None:
            self._transfer.scratch.remove()

    def _step(self, session: Session) -> list[Message]:
        with _noted(self.slot, session.first) as found:
            [message] = stepped(session)  # it has one trial
            message = self._store(message)
        if not isinstance(message, Evaluated):
            self._session = None
        if isinstance(message, Ended):
            used, leaks = self._leak.after_trial()
            message = replace(message, worker_memory=used, leaks_memory=leaks, terminated=self._terminated)
        return [*found, message]

    def _terminate(self, number: int, frame: Any) -> None:
        """On SIGTERM: pauses the trial, which resumes in another worker; the launcher then replaces this one."""
        self._terminated = True
        session = self._session
        if session is None:
            raise SystemExit(128 + number)
        session.pause()

    def _look(self) -> None:
        self._steps += 1
        if self._transfer is not None:
            self._transfer.look()

    # --------------------------------------------------------------------------------------------------- with a storage

    def _download(self, task: Task) -> Task:
        """Returns the task with folders on this node; raises StorageFailed or OSError."""
        if self._transfer is None or task.remote is None:
            return task
        return self._transfer.begin(task, task.remote, self._beat)

    def _beat(self) -> None:
        self._steps += 1

    def _store(self, message: Message) -> Message:
        """Stores what the trial has saved; returns the message, or Failed if an ended trial was not stored."""
        if self._transfer is None:
            return message
        try:
            if isinstance(message, Evaluated):
                self._transfer.look()
            else:
                self._transfer.end(keep=getattr(message, "command", Command.PAUSE) is not Command.STOP)
        except (StorageFailed, OSError) as error:
            return self._disk_failure(message.trial, error) if isinstance(message, Ended) else message
        return message

    def _disk_failure(self, trial: int, error: Exception) -> Failed:
        return Failed(self.slot, trial, "disk", redact(str(error)))


@contextlib.contextmanager
def _noted(slot: int, trial: int) -> Iterator[list[Message]]:
    """Collects the package's warnings of this thread as messages for the driver."""
    found: list[Message] = []
    with warnings_to(lambda line: found.append(Noted(slot, trial, line)), this_thread=True):
        yield found
