"""A worker process: trains trial after trial until the driver closes the connection or dies."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from multiprocessing import util
from multiprocessing.connection import Connection
from typing import Any

from hpsearch import failpoints
from hpsearch.contract import Command, WorkerSettings
from hpsearch.launchers import memory, orphans
from hpsearch.launchers.devices import isolate_gpu
from hpsearch.launchers.messages import Ended, Evaluated, Failed, Heartbeat, Noted, Reply, Task
from hpsearch.launchers.session import Session
from hpsearch.logs import warnings_to
from hpsearch.output import unfailing
from hpsearch.redaction import guard
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
    """One worker process: at most one trial in training."""

    def __init__(self, slot: int, settings: WorkerSettings, trainer: str, connection: Connection) -> None:
        self.slot, self.settings, self.trainer, self.connection = slot, settings, trainer, connection
        self._session: Session | None = None
        self._leak = memory.LeakDetector()
        self._terminated = False
        self._beat = time.monotonic()

    def run(self) -> None:
        """Trains each task it receives; raises EOFError or OSError when the driver is gone."""
        while not self._terminated:
            message = self.connection.recv()
            if isinstance(message, Task):
                note = partial(self._note, message.trial)
                with warnings_to(note, this_thread=True):  # only this thread may use the connection
                    self._train(message)

    def terminate(self, number: int, frame: Any) -> None:
        """On SIGTERM: pauses the trial, which resumes in another worker, and exits."""
        self._terminated = True
        if self._session is None:
            raise SystemExit(128 + number)
        self._session.answer(Command.PAUSE)

    def _train(self, task: Task) -> None:
        self._session = session = Session(self.slot, task, self.settings, trainer=self.trainer, listen=self._listen)
        while True:
            message = session.step()
            if isinstance(message, Ended):
                used, leaks = self._leak.after_trial()
                message = replace(message, worker_memory=used, leaks_memory=leaks, terminated=self._terminated)
            self.connection.send(message)
            if not isinstance(message, Evaluated):
                self._session = None
                if isinstance(message, Failed):
                    memory.give_back()
                return
            self._await(session, message.evaluation.index)

    def _note(self, trial: int, line: str) -> None:
        """Sends a warning to the driver, which prints it."""
        self.connection.send(Noted(self.slot, trial, line))

    def _await(self, session: Session, index: int) -> None:
        """Waits for the reply to this evaluation; also obeys commands sent before it."""
        while True:
            reply: Reply = self.connection.recv()
            session.answer(reply.command)
            if reply.index == index or reply.command is Command.STOP:
                return

    def _listen(self) -> None:
        """Receives the driver's commands and sends heartbeats; called between steps."""
        while self.connection.poll():
            reply: Reply = self.connection.recv()
            if self._session is not None:
                self._session.answer(reply.command)
        if self._session is not None and time.monotonic() - self._beat > HEARTBEAT_SECONDS:
            self._beat = time.monotonic()
            self.connection.send(Heartbeat(self._session.task.trial, memory.peak()))


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
