"""What an error says, in one line without secrets."""

from __future__ import annotations

from hpsearch.redaction import redact


def lines(error: BaseException) -> list[str]:
    """The lines of its message that are not blank; the name of its class if there are none."""
    found = [line.strip() for line in redact(str(error)).splitlines()]
    return [line for line in found if line] or [type(error).__name__]


def first_line(error: BaseException) -> str:
    """The first line of its message."""
    return lines(error)[0]


def with_class(error: BaseException) -> str:
    """The name of its class, then the first line of its message."""
    name, line = type(error).__name__, first_line(error)
    return name if line == name else f"{name}: {line}"
