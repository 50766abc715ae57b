"""How many standard errors a 95% interval has on each side; scipy is imported when it is first needed.

Two standard errors are enough only where the standard error is known. Where it is estimated from a few values, the
quantiles of Student's t are larger: 12.7 of one degree of freedom, 4.3 of two, 2.4 of six. And who compares several
values, or takes the best of them, needs more than for a single pair: Bonferroni's correction divides the 5% among the
comparisons, Tukey's studentized range is exact for all pairs of several means.
"""

from __future__ import annotations

import math
from functools import lru_cache

LEVEL = 0.95
ASSUMED = 2.0  # standard errors where the standard error itself is only assumed


@lru_cache
def student(freedom: float = math.inf, comparisons: int = 1) -> float:
    """The two-sided quantile of Student's t (freedom inf: of the normal distribution) for each of some comparisons.

    All of their intervals hold together with a chance of at least 95% (Bonferroni).
    """
    from scipy.special import ndtri, stdtrit

    at = 1 - (1 - LEVEL) / (2 * max(1, comparisons))
    return float(ndtri(at) if math.isinf(freedom) else stdtrit(freedom, at))


@lru_cache
def of_pairs(means: int, freedom: float) -> float:
    """How many standard errors of a difference hold for all pairs of several means at once (Tukey and Kramer)."""
    if means <= 2:
        return student(freedom)
    from scipy.stats import studentized_range  # takes half a second to import

    return float(studentized_range.ppf(LEVEL, means, freedom)) / math.sqrt(2)
