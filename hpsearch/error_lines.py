"""An error's message as lines without secrets."""

from __future__ import annotations

from hpsearch.redaction import redact


def lines(error: BaseException) -> list[str]:
    """Returns the message's lines that are not blank, or the name of the error's class if there are none."""
    found = [line.strip() for line in redact(message(error)).splitlines()]
    return [line for line in found if line] or [type(error).__name__]


def message(error: BaseException) -> str:
    """Returns the message; empty if the error's own `__str__` raises."""
    try:
        return str(error)
    except Exception:
        return ""


def first_line(error: BaseException) -> str:
    """Returns the first line of the message."""
    return lines(error)[0]


def with_class(error: BaseException) -> str:
    """Returns the name of the class and the first line of the message."""
    name, line = type(error).__name__, first_line(error)
    return name if line == name else f"{name}: {line}"
