"""Metrics over several data sets: the mean of each by the sets' weights, and those of each set by its name.

Losses are not averaged but added over all targets: see tasks/scores/losses.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from hpsearch.tasks.scores.replicates import Replicates

T = TypeVar("T")


def means(each: Mapping[str, Mapping[str, float]], weights: Mapping[str, float]) -> dict[str, float]:
    """The mean of each metric over the sets that have it, by their weights."""
    return {
        metric: _mean([found[metric] for found in each.values() if metric in found], _of(metric, each, weights))
        for metric in _metrics(each)
    }


def mean_replicates(each: Mapping[str, Replicates], weights: Mapping[str, float]) -> Replicates:
    """The replicates of those means; without the metrics of which sets have unequal numbers of groups."""
    means: Replicates = {}
    for metric in _metrics(each):
        found = [left[metric] for left in each.values() if metric in left]
        if len({len(values) for values in found}) == 1:
            shares = _of(metric, each, weights)
            means[metric] = [_mean(values, shares) for values in zip(*found, strict=True)]
    return means


def by_set(each: Mapping[str, Mapping[str, T]]) -> dict[str, T]:
    """`SET/METRIC` of each set."""
    return {f"{name}/{metric}": value for name, found in each.items() for metric, value in found.items()}


def _metrics(each: Mapping[str, Mapping[str, object]]) -> list[str]:
    return sorted({metric for found in each.values() for metric in found})


def _of(metric: str, each: Mapping[str, Mapping[str, object]], weights: Mapping[str, float]) -> list[float]:
    """The weights of the sets that have a metric."""
    return [weights[name] for name, found in each.items() if metric in found]


def _mean(values: Sequence[float], weights: Sequence[float]) -> float:
    return sum(value * weight for value, weight in zip(values, weights, strict=True)) / sum(weights)
