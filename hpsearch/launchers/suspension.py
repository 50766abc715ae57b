"""Ctrl-Z: suspends the workers together with the driver, and resumes them with it.

Each worker leads its own session, so that a terminal's SIGTSTP reaches the driver alone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterable
from typing import Any


class Suspension:
    """Handles SIGTSTP until `close`, if this is the main thread and nobody else handles the signal."""

    def __init__(self, workers: Callable[[], Iterable[int]]) -> None:
        """`workers`: returns the process ids of the workers, each the leader of its process group."""
        self._workers, self._driver = workers, os.getpid()
        is_main = threading.current_thread() is threading.main_thread()
        self._installed = is_main and signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL
        if self._installed:
            signal.signal(signal.SIGTSTP, self._suspend)

    def close(self) -> None:
        """Restores the default: SIGTSTP stops this process alone."""
        if self._installed and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        self._installed = False

    def _suspend(self, number: int, frame: Any) -> None:
        """Stops the workers, then this process; returns after SIGCONT, when the workers run again.

        The workers get SIGSTOP: Linux ignores a SIGTSTP for process groups that no shell controls.
        """
        workers = self._workers() if os.getpid() == self._driver else ()  # a forked process has none
        suspended = [pid for pid in workers if _signal_group(pid, signal.SIGSTOP)]
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)  # this process stops here
        if self._installed:
            signal.signal(signal.SIGTSTP, self._suspend)
        for pid in suspended:
            _signal_group(pid, signal.SIGCONT)


def _signal_group(pid: int, number: signal.Signals) -> bool:
    """Sends a signal to the process group of a leader; returns False for a process that leads none, or has ended."""
    with contextlib.suppress(OSError):
        os.killpg(pid, number)
        return True
    return False
