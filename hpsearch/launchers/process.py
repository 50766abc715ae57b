"""The life of a worker process: it trains trial after trial until the driver hangs up or dies."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import sys
import threading
import time
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

from hpsearch import failpoints
from hpsearch.contract import WorkerSettings
from hpsearch.launchers import memory
from hpsearch.launchers.devices import alone_with_its_gpu
from hpsearch.launchers.messages import Alive, Answer, Ended, Evaluated, Failed, Noted, Reply, Task
from hpsearch.launchers.worker import Session
from hpsearch.output import unfailing
from hpsearch.redaction import guard, redact
from hpsearch.trainers import load

BEAT = 1.0  # seconds between signs of life


def work(slot: int, setting: WorkerSettings, trainer: str, connection: Connection, driver: int) -> None:
    """Trains what comes through the connection, in a process of its own."""
    worker = Worker(slot, alone_with_its_gpu(setting), trainer, connection)
    # Ctrl-C and the end of a terminal go to the whole group: the driver says what to do. SIGTERM may be for this
    # process alone.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, worker.terminate)
    _die_with(driver)
    guard()
    failpoints.take_along(driver)
    threading.Thread(target=_warm_up, args=(trainer, setting), daemon=True).start()
    with unfailing(), contextlib.suppress(EOFError, OSError):
        worker.run()


class Worker:
    """One worker process: at most one trial in training."""

    def __init__(self, slot: int, setting: WorkerSettings, trainer: str, connection: Connection) -> None:
        self.slot, self.setting, self.trainer, self.connection = slot, setting, trainer, connection
        self._session: Session | None = None
        self._leak = memory.Leak()
        self._terminated = False
        self._beat = time.monotonic()

    def run(self) -> None:
        """Trains what it is handed; raises EOFError or OSError when the driver has gone."""
        while not self._terminated:
            message = self.connection.recv()
            if isinstance(message, Task):
                with self._told_to_people(message):
                    self._train(message)

    def terminate(self, number: int, frame: Any) -> None:
        """On SIGTERM: saves what is in training, which goes on elsewhere, and ends."""
        self._terminated = True
        if self._session is None:
            raise SystemExit(128 + number)
        self._session.answer(Answer.PAUSE)

    def _train(self, task: Task) -> None:
        self._session = session = Session(self.slot, task, self.setting, trainer=self.trainer, listen=self._listen)
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

    def _await(self, session: Session, index: int) -> None:
        """Waits for the answer to this evaluation; what was said unasked before it counts too."""
        while True:
            reply: Reply = self.connection.recv()
            session.answer(reply.answer)
            if reply.index == index or reply.answer is Answer.DROP:
                return

    def _listen(self) -> None:
        """Between steps: what the driver says unasked, and a sign of life."""
        while self.connection.poll():
            reply: Reply = self.connection.recv()
            if self._session is not None:
                self._session.answer(reply.answer)
        if self._session is not None and time.monotonic() - self._beat > BEAT:
            self._beat = time.monotonic()
            self.connection.send(Alive(self._session.task.trial, memory.peak()))

    @contextlib.contextmanager
    def _told_to_people(self, task: Task):  # type: ignore[no-untyped-def]
        """Sends what the package logs as a warning or worse to the driver, which has the terminal."""
        forward, log = _Forward(self.slot, task.trial, self.connection), logging.getLogger("hpsearch")
        log.addHandler(forward)
        try:
            yield
        finally:
            log.removeHandler(forward)


class _Forward(logging.Handler):
    """Log records as messages to the driver, of the training's own thread alone: the connection is that one's."""

    def __init__(self, slot: int, trial: int, connection: Connection) -> None:
        super().__init__(logging.WARNING)
        self._slot, self._trial, self._connection = slot, trial, connection

    def emit(self, record: logging.LogRecord) -> None:
        if threading.current_thread() is threading.main_thread():
            self._connection.send(Noted(self._slot, self._trial, redact(record.getMessage())))


def _die_with(driver: int) -> None:
    """Asks Linux to kill this process when the driver dies; elsewhere the closed pipe ends it."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
        if os.getppid() != driver:
            os._exit(1)


def _warm_up(trainer: str, setting: WorkerSettings) -> None:
    """Imports the trainer (torch: seconds) before the first trial comes."""
    with contextlib.suppress(Exception):
        load(trainer, setting.base).warm_up()
