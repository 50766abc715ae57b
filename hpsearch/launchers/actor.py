"""The worker's end on Ray: a class whose instance lives in a process of some node and trains what it is handed."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from hpsearch.launchers import memory
from hpsearch.launchers.messages import Answer, Ended, Evaluated, Message, Noted, Task
from hpsearch.launchers.worker import Session
from hpsearch.secrets import guard, redact
from hpsearch.training.contract import Setting

PATIENCE = 5.0  # seconds that a file written on one node may take to be seen on another (NFS)


@dataclass(frozen=True)
class Shared:
    """A file that the driver has written, by which a node sees that it has the driver's folders."""

    path: Path
    text: str

    def seen(self) -> bool:
        """Whether the file is here, with this text."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, ValueError):
                if self.path.read_text() == self.text:
                    return True
            time.sleep(0.1)
        return False


@dataclass(frozen=True)
class Place:
    """Where an actor found itself."""

    node: str  # Ray's name of the node
    host: str
    pid: int
    gpus: tuple[str, ...]  # that it was given, as the node names them
    shares: bool  # whether it sees the driver's folders


@dataclass(frozen=True)
class Life:
    """A sign of life."""

    looks: int  # between steps, so far
    memory: int  # bytes, the most that the process has had


class Actor:
    """Trains one trial at a time; `tell` and `life` come in a thread of their own.

    Each trial placed has a `turn`, so that what was said to one is never heard by the next.
    """

    def __init__(self, slot: int, setting: Setting, trainer: str) -> None:
        guard()
        self.slot, self.setting, self.trainer = slot, setting, trainer
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._turn, self._ahead = 0, (0, Answer.GO_ON)  # what was said of a turn before that turn came
        self._looks = 0
        self._leak = memory.Leak()

    def hello(self, shared: Shared) -> Place:
        """Says where it is, once the trainer is imported (torch: seconds)."""
        import ray  # in this process it is

        with contextlib.suppress(Exception):
            __import__(self.trainer.partition(":")[0])
        context = ray.get_runtime_context()
        gpus = tuple(str(gpu) for gpu in context.get_accelerator_ids().get("GPU", []))
        return Place(context.get_node_id(), socket.gethostname(), os.getpid(), gpus, shared.seen())

    def train(self, turn: int, task: Task) -> list[Message]:
        """Trains up to the first evaluation or the end."""
        session = Session(self.slot, task, self.setting, trainer=self.trainer, listen=self._look)
        with self._lock:
            self._turn, self._session = turn, session
            if self._ahead[0] == turn:
                session.answer(self._ahead[1])
        return self._step(session)

    def answer(self, answer: Answer) -> list[Message]:
        """Trains on after an evaluation."""
        session = self._session
        if session is None:
            return []
        session.answer(answer)
        return self._step(session)

    def tell(self, turn: int, answer: Answer) -> None:
        """What the driver says unasked."""
        with self._lock:
            if self._session is not None and turn == self._turn:
                self._session.answer(answer)
            elif turn > self._turn:
                self._ahead = turn, answer

    def life(self) -> Life:
        """A sign of life, answered while it trains."""
        return Life(self._looks, memory.peak())

    def _step(self, session: Session) -> list[Message]:
        with _noted(self.slot, session.task.trial) as found:
            message = session.step()
        if not isinstance(message, Evaluated):
            self._session = None
        if isinstance(message, Ended):
            kept, leaks = self._leak.after_trial()
            message = replace(message, memory=kept, leaks=leaks)
        return [*found, message]

    def _look(self) -> None:
        self._looks += 1


@contextlib.contextmanager
def _noted(slot: int, trial: int) -> Iterator[list[Message]]:
    """Collects what the package logs in this thread as a warning or worse: the driver has the terminal."""
    collect, log = _Collect(slot, trial), logging.getLogger("hpsearch")
    log.addHandler(collect)
    try:
        yield collect.found
    finally:
        log.removeHandler(collect)


class _Collect(logging.Handler):
    def __init__(self, slot: int, trial: int) -> None:
        super().__init__(logging.WARNING)
        self._slot, self._trial, self._thread = slot, trial, threading.get_ident()
        self.found: list[Message] = []

    def emit(self, record: logging.LogRecord) -> None:
        if threading.get_ident() == self._thread:
            self.found.append(Noted(self._slot, self._trial, redact(record.getMessage())))
