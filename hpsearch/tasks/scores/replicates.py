"""Replicates of a metric: its values on a split less one group of the examples each, by the delete-a-group jackknife.

They tell how far a metric would differ on other examples of the kind, whatever its formula: loss, F1, BLEU. And since
all models have the same groups, those of two models tell how far their difference would (results/evidence/margins.py).
A group is a twentieth of the examples, dealt at random but always alike, or of running text a stretch of it, so that
what stands together stays together.

Kott, *The delete-a-group jackknife*, Journal of Official Statistics 17 (2001); Efron and Tibshirani, *An introduction
to the bootstrap* (1993), chapter 11.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # numpy takes its time to import, and a config is read without it
    import numpy as np
    from numpy.typing import NDArray

GROUPS = 20
DIGITS = 8  # of a replicate
Replicates = dict[str, list[float]]  # metric -> its value without each group


def dealt(n: int) -> NDArray[np.int64]:
    """The group of each of n examples: as many to each, at random, the same ones each time."""
    import numpy as np

    return np.random.default_rng(0).permutation(n) % min(GROUPS, max(n, 1))


def stretch(first: int, count: int, n: int) -> NDArray[np.int64]:
    """The group of `count` tokens from `first` on, of a text of n tokens: stretches of equal length."""
    import numpy as np

    return np.arange(first, first + count) * min(GROUPS, max(n, 1)) // max(n, 1)


def without(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sums over all groups but one (G, ...) of the sums of each group (G, ...)."""
    left: NDArray[np.float64] = counts.sum(axis=0, keepdims=True) - counts
    return left


def scored(score: Callable[[Sequence[int]], float], n: int) -> list[float]:
    """The replicates of any score of examples; `score`: of those with these numbers."""
    groups = dealt(n)
    return [score([int(i) for i in (groups != group).nonzero()[0]]) for group in range(int(groups.max()) + 1)]


def known(found: Mapping[str, Sequence[float]]) -> Replicates:
    """The replicates that are finite, rounded; none of a split of a single group."""
    return {
        name: [float(f"{value:.{DIGITS}g}") for value in values]
        for name, values in found.items()
        if len(values) > 1 and all(map(math.isfinite, values))
    }
