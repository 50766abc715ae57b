"""Connects events and Python's logging: Notices become log lines, the package's logged warnings become Notices."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager

from hpsearch.events import Event, Notice, Show
from hpsearch.output.logs import warnings_to
from hpsearch.output.redaction import redact

_log = logging.getLogger(__name__)
WARNING = "warning: "


def log(event: Event) -> None:
    """Logs a Notice, as a warning if it is one; ignores all other events."""
    if isinstance(event, Notice):
        is_warning = event.line.startswith(WARNING)
        _log.log(logging.WARNING if is_warning else logging.INFO, "%s", redact(event.line.removeprefix(WARNING)))


def warnings_shown(show: Show) -> AbstractContextManager[None]:
    """Passes the package's logged warnings and errors to `show` as Notices, during the block."""
    return warnings_to(lambda line: show(Notice(f"{WARNING}{line}")))
