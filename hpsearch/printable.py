"""Text from outside (files, names, errors) as a terminal may show it: nothing in it moves the cursor or hides."""

from __future__ import annotations


def printable(text: str, *, keep: str = "\n") -> str:
    """The text with escapes (\\x1b) for control characters and whatever else is not seen, but for those to keep."""
    if text.isprintable():
        return text
    return "".join(c if c in keep or c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
