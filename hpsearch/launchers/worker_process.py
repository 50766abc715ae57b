"""The life of a worker process: it trains trial after trial until the driver hangs up or dies."""

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
from hpsearch.launchers.messages import Alive, Ended, Evaluated, Failed, Noted, Reply, Task
from hpsearch.launchers.session import Session
from hpsearch.logs import warnings_to
from hpsearch.output import unfailing
from hpsearch.redaction import guard
from hpsearch.trainers import load

BEAT = 1.0  # seconds between signs of life


def work(slot: int, settings: WorkerSettings, trainer: str, connection: Connection, driver: int) -> None:
    """Trains what comes through the connection, in a process of its own."""
    orphans.kill_after_me(close=connection.fileno())
    util.Finalize(None, _kill_children, exitpriority=0)  # before multiprocessing waits for them
    worker = Worker(slot, isolate_gpu(settings), trainer, connection)
    # Who sends Ctrl-C or the end of a terminal to every process tells the driver, too: it says what to do. SIGTERM may
    # be for this process alone.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, worker.terminate)
    orphans.reset_sigterm_in_forks()
    _die_with(driver)
    guard()
    failpoints.take_along(driver)
    threading.Thread(target=_warm_up, args=(trainer, settings), daemon=True).start()
    with unfailing(), contextlib.suppress(EOFError, OSError):
        worker.run()


class Worker:
    """One worker process: at most one trial in training."""

    def __init__(self, slot: int, settings: WorkerSettings, trainer: str, connection: Connection) -> None:
        self.slot, self.settings, self.trainer, self.connection = slot, settings, trainer, connection
        self._session: Session | None = None
        self._leak = memory.Leak()
        self._terminated = False
        self._beat = time.monotonic()

    def run(self) -> None:
        """Trains what it is handed; raises EOFError or OSError when the driver has gone."""
        while not self._terminated:
            message = self.connection.recv()
            if isinstance(message, Task):
                with warnings_to(partial(self._note, message.trial), this_thread=True):  # the connection is this one's
                    self._train(message)

    def terminate(self, number: int, frame: Any) -> None:
        """On SIGTERM: saves what is in training, which goes on elsewhere, and ends."""
        self._terminated = True
        if self._session is None:
            raise SystemExit(128 + number)
        self._session.answer(Command.PAUSE)

    def _train(self, task: Task) -> None:
        self._session = session = Session(self.slot, task, self.settings, trainer=self.trainer, listen=self._listen)
        while True:
            message = session.step()
            if isinstance(message, Ended):
                kept, leaks = self._leak.after_trial()
                message = replace(message, memory=kept, leaks=leaks, leaving=self._terminated)
            self.connection.send(message)
            if not isinstance(message, Evaluated):
                self._session = None
                if isinstance(message, Failed):
                    memory.give_back()
                return
            self._await(session, message.evaluation.index)

    def _note(self, trial: int, line: str) -> None:
        """Sends a line to the driver, which has the terminal."""
        self.connection.send(Noted(self.slot, trial, line))

    def _await(self, session: Session, index: int) -> None:
        """Waits for the answer to this evaluation; what was said unasked before it counts too."""
        while True:
            reply: Reply = self.connection.recv()
            session.answer(reply.command)
            if reply.index == index or reply.command is Command.STOP:
                return

    def _listen(self) -> None:
        """Between steps: what the driver says unasked, and a sign of life."""
        while self.connection.poll():
            reply: Reply = self.connection.recv()
            if self._session is not None:
                self._session.answer(reply.command)
        if self._session is not None and time.monotonic() - self._beat > BEAT:
            self._beat = time.monotonic()
            self.connection.send(Alive(self._session.task.trial, memory.peak()))


def _die_with(driver: int) -> None:
    """Asks Linux to kill this process when the driver dies; elsewhere the closed pipe ends it."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
        if os.getppid() != driver:
            os._exit(1)


def _kill_children() -> None:
    """Kills what the trainer has started with multiprocessing: at its end a worker waits for nobody."""
    for child in multiprocessing.active_children():
        child.kill()


def _warm_up(trainer: str, settings: WorkerSettings) -> None:
    """Imports the trainer (torch: seconds) before the first trial comes."""
    with contextlib.suppress(Exception):
        load(trainer, settings.base).warm_up()
