"""Events and Python's logging: lines for who has no display, and the package's warnings for who has one."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager

from hpsearch.events import Event, Notice, Show
from hpsearch.logs import warnings_to
from hpsearch.redaction import redact

_log = logging.getLogger(__name__)
WARNING = "warning: "


def log(event: Event) -> None:
    """Logs a Notice, as a warning where it is one; nothing else is worth a line."""
    if isinstance(event, Notice):
        is_warning = event.line.startswith(WARNING)
        _log.log(logging.WARNING if is_warning else logging.INFO, "%s", redact(event.line.removeprefix(WARNING)))


def warnings_shown(show: Show) -> AbstractContextManager[None]:
    """Meanwhile `show` gets, as a Notice, what the package logs as a warning or worse."""
    return warnings_to(lambda line: show(Notice(f"{WARNING}{line}")))
