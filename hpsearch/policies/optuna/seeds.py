"""Seeds from several numbers."""

from __future__ import annotations

import hashlib


def mix(*numbers: int) -> int:
    """A seed of 31 bits from several numbers, far apart for near ones."""
    text = ",".join(str(number) for number in numbers)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
