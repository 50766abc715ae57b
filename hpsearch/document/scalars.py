"""Plain values as YAML in flow style, on one line, for files that people read and edit.

ruamel's own dump folds long lines and writes a lone scalar with a document end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

PLAIN = re.compile(r"[A-Za-z_./][\w./+-]*( [\w./+-]+)*", re.ASCII)
# What YAML 1.1 or 1.2 reads as something else than text; quoted, so that other programs read the file alike.
RESERVED = {"true", "false", "yes", "no", "on", "off", "y", "n", "null", "none", "~", ".inf", ".nan", "."}


def written(value: Any) -> str:
    """The value as `document.parse` reads it back: `{low: 0.001, high: 0.01, log: true}`, `"no"`, `[a, b]`."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{written(key)}: {written(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(written, value)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return str(value) if isinstance(value, int) else _text(str(value))


def _text(text: str) -> str:
    if PLAIN.fullmatch(text) and text.lower() not in RESERVED and not re.fullmatch(r"[.\d][\d._eE+-]*", text):
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(one if one.isprintable() else _escaped(one) for one in quoted)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
