"""Warnings of the package's log as lines for people: a worker sends them to the driver, a command prints them."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator

from hpsearch.redaction import redact


@contextlib.contextmanager
def warnings_to(say: Callable[[str], None], *, this_thread: bool = False) -> Iterator[None]:
    """Calls `say` with each warning or error that the package logs meanwhile, without secrets.

    `this_thread`: only with those that are logged in the calling thread.
    """
    thread = threading.get_ident()

    class Said(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if not this_thread or threading.get_ident() == thread:
                say(redact(record.getMessage()))

    handler, log = Said(logging.WARNING), logging.getLogger("hpsearch")
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
