"""A worker process: trains trial after trial, or group after group, until the driver closes the connection or dies."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing import util
from multiprocessing.connection import Connection
from typing import Any

from hpsearch.contract import Command, WorkerSettings
from hpsearch.launchers import memory, orphans
from hpsearch.launchers.devices import isolate_gpu
from hpsearch.launchers.messages import Ended, Evaluated, Heartbeat, Message, Noted, Reply, Task
from hpsearch.launchers.session import Session, stepped
from hpsearch.output.logs import warnings_to
from hpsearch.output.redaction import guard
from hpsearch.output.streams import unfailing
from hpsearch.system import failpoints
from hpsearch.trainers import load

HEARTBEAT_SECONDS = 1.0  # between two heartbeats


def work(slot: int, settings: WorkerSettings, trainer: str, connection: Connection, driver: int) -> None:
    """Trains the tasks that arrive through the connection; the main function of a worker process."""
    orphans.start_reaper(close=connection.fileno())
    util.Finalize(None, _kill_children, exitpriority=0)  # before multiprocessing waits for them
    worker = Worker(slot, isolate_gpu(settings), trainer, connection)
    # A terminal sends SIGINT and SIGHUP to the driver too, and the driver commands its workers. SIGTERM may be for this
    # process alone.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, worker.terminate)
    orphans.reset_sigterm_in_forks()
    _die_with(driver)
    guard()
    failpoints.set_driver(driver)
    threading.Thread(target=_warm_up, args=(trainer, settings), daemon=True).start()
    with unfailing(), contextlib.suppress(EOFError, OSError):
        worker.run()


class Worker:
    """One worker process: the trials of at most one session in training."""

    def __init__(self, slot: int, settings: WorkerSettings, trainer: str, connection: Connection) -> None:
        self.slot, self.settings, self.trainer, self.connection = slot, settings, trainer, connection
        self._session: Session | None = None
        self._leak = memory.LeakDetector()
        self._terminated = False
        self._beat = time.monotonic()

    def run(self) -> None:
        """Trains the tasks it receives; raises EOFError or OSError when the driver is gone."""
        while not self._terminated:
            received: Sequence[Task] | Reply = self.connection.recv()
            if not isinstance(received, Reply):
                with warnings_to(self._note, this_thread=True):  # only this thread may use the connection
                    self._train(received)

    def terminate(self, number: int, frame: Any) -> None:
        """On SIGTERM: pauses the trials, which resume in another worker, and exits."""
        self._terminated = True
        if self._session is None:
            raise SystemExit(128 + number)
        self._session.pause()

    def _train(self, tasks: Sequence[Task]) -> None:
        self._session = session = Session(self.slot, tasks, self.settings, trainer=self.trainer, listen=self._listen)
        while session.trials:
            *others, last = stepped(session)
            for message in others:
                self.connection.send(message)
            self.connection.send(last if session.trials else self._concluded(last))
            if isinstance(last, Evaluated):
                self._await(session, last)
        self._session = None

    def _concluded(self, last: Message) -> Message:
        """Frees memory; returns the last message of a session, with what the driver needs to know of this process."""
        if not isinstance(last, Ended):
            memory.give_back()
            return last
        used, leaks = self._leak.after_trial()
        return replace(last, worker_memory=used, leaks_memory=leaks, terminated=self._terminated)

    def _note(self, line: str) -> None:
        """Sends a warning to the driver, which prints it."""
        if self._session is not None:
            self.connection.send(Noted(self.slot, self._session.first, line))

    def _await(self, session: Session, evaluated: Evaluated) -> None:
        """Waits for the reply to this evaluation; also obeys all commands sent before it."""
        while True:
            reply: Reply = self.connection.recv()
            session.answer(reply.trial, reply.command)
            is_final = reply.index == evaluated.evaluation.index or reply.command is Command.STOP
            if reply.trial == evaluated.trial and is_final:
                return

    def _listen(self) -> None:
        """Receives the driver's commands and sends heartbeats; called between steps."""
        while self.connection.poll():
            reply: Reply = self.connection.recv()
            if self._session is not None:
                self._session.answer(reply.trial, reply.command)
        if self._session is not None and time.monotonic() - self._beat > HEARTBEAT_SECONDS:
            self._beat = time.monotonic()
            self.connection.send(Heartbeat(memory.peak()))


def _die_with(driver: int) -> None:
    """Makes Linux kill this process when the driver dies; on other systems the closed pipe ends it."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
        if os.getppid() != driver:
            os._exit(1)


def _kill_children() -> None:
    """Kills the trainer's multiprocessing children, so that a worker does not wait for them when it exits."""
    for child in multiprocessing.active_children():
        child.kill()


def _warm_up(trainer: str, settings: WorkerSettings) -> None:
    """Imports the trainer (torch takes seconds) before the first trial arrives."""
    with contextlib.suppress(Exception):
        load(trainer, settings.base).warm_up()
