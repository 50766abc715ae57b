"""Workers as processes of this machine, started once and kept warm; a dead one is seen at once and replaced.

Python's multiprocessing with the spawn method: no state of the driver (threads, locks, CUDA) is inherited.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from hpsearch.launchers.messages import Answer, Evaluated, Failed, Message, Reply, Task
from hpsearch.launchers.worker import TRAINER, Session
from hpsearch.training.contract import Setting

_spawn = multiprocessing.get_context("spawn")


class LocalLauncher:
    """One process for each setting (device and threads)."""

    def __init__(self, settings: list[Setting], *, trainer: str = TRAINER) -> None:
        """Starts the workers; they import torch while the driver goes on."""
        self.settings, self.trainer = settings, trainer
        self._workers = [_Worker(slot, setting, trainer) for slot, setting in enumerate(settings)]

    def train(self, slot: int, task: Task) -> None:
        """Hands a trial to a free worker."""
        self._workers[slot].task = task
        self._workers[slot].send(task)

    def reply(self, slot: int, reply: Reply) -> None:
        """Answers an evaluation, or asks a trial to pause."""
        self._workers[slot].send(reply)

    def messages(self, timeout: float) -> list[Message]:
        """What workers have said; a worker that died with a trial is a message too, and is replaced."""
        ends: list[Connection | int] = [w.connection for w in self._workers]
        ends += [w.process.sentinel for w in self._workers]
        ready = set(wait(ends, timeout))
        found: list[Message] = []
        for slot, worker in enumerate(self._workers):
            if worker.connection in ready or worker.process.sentinel in ready:
                found += worker.receive()
            if worker.dead:
                found += worker.obituary()
                self._workers[slot] = _Worker(slot, self.settings[slot], self.trainer)
        return found

    def close(self) -> None:
        """Ends all workers at once."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.connection.close()


class _Worker:
    """The driver's end of one worker process."""

    def __init__(self, slot: int, setting: Setting, trainer: str) -> None:
        self.slot = slot
        self.connection, theirs = _spawn.Pipe()
        self.process: SpawnProcess = _spawn.Process(
            target=work, args=(slot, setting, trainer, theirs, os.getpid()), name=f"hpsearch-worker-{slot}", daemon=True
        )
        with _undisturbed():
            self.process.start()
        theirs.close()
        self.task: Task | None = None
        self.dead = False

    def send(self, message: Task | Reply) -> None:
        with contextlib.suppress(OSError):  # a dead worker shows itself in receive()
            self.connection.send(message)

    def receive(self) -> list[Message]:
        found: list[Message] = []
        try:
            while self.connection.poll():
                found.append(self.connection.recv())
        except (EOFError, OSError):
            self.dead = True
        self.dead = self.dead or not self.process.is_alive()
        if found and not isinstance(found[-1], Evaluated):
            self.task = None
        return found

    def obituary(self) -> list[Message]:
        self.process.join()
        self.connection.close()
        if self.task is None:
            return []
        return [Failed(self.slot, self.task.trial, "died", _cause(self.process.exitcode))]


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Holds a Ctrl-C back until a process has started: half a start would end in the child's traceback.

    Blocked, so that the child inherits that (it is to ignore Ctrl-C anyway); noted, for another thread may get it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    handler = signal.signal(signal.SIGINT, lambda number, frame: caught.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    if caught and callable(handler):
        handler(caught[0], None)


def _cause(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        return f"the worker was killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    return f"the worker exited with code {code}"


# -------------------------------------------------------------------------------------------------------- in the worker


def work(slot: int, setting: Setting, trainer: str, connection: Connection, driver: int) -> None:
    """The life of a worker process: it trains trial after trial until the driver hangs up or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the driver says what to do
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _die_with(driver)
    threading.Thread(target=_warm_up, args=(trainer,), daemon=True).start()
    with contextlib.suppress(EOFError, OSError):
        while True:
            message = connection.recv()
            if isinstance(message, Task):
                _train_one(slot, message, setting, trainer, connection)


def _train_one(slot: int, task: Task, setting: Setting, trainer: str, connection: Connection) -> None:
    def listen() -> None:
        while connection.poll():
            session.answer(connection.recv().answer)

    session = Session(slot, task, setting, trainer=trainer, listen=listen)
    while True:
        message = session.step()
        connection.send(message)
        if not isinstance(message, Evaluated):
            return
        _await(session, message.evaluation["index"], connection)


def _await(session: Session, index: int, connection: Connection) -> None:
    """Waits for the answer to this evaluation; what was said unasked before it counts too."""
    while True:
        reply: Reply = connection.recv()
        session.answer(reply.answer)
        if reply.index == index or reply.answer is Answer.DROP:
            return


def _die_with(driver: int) -> None:
    """Asks Linux to kill this process when the driver dies; elsewhere the closed pipe ends it."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
        if os.getppid() != driver:
            os._exit(1)


def _warm_up(trainer: str) -> None:
    """Imports the trainer (torch: seconds) before the first trial comes, and what torch puts off to its first step."""
    with contextlib.suppress(Exception):
        __import__(trainer.partition(":")[0])
        if "torch" in sys.modules:
            __import__("torch._dynamo")
