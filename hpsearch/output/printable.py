"""Escapes control characters in text from outside (files, names, errors), so that it is safe to print."""

from __future__ import annotations


def printable(text: str, *, keep: str = "\n") -> str:
    """Returns the text with escapes (\\x1b) for all characters that are not printable, except those in `keep`."""
    if text.isprintable():
        return text
    return "".join(c if c in keep or c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
