"""Chooses the display for the events of a search or a training."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from hpsearch.displays.logs import log, warnings_shown
from hpsearch.displays.notebook import Notebook, in_notebook
from hpsearch.events import Event, Show


class Display(Protocol):
    """Shows events."""

    def show(self, event: Event) -> None:
        """Shows one event."""


@contextlib.contextmanager
def displayed(progress: bool | Show, *, in_terminal: Callable[[], AbstractContextManager[Display]]) -> Iterator[Show]:
    """Yields the function that receives the events: the callable itself, or for True a notebook or terminal display.

    For False, and without a notebook or terminal, warnings go to Python's logging. The function may be called from
    several threads; the display receives one event at a time, and the package's logged warnings as Notices.
    """
    with contextlib.ExitStack() as stack:
        if callable(progress):
            chosen = progress
        elif progress and in_notebook():
            chosen = Notebook().show
        elif progress and sys.stdout is not None and sys.stdout.isatty():
            chosen = stack.enter_context(in_terminal()).show
        else:
            yield log
            return
        show = one_at_a_time(chosen)
        stack.enter_context(warnings_shown(show))
        yield show


def one_at_a_time(show: Show) -> Show:
    """Makes the function safe to call from several threads.

    An exception in the calling thread propagates and ends the search. In another thread, such as the one that ships to
    MLflow, it must not end that thread: the first one goes to `threading.excepthook`, which prints it.
    """
    turn, owner, reported = threading.RLock(), threading.get_ident(), threading.Event()

    def shown(event: Event) -> None:
        with turn:
            try:
                show(event)
            except BaseException as error:
                if threading.get_ident() == owner:
                    raise
                if not reported.is_set():
                    reported.set()
                    _report(error)

    return shown


def _report(error: BaseException) -> None:
    thread = threading.current_thread()
    threading.excepthook(threading.ExceptHookArgs((type(error), error, error.__traceback__, thread)))
