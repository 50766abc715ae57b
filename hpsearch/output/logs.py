"""Passes the package's logged warnings on: a worker sends them to the driver, a command prints them."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator

from hpsearch.output.redaction import redact


@contextlib.contextmanager
def warnings_to(say: Callable[[str], None], *, this_thread: bool = False) -> Iterator[None]:
    """Calls `say` with each warning or error that the package logs during the block, without secrets.

    `this_thread`: only those of the calling thread.
    """
    thread = threading.get_ident()

    class Forwarding(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if not this_thread or threading.get_ident() == thread:
                say(redact(record.getMessage()))

    handler, log = Forwarding(logging.WARNING), logging.getLogger("hpsearch")
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
