"""What a compressor needs for a text once it has seen another one.

C(seen + text) - C(seen). bz2 sorts blocks of 900 kB, so that it sees that much of the train text, and predicts well by
long contexts; lzma sees megabytes. zlib's window of 32 kB sees next to nothing. The better of the two is the baseline.
"""

from __future__ import annotations

import bz2
import lzma
from collections.abc import Iterator, Sequence

import numpy as np

from hpsearch.data.token_arrays import TextTokens
from hpsearch.data.tokenizer import AnyTokenizer

SEEN, TEXT = 8_000_000, 400_000  # bytes of the train and of the valid text, at most
BLOCK, PIECE = 900_000, 100_000  # bytes: bz2's block, and the part of it that holds the compressed text
TOKENS = 20_000  # decoded at once
LZMA = {"id": lzma.FILTER_LZMA1, "preset": 6, "dict_size": 1 << 24, "lc": 4, "lp": 0, "pb": 0}  # lc, pb: for text


def bits_per_byte(seen: bytes, text: bytes) -> float:
    """The bits for each byte of the text after having seen the other one, by the better of bz2 and lzma."""
    if not text:
        raise ValueError("the valid text is empty")
    return 8 * min(_by_bz2(seen, text), _by_lzma(seen, text)) / len(text)


def _by_lzma(seen: bytes, text: bytes) -> int:
    def size(data: bytes) -> int:
        return len(lzma.compress(data, format=lzma.FORMAT_RAW, filters=[LZMA]))

    return size(seen + text) - size(seen)


def _by_bz2(seen: bytes, text: bytes) -> int:
    """Compresses each piece of the text in one block with the end of what was seen."""
    end = seen[-(BLOCK - PIECE - 1000) :]
    alone = len(bz2.compress(end))
    pieces = (text[start : start + PIECE] for start in range(0, len(text), PIECE))
    return sum(len(bz2.compress(end + piece)) - alone for piece in pieces)


def text_of(split: TextTokens, tokenizer: AnyTokenizer, most: int) -> bytes:
    """The text of a split, or of evenly spaced parts of it if it has more than about `most` bytes."""
    share = min(1.0, most / max(1, split.n_bytes))
    return "".join(tokenizer.decode(tokens) for tokens in _parts(split, share)).encode()


def _parts(split: TextTokens, share: float) -> Iterator[Sequence[int]]:
    """Yields the tokens of the split in parts, or a share of the parts."""
    starts = range(0, len(split.tokens), TOKENS)
    wanted = max(1, round(len(starts) * share))
    for i in range(wanted):
        start = starts[i * len(starts) // wanted]
        length = TOKENS if wanted > 1 or share == 1.0 else max(1, int(len(split.tokens) * share))
        yield np.asarray(split.tokens[start : start + length]).tolist()
