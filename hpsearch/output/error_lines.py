"""An error's message as lines without secrets."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

from hpsearch.output.printable import printable
from hpsearch.output.redaction import redact

_PACKAGE = Path(__file__).parents[1]
_PYTHON = Path(sysconfig.get_path("stdlib"))  # site-packages lie below


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


def with_line(error: BaseException, base: Path | None = None) -> str:
    """Returns `with_class` and the file and line of the user's code that raised the error: `KeyError: 'x', mine.py:9`.

    The user's code lies below `base`, or else outside of hpsearch, Python and the installed packages.
    """
    files = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    users = [(file, line) for file, line in files if _is_users(file)]
    own = [(file, line) for file, line in users if base is not None and file.is_relative_to(base.resolve())]
    place = "".join(f", {file.name}:{line}" for file, line in (own or users)[-1:])
    return printable(with_class(error), keep="") + place


def _is_users(file: Path) -> bool:
    """Whether a file of a traceback is the user's; Python names its frozen modules `<frozen importlib._bootstrap>`."""
    is_ours = file.is_relative_to(_PACKAGE) or file.is_relative_to(_PYTHON) or "site-packages" in file.parts
    return not is_ours and not file.name.startswith("<frozen ")
