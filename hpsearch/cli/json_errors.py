"""With --json a failure is an object on standard output too: its message, its kind and the exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence

COMMANDS = ("run", "extend", "confirm", "audit", "train", "watch")  # that print an object a line with --json
_state = {"wanted": False}


def expect(arguments: Sequence[str]) -> None:
    """Notes whether the command line asks for objects; also one that cannot be parsed."""
    command = next((one for one in arguments if not one.startswith("-")), "")
    _state["wanted"] = command in COMMANDS and "--json" in arguments


def tell(error: BaseException, message: str, code: int) -> None:
    """Writes the error if the command line asks for objects."""
    if _state["wanted"]:
        from hpsearch.displays.json_lines import JsonLines

        JsonLines(sys.stdout).write("error", message=message, kind=type(error).__name__, exit_code=code)
