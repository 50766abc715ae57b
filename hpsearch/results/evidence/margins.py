"""How far two models' values may differ because the validation examples are few: half of a 95% interval.

Both models are measured on the same examples, and what they share cancels in their difference. So where both have
replicates of the metric (tasks/scores/replicates.py), the variance of the difference d is that of the paired jackknife,

    (G - 1) / G * sum over the groups g of (d without g - their mean)^2,    with G - 1 degrees of freedom,

whatever the metric: macro-F1, BLEU, a loss. Of a metric of labels one more example is counted in which the models
differ (1 / n^2; of Matthews correlation 4 / n^2), as Agresti and Min (2005) advise for few differing pairs. On why to
pair: Miller, *Adding error bars to evals*, arXiv 2411.00640; Koehn (2004) for BLEU.

Else (older journals, trainers of users):

Shares of examples (accuracy, F1): two standard errors of the difference of two binomial shares, each with one success
and one failure added, as Agresti and Caffo (2000) advise for small samples. What the models share is not known, so for
accuracy it is too wide. For F1 it is a stand-in, and too narrow where a label is rare: of labels that 87 and 13% of
the examples have, it held 84 to 92% of the differences.

Losses: two standard errors over the tokens of one of them (val/loss_stderr). Of two unlike models, or of two seeds of
one, up to that much is left in their difference: 0.3 to 0.5 of it for text, 0.7 to 0.9 for ten labels.

The winner is the best of several trials, so it is compared as if each of them had been (Bonferroni).

Matthews correlation at chance: over permutations of the answers a correlation of n pairs has the mean 0 and the
standard deviation 1 / sqrt(n - 1); with more than two labels it is smaller. The best of several models is luckier.

Values in, values out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import pvariance
from typing import Any

from hpsearch.journal.trial_history import number
from hpsearch.quantiles import student
from hpsearch.tasks.scores.ranges import SHARES

STANDARD_ERRORS = 2.0
ONE_EXAMPLE = {**dict.fromkeys((*SHARES, "exact_match"), 1.0), "mcc": 2.0}  # times 1 / n: what one example changes


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


@dataclass(frozen=True)
class Value:
    """A model's value of a metric, and what tells how far it depends on the examples."""

    value: float
    replicates: Sequence[float] = ()
    stderr: float = 0.0  # of a loss, over its tokens; 0: unknown

    @classmethod
    def of(cls, metric: str, measured: Mapping[str, float], replicates: Mapping[str, Sequence[float]]) -> Value:
        """The value among the metrics of an evaluation or a baseline."""
        stderr = measured.get(f"{metric}_stderr", 0.0)
        each = [number(value) for value in replicates.get(metric) or ()]
        sound = all(map(math.isfinite, each))
        return cls(measured[metric], each if sound else (), stderr if math.isfinite(stderr) else 0.0)


def margin(metric: str, one: Value, other: Value, *, examples: int | None, comparisons: int = 1) -> float | None:
    """How far two values of a metric may differ by chance, at a level of 95%; None: unknown.

    examples: on which both were measured; comparisons: that are made, all to hold at once.
    """
    kind = metric.rpartition("/")[2]
    if len(one.replicates) == len(other.replicates) > 1:
        least = ONE_EXAMPLE.get(kind, 0.0) / examples if examples else 0.0
        error = math.hypot(paired_error(one.replicates, other.replicates), least)
        return student(len(one.replicates) - 1, comparisons) * error
    errors = _errors(comparisons)
    if kind in SHARES and examples:
        return errors * math.sqrt(_variance(one.value, examples) + _variance(other.value, examples))
    if kind == "loss" and max(one.stderr, other.stderr) > 0:
        return errors * max(one.stderr, other.stderr)
    return None


def paired_error(ones: Sequence[float], others: Sequence[float]) -> float:
    """The standard error of the difference of two values, by their replicates."""
    differences = [one - other for one, other in zip(ones, others, strict=True)]
    n = len(differences)
    return math.sqrt((n - 1) * pvariance(differences))


def _variance(share: float, examples: int) -> float:
    added = (min(max(share, 0.0), 1.0) * examples + 1) / (examples + 2)
    return added * (1 - added) / (examples + 2)


def chance(metric: str, limit: float, examples: int | None, *, models: int = 1) -> float:
    """Up to which value of a metric the best of some models is no better than chance.

    limit: of another metric than Matthews correlation, or if the examples are unknown.
    """
    if examples is None or metric.rpartition("/")[2] != "mcc":
        return limit
    return _errors(models) / math.sqrt(max(examples - 1, 1))


def _errors(comparisons: int) -> float:
    return STANDARD_ERRORS if comparisons <= 1 else student(comparisons=comparisons)
