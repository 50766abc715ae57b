"""Workers as processes of this machine, started once and kept warm; a dead or stalled one is replaced.

Python's multiprocessing with the spawn method: no state of the driver (threads, locks, CUDA) is inherited.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing import resource_tracker, util
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import ModuleType

from hpsearch.contract import WorkerSettings
from hpsearch.launchers import memory
from hpsearch.launchers.messages import Alive, Ended, Failed, Message, Noted, Reply, Task
from hpsearch.launchers.process import work
from hpsearch.launchers.worker import TRAINER

LONGEST_LOOK = 1.0  # seconds that one look counts at most: a driver that was stopped itself blames no worker
LEAVING = 10.0  # seconds to wait for a terminated worker before it is killed
ORPHANED = 6.0  # seconds to wait for the end of what a worker has started
REPLACED_AFTER = ("out_of_memory", "device")  # failures after which a process may be left in a bad state

_spawn = multiprocessing.get_context("spawn")


class LocalLauncher:
    """One process for each setting (device and threads)."""

    def __init__(
        self, settings: list[WorkerSettings], *, trainer: str = TRAINER, stall_timeout: float = math.inf
    ) -> None:
        """Starts the workers; they import torch while the driver continues.

        `stall_timeout`: seconds without a step after which a worker is killed and its trial fails.
        """
        self.settings, self.trainer, self.stall_timeout = settings, trainer, stall_timeout
        self._workers = [_Worker(slot, setting, trainer) for slot, setting in enumerate(settings)]
        self._looked = time.monotonic()
        # At the end of this process, before multiprocessing waits for its children.
        self._at_exit = util.Finalize(None, self.close, exitpriority=0)

    def ready(self, slot: int) -> bool:
        """Always True: a trial that is placed before the worker has started waits for it."""
        return True

    def train(self, slot: int, task: Task) -> None:
        """Hands a trial to a free worker, which is replaced first where it was terminated."""
        if self._workers[slot].leaving:
            self._replace(slot)
        self._workers[slot].task, self._workers[slot].silent = task, 0.0
        self._workers[slot].send(task)

    def reply(self, slot: int, reply: Reply) -> None:
        """Answers an evaluation, or asks a trial to pause."""
        self._workers[slot].send(reply)

    def messages(self, timeout: float) -> list[Message]:
        """Returns the workers' messages. A worker that died is replaced; for its trial there is a Failed message."""
        ends: list[Connection | int] = [w.connection for w in self._workers]
        ends += [w.process.sentinel for w in self._workers]
        ready = set(wait(ends, timeout))
        found: list[Message] = []
        for slot, worker in enumerate(self._workers):
            if worker.connection in ready or worker.process.sentinel in ready or not worker.process.is_alive():
                found += worker.receive()
            if worker.dead:
                found += self._replace(slot)
        self._kill_the_stalled()
        return found

    def _replace(self, slot: int) -> list[Message]:
        """Starts another worker once this one has ended; returns the Failed message for its trial, if it had one."""
        found = self._workers[slot].obituary()
        self._workers[slot] = _Worker(slot, self.settings[slot], self.trainer)
        return found

    def close(self) -> None:
        """Kills all workers and the processes that they have started."""
        self._at_exit.cancel()
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.bury()

    def _kill_the_stalled(self) -> None:
        now = time.monotonic()
        looked, self._looked = min(now - self._looked, LONGEST_LOOK), now
        for worker in self._workers:
            worker.silent += looked
            if worker.task is not None and worker.silent > self.stall_timeout + looked:
                worker.cause = "stalled", f"no step for {self.stall_timeout:g} s"
                worker.process.kill()


class _Worker:
    """The driver's end of one worker process."""

    def __init__(self, slot: int, setting: WorkerSettings, trainer: str) -> None:
        self.slot = slot
        self.connection, theirs = _spawn.Pipe()
        self.process: SpawnProcess = _spawn.Process(
            target=work, args=(slot, setting, trainer, theirs, os.getpid()), name=f"hpsearch-worker-{slot}"
        )
        with _undisturbed(), _without_main():
            self.process.start()
        theirs.close()
        self.task: Task | None = None
        self.dead = False
        self.silent = 0.0  # seconds since it was last heard of
        self.cause: tuple[str, str] | None = None  # why it was killed: kind, reason
        self.leaving = False  # it was terminated, and ends after its trial
        self._memory, self._oom_kills = 0, memory.kills()

    def send(self, message: Task | Reply) -> None:
        with contextlib.suppress(OSError):  # a dead worker shows itself in receive()
            self.connection.send(message)

    def receive(self) -> list[Message]:
        found: list[Message] = []
        try:
            while self.connection.poll():
                self._take(self.connection.recv(), found)
        except (EOFError, OSError):
            self.dead = True
        self.dead = self.dead or not self.process.is_alive()
        return found

    def _take(self, message: Message | Alive, found: list[Message]) -> None:
        self.silent = 0.0
        if isinstance(message, Alive):
            self._memory = message.memory
            return
        if isinstance(message, Ended) and message.leaks:
            kept = f"{message.memory / 2**30:.2f} GiB"
            found.append(Noted(self.slot, message.trial, f"its worker process still had {kept} after it: replaced"))
            self.process.kill()
            self.dead = True
        found.append(message)
        if isinstance(message, Ended | Failed):
            self.task = None
        if isinstance(message, Failed) and message.kind in REPLACED_AFTER:
            self.process.kill()
            self.dead = True
        if isinstance(message, Ended):
            self.leaving = message.leaving

    def obituary(self) -> list[Message]:
        self.bury()
        if self.task is None:
            return []
        kind, reason = self.cause or self._cause()
        return [Failed(self.slot, self.task.trial, kind, reason)]

    def bury(self) -> None:
        """Waits until the process and all that it has started have ended."""
        self.process.join(LEAVING)
        self.process.kill()  # a terminated worker that does not end
        self.process.join()
        wait([self.process.sentinel], ORPHANED)  # orphans.py holds its other end until all are gone
        self.connection.close()

    def _cause(self) -> tuple[str, str]:
        code = self.process.exitcode
        if code is None or code >= 0:
            return "died", f"the worker exited with code {code}"
        name, peak = signal.Signals(-code).name, f"{self._memory / 2**30:.2f} GiB"
        if name == "SIGKILL" and memory.kills() > self._oom_kills:
            return "out_of_memory", f"out of memory: the system killed the worker, which had taken {peak}"
        return "died", f"the worker was killed by {name}" + (f" (it had taken {peak})" if name == "SIGKILL" else "")


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Hides the user's script from a process that starts now.

    multiprocessing would have the child run that script first; without `if __name__ == "__main__"` it would search
    again there. A worker needs nothing of it.
    """
    main, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Holds a Ctrl-C back until a process has started: half a start would end in the child's traceback.

    Blocked, so that the child inherits that (it is to ignore Ctrl-C anyway); noted, for another thread may get it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    resource_tracker.ensure_running()  # its own start would unblock the signal again
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
