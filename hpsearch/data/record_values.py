"""Values of records of any library: detects missing ones, checks texts, spells labels."""

from __future__ import annotations

import math
from typing import Any

MISSING = ("NAType", "NaTType")  # classes of pandas by name: pandas is not imported
EXACT = 2.0**53  # up to it every whole number is a float of its own
LONGEST = 1000  # bits of a number that may be a label


class Unfit(ValueError):
    """A value that cannot be used; the message continues a sentence that begins with its key."""


def plain(value: Any) -> Any:
    """The value as a Python object; None for a missing one (None, NaN, NaT, NA)."""
    kind = type(value)
    if kind is str or value is None:
        return value
    if kind.__name__ in MISSING:
        return None
    if kind not in (int, bool, float) and getattr(value, "ndim", None) == 0:  # a numpy scalar
        value = value.item()
    return None if isinstance(value, float) and math.isnan(value) else value


def text_of(value: Any) -> str:
    """The value, if it is text; raises Unfit otherwise."""
    if isinstance(value, str):
        return str.__str__(value)  # ignores __str__ of a subclass (numpy, enum)
    raise Unfit(f"{described(value)}, text is expected")


def label_of(value: Any) -> str:
    """The value as a label: true and false as in JSON, whole floats as whole numbers; raises Unfit for other types."""
    if isinstance(value, str):
        return str.__str__(value).strip()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value)) if value.is_integer() and abs(value) < EXACT else repr(value)
    if isinstance(value, int) and value.bit_length() <= LONGEST:
        return str(int(value))
    raise Unfit(f"{described(value)}, text (or a number) is expected")


def kind_of(value: Any) -> str:
    """The type for a message: "text", "a boolean" or "a number"."""
    return "text" if isinstance(value, str) else "a boolean" if isinstance(value, bool) else "a number"


def described(value: Any) -> str:
    """What is wrong with a value, for a message: "is missing", "is a number (7)", "is a list"."""
    if value is None:
        return "is missing"
    if isinstance(value, bytes | bytearray | memoryview):
        return "is bytes"
    if isinstance(value, int) and value.bit_length() > LONGEST:
        return f"is a number of {value.bit_length()} bits"
    if isinstance(value, int | float):
        return f"is {kind_of(value)} ({shown(value)})"
    name = type(value).__name__
    return f"is {'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def shown(value: Any) -> str:
    """A value as JSON spells it: true, 0.0, "0"."""
    return f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
