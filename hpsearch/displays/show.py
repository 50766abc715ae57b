"""Chooses who shows the events of a search or a training."""

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
        """Shows one thing that happened."""


@contextlib.contextmanager
def displayed(progress: bool | Show, *, in_terminal: Callable[[], AbstractContextManager[Display]]) -> Iterator[Show]:
    """The function that takes events: the callable given, or for True the display of the notebook or terminal.

    For False, and where there is neither, warnings go to Python's logging. Calls of the function come one at a time,
    also from other threads; it gets the warnings that the package logs meanwhile, too.
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
    """The function, for several threads."""
    turn = threading.RLock()

    def shown(event: Event) -> None:
        with turn:
            show(event)

    return shown
