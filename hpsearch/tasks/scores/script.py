"""Chooses sacrebleu's tokenizer by the script of the texts, as data sets do not name their language."""

from __future__ import annotations

import re
from collections.abc import Sequence

SAMPLE = 500  # texts that are examined
SMALL_SHARE = 0.05  # share of letters from which `zh` is chosen: it leaves other words whole
LARGE_SHARE = 0.25  # share of letters from which `char` is chosen: it splits other words, too
LONGEST_WORD = 25  # letters per word on average; beyond it spaces do not separate words (proteins, DNA, other scripts)

HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]")
KANA = re.compile(r"[\u3041-\u30ff\u31f0-\u31ff\uff66-\uff9f]")
HANGUL = re.compile(r"[\u1100-\u11ff\u3130-\u318f\uac00-\ud7af]")
SPACELESS = re.compile(  # Thai and Lao, Tibetan, Burmese, Khmer, Tai and Javanese scripts
    r"[\u0e01-\u0eff\u0f40-\u0fbc\u1000-\u109f\u1780-\u17ff\u1950-\u19ff\u1a20-\u1aad\ua980-\ua9fe\uaa60-\uaadf]"
)
LETTER = re.compile(r"[^\W\d_]")


def tokenizers(texts: Sequence[str]) -> tuple[str, ...]:
    """The names of the tokenizers that fit these texts, best first; the last one needs no extra package."""
    text = "\n".join(spread(texts))
    han, kana, hangul, spaceless = (len(kind.findall(text)) for kind in (HAN, KANA, HANGUL, SPACELESS))
    letters = max(1, len(LETTER.findall(SPACELESS.sub("", text))) + spaceless)
    if kana >= 0.1 * (han + kana) and han + kana >= LARGE_SHARE * letters:
        return "ja-mecab", "char"
    if spaceless >= LARGE_SHARE * letters or letters > LONGEST_WORD * len(HAN.sub(" x ", text).split()):
        return ("char",)
    if hangul >= LARGE_SHARE * letters:
        return "ko-mecab", "13a"  # Korean separates words by spaces
    return ("zh",) if han >= SMALL_SHARE * letters else ("13a",)


def spread(texts: Sequence[str], most: int = SAMPLE) -> list[str]:
    """At most `most` of the texts, evenly spaced; deterministic."""
    n = min(len(texts), most)
    return [texts[i * len(texts) // n] for i in range(n)]
