"""Texts that look alike but differ in case, spaces, invisible characters or Unicode form (confusables)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

# Unicode's Default_Ignorable_Code_Point without tags, which distinguish flags: zero-width and direction marks,
# joiners, soft hyphens, variation selectors.
UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\U000e0100-\U000e01ef]"
)

WHOLE = re.compile(r"^([+-]?\d+)\.0+$")


def appearance(text: str) -> str:
    """The text as a reader sees it: casefolded, NFKC, single spaces, without invisible characters.

    Texts that look alike have equal results. A whole number written as a decimal (1.0) becomes the whole number.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", UNSEEN.sub("", unicodedata.normalize("NFKC", text)).casefold())
    return WHOLE.sub(r"\1", " ".join(text.casefold().split()))


def groups(texts: Iterable[str]) -> list[list[str]]:
    """Groups of two or more different texts that look alike."""
    found: dict[str, list[str]] = {}
    for text in sorted(set(texts)):
        found.setdefault(appearance(text), []).append(text)
    return [some for some in found.values() if len(some) > 1]


def escaped(text: str, longest: int = 60) -> str:
    """The text in quotes, with everything that is not ASCII escaped: 'caf\\u00e9'."""
    codes = (c if " " <= c <= "~" else f"\\u{ord(c):04x}" if ord(c) < 0x10000 else f"\\U{ord(c):08x}" for c in text)
    whole = "".join(codes)
    return f"'{whole if len(whole) <= longest else whole[:longest] + '...'}'"


def remedy(texts: list[str]) -> str:
    """How to make the texts equal, for a message: `normalise: nfc` where that is enough."""
    forms = {unicodedata.normalize("NFC", text) for text in texts}
    if len(forms) == 1:
        return "`normalise: nfc` makes them one"
    some = "`normalise: nfc` makes some of them one, " if len(forms) < len(texts) else ""
    return f"{some}write them alike in the data if they are one"
