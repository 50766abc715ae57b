"""Workers as processes of this machine, reused from trial to trial; dead and stalled ones are replaced.

multiprocessing's spawn method starts them, so that they inherit no state of the driver (threads, locks, CUDA).
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
from collections.abc import Iterator, Sequence
from multiprocessing import resource_tracker, util
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import ModuleType

from hpsearch.contract import WorkerSettings
from hpsearch.launchers import memory
from hpsearch.launchers.messages import Ended, Failed, Heartbeat, Message, Noted, Reply, Task
from hpsearch.launchers.session import TRAINER
from hpsearch.launchers.suspension import Suspension
from hpsearch.launchers.worker_process import work

LONGEST_INTERVAL = 1.0  # seconds that count at most between two checks: a suspended driver blames no worker
LEAVING = 10.0  # seconds to wait for a terminated worker before it is killed
ORPHANED = 6.0  # seconds to wait for the end of the processes that a worker has started
REPLACE_AFTER = ("out_of_memory", "device")  # kinds of failure that may leave a process in a bad state

_spawn = multiprocessing.get_context("spawn")
_starting = threading.RLock()  # held while `__main__` is hidden


class LocalLauncher:
    """One worker process for each of `settings`."""

    def __init__(
        self, settings: list[WorkerSettings], *, trainer: str = TRAINER, stall_timeout: float = math.inf
    ) -> None:
        """Starts the workers, without waiting for them to import torch.

        `stall_timeout`: seconds without a step after which a worker is killed and its trials fail.
        """
        self.settings, self.trainer, self.stall_timeout = settings, trainer, stall_timeout
        self._workers = [_Worker(slot, each, trainer) for slot, each in enumerate(settings)]
        self._looked, self._is_resting = time.monotonic(), False
        self._suspension = Suspension(lambda: [w.process.pid for w in self._workers if w.process.pid is not None])
        # At the end of this process, before multiprocessing waits for its children.
        self._at_exit = util.Finalize(None, self.close, exitpriority=0)

    def pid(self, slot: int) -> int:
        """The process of a worker; another one after its death."""
        return self._workers[slot].process.pid or 0

    def ready(self, slot: int) -> bool:
        """Always True: a trial can be sent before the worker has started."""
        return True

    def train(self, slot: int, tasks: Sequence[Task]) -> None:
        """Hands trials to a free worker, which is replaced first where it was terminated."""
        if self._workers[slot].leaving:
            self._replace(slot)
        self._workers[slot].trials, self._workers[slot].silent = [task.trial for task in tasks], 0.0
        self._workers[slot].send(tasks)

    def reply(self, slot: int, reply: Reply) -> None:
        """Answers an evaluation, or commands a trial to pause."""
        self._workers[slot].send(reply)

    def messages(self, timeout: float) -> list[Message]:
        """Returns the workers' messages; replaces each dead worker; returns a Failed message for each of its trials."""
        if self._is_resting:
            return []
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
        """Starts another worker once this one has ended; returns a Failed message for each of its trials."""
        found = self._workers[slot].obituary()
        self._workers[slot] = _Worker(slot, self.settings[slot], self.trainer)
        return found

    def rest(self) -> None:
        """Ends the workers, which have no trials: a process keeps its device's context and memory."""
        self._is_resting = True
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.bury()

    def wake(self) -> None:
        """Starts the workers again."""
        self._is_resting = False
        for slot in range(len(self._workers)):
            self._replace(slot)

    def close(self) -> None:
        """Kills all workers and the processes that they have started."""
        self._at_exit.cancel()
        self._suspension.close()
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.bury()

    def _kill_the_stalled(self) -> None:
        now = time.monotonic()
        looked, self._looked = min(now - self._looked, LONGEST_INTERVAL), now
        for worker in self._workers:
            worker.silent += looked
            if worker.trials and worker.silent > self.stall_timeout + looked:
                worker.cause = "stalled", f"no step for {self.stall_timeout:g} s"
                worker.process.kill()


class _Worker:
    """One worker process, as seen by the driver."""

    def __init__(self, slot: int, settings: WorkerSettings, trainer: str) -> None:
        self.slot = slot
        self.connection, theirs = _spawn.Pipe()
        self.process: SpawnProcess = _spawn.Process(
            target=work, args=(slot, settings, trainer, theirs, os.getpid()), name=f"hpsearch-worker-{slot}"
        )
        with _undisturbed(), _without_main():
            self.process.start()
        theirs.close()
        self.trials: list[int] = []  # in training
        self.dead = False
        self.silent = 0.0  # seconds since it was last heard of
        self.cause: tuple[str, str] | None = None  # why this launcher killed it: kind, reason
        self.leaving = False  # it got SIGTERM, and exits after its trials
        self._memory, self._oom_kills = 0, memory.oom_kills()

    def send(self, message: Sequence[Task] | Reply) -> None:
        with contextlib.suppress(OSError):  # receive() notices a dead worker
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

    def _take(self, message: Message | Heartbeat, found: list[Message]) -> None:
        self.silent = 0.0
        if isinstance(message, Heartbeat):
            self._memory = message.memory
            return
        if isinstance(message, Ended) and message.leaks_memory:
            kept = f"{message.worker_memory / 2**30:.2f} GiB"
            found.append(Noted(self.slot, message.trial, f"its worker process still had {kept} after it: replaced"))
            self.process.kill()
            self.dead = True
        found.append(message)
        if isinstance(message, Ended | Failed):
            self.trials.remove(message.trial)
        if isinstance(message, Failed) and message.kind in REPLACE_AFTER and not self.trials:
            self.process.kill()
            self.dead = True
        if isinstance(message, Ended):
            self.leaving = message.terminated

    def obituary(self) -> list[Message]:
        self.bury()
        if not self.trials:
            return []
        kind, reason = self.cause or self._cause()
        return [Failed(self.slot, trial, kind, reason) for trial in self.trials]

    def bury(self) -> None:
        """Waits for the end of the process and of those that it has started; kills it after LEAVING seconds."""
        self.process.join(LEAVING)
        self.process.kill()  # a worker that ignores SIGTERM
        self.process.join()
        wait([self.process.sentinel], ORPHANED)  # the reaper (orphans.py) holds the other end until all are gone
        self.connection.close()

    def _cause(self) -> tuple[str, str]:
        code = self.process.exitcode
        if code is None or code >= 0:
            return "died", f"the worker exited with code {code}"
        name, peak = signal.Signals(-code).name, f"{self._memory / 2**30:.2f} GiB"
        if name == "SIGKILL" and memory.oom_kills() > self._oom_kills:
            return "out_of_memory", f"out of memory: the system killed the worker, which had taken {peak}"
        return "died", f"the worker was killed by {name}" + (f" (it had taken {peak})" if name == "SIGKILL" else "")


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Hides the user's script from a process that starts now.

    Otherwise multiprocessing runs the script in the child, which would start a second search if the script lacks
    `if __name__ == "__main__"`. Workers do not need it. One thread at a time: each restores the module that it found.
    """
    with _starting:
        main, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Defers Ctrl-C until a process has started: an interrupted start prints a traceback of the child.

    SIGINT is blocked, which the child inherits (it ignores Ctrl-C anyway), and recorded, as another thread may get it.
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
