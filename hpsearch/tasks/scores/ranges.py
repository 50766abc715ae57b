"""The range of each metric, which an interval around a value is not to leave."""

from __future__ import annotations

import math

SHARES = ("accuracy", "f1", "f1_macro", "f1_micro", "f1_weighted", "precision", "recall")
_RANGES = {
    **dict.fromkeys((*SHARES, "exact_match"), (0.0, 1.0)),
    **dict.fromkeys(("bleu", "chrf"), (0.0, 100.0)),
    **dict.fromkeys(("bits_per_byte", "loss", "ter"), (0.0, math.inf)),
    "mcc": (-1.0, 1.0),
    "perplexity": (1.0, math.inf),
}


def within(name: str, low: float, high: float) -> tuple[float, float]:
    """The part of an interval that the values of a metric can take; all of it for a metric of another name.

    name: with or without those of the split and the set.
    """
    least, most = _RANGES.get(name.rpartition("/")[2], (-math.inf, math.inf))
    return max(low, least), min(high, most)
