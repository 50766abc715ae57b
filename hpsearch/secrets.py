"""Keeps passwords and tokens out of everything that is printed, logged or stored."""

from __future__ import annotations

import os
import re

_IN_URL = re.compile(r"(\w[\w+.-]*://)[^/\s'\"]*@")
_NAMES = re.compile(r"(TOKEN|PASSWORD|PASSWD|SECRET|_KEY|CREDENTIALS?)$")
_SHORTEST = 6  # characters; a shorter value would take common words with it


def redact(text: str) -> str:
    """The text with *** for the user part of its URLs and for the values of environment variables that hold secrets."""
    text = _IN_URL.sub(r"\1***@", text)
    for value in sorted(_values(), key=len, reverse=True):
        text = text.replace(value, "***")
    return text


def _values() -> set[str]:
    return {value for name, value in os.environ.items() if _NAMES.search(name.upper()) and len(value) >= _SHORTEST}
