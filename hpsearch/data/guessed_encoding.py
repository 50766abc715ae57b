"""The encoding of a text file that is not UTF-8, guessed from its beginning."""

from __future__ import annotations

import codecs
from pathlib import Path

from charset_normalizer import from_bytes

from hpsearch.data.compressed import opened, parts

WESTERN = "cp1252"  # Windows' usual encoding in the Americas and Western Europe
HEAD = 64 << 10  # bytes that are looked at
MOST_ACCENTS = 0.3  # share of letters beyond ASCII, up to which a text can be of a language with Latin letters
MOST_DAMAGE = 0.05  # share of bytes beyond ASCII that are no UTF-8, up to which a file is UTF-8 with damage


def guessed(paths: list[Path]) -> str | None:
    """Python's name of the likely encoding of the first file that is not UTF-8; None: UTF-8, damaged or not.

    Text with few letters beyond ASCII is taken as cp1252: short Western texts do not tell its neighbours apart.
    """
    head = next((head for path in paths if not _is_utf8(head := _head(path))), None)
    if head is None or _is_damaged(head):
        return None
    high, letters = sum(byte >= 0x80 for byte in head), sum(byte >= 0x80 or chr(byte).isalpha() for byte in head)
    if high <= MOST_ACCENTS * letters:
        return WESTERN
    best = from_bytes(head).best()
    return WESTERN if best is None else codecs.lookup(best.encoding).name


def is_ascii(path: Path) -> bool:
    """Whether the beginning of a file is ASCII, which all encodings of text read alike, but for a few."""
    return _head(path).isascii()


def _head(path: Path) -> bytes:
    """The first whole lines."""
    with opened(parts(path)[0]) as stream:
        head = stream.read(HEAD)
    return head if len(head) < HEAD else head[: head.rfind(b"\n") + 1]


def _is_utf8(head: bytes) -> bool:
    try:
        head.decode("utf-8-sig")
    except UnicodeDecodeError:
        return False
    return True


def _is_damaged(head: bytes) -> bool:
    """Whether most of what is beyond ASCII is UTF-8."""
    high = sum(byte >= 0x80 for byte in head)
    return head.decode("utf-8", errors="replace").count("\N{REPLACEMENT CHARACTER}") <= MOST_DAMAGE * high
