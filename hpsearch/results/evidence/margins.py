"""How far two models' values may differ because the validation examples are few.

Shares of examples (accuracy, F1): two standard errors of the difference of two binomial shares, each with one success
and one failure added, as Agresti and Caffo (2000) advise for small samples. F1 has no simple error of its own; its
value stands for the share. Both models are measured on the same examples, so the true error is smaller or equal: what
is more than the margin is a difference, what is less may be one.

Losses: two standard errors over the tokens of one of them (val/loss_stderr), of which PAIRED_SHARE is left in the
difference of two models on the same tokens.

Matthews correlation at chance: over permutations of the answers a correlation of n pairs has the mean 0 and the
standard deviation 1 / sqrt(n - 1); with more than two labels it is smaller.

Values in, values out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from hpsearch.tasks.scores.ranges import SHARES
from hpsearch.verdict import PAIRED_SHARE

STANDARD_ERRORS = 2.0


def examples_of(data: Mapping[str, Any], metric: str) -> int | None:
    """The examples of the split and the set that a metric is of (val/f1, test/reviews/f1); None: unknown.

    data: the counts of each set's splits by their names.
    """
    split, *rest = metric.split("/")
    sets = dict(data)
    named = rest[0] if len(rest) > 1 else next(iter(sets), "") if len(sets) == 1 else ""
    counts = (sets.get(named) or {}).get({"val": "valid"}.get(split, split)) or {}
    found = counts.get("examples")
    return found if isinstance(found, int) and found > 0 else None


def margin(metric: str, one: float, other: float, *, examples: int | None, stderr: float = 0.0) -> float | None:
    """Two standard errors of the difference of two values of a metric; None: unknown.

    examples: on which both were measured; stderr: of a loss, over its tokens.
    """
    kind = metric.rpartition("/")[2]
    if kind in SHARES and examples:
        return STANDARD_ERRORS * math.sqrt(_variance(one, examples) + _variance(other, examples))
    if kind == "loss" and stderr > 0:
        return STANDARD_ERRORS * PAIRED_SHARE * stderr
    return None


def _variance(share: float, examples: int) -> float:
    added = (min(max(share, 0.0), 1.0) * examples + 1) / (examples + 2)
    return added * (1 - added) / (examples + 2)


def chance(metric: str, limit: float, examples: int | None) -> float:
    """Up to which value of a metric answers are no better than chance.

    limit: of another metric than Matthews correlation, or if the examples are unknown.
    """
    if examples is None or metric.rpartition("/")[2] != "mcc":
        return limit
    return STANDARD_ERRORS / math.sqrt(max(examples - 1, 1))
