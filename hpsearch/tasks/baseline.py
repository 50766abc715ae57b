"""A baseline: a trivial model of a data set, measured on the validation split that the trained models are measured on.

A winner that does not beat it is not worth its training. Each baseline takes seconds, and bounded memory, on data of
any size: it learns from a sample of a large train split, and its `note` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hpsearch.tasks.scores.replicates import Replicates


class Measurement(dict[str, float]):
    """The metrics of a model by name, with the replicates of some of them (scores/replicates.py)."""

    def __init__(self, metrics: Mapping[str, float], replicates: Replicates | None = None) -> None:
        super().__init__(metrics)
        self.replicates = replicates or {}

    def prefixed(self, prefix: str) -> Measurement:
        """The same with this before each name."""
        named = {f"{prefix}{name}": value for name, value in self.items()}
        return Measurement(named, {f"{prefix}{name}": found for name, found in self.replicates.items()})


@dataclass(frozen=True)
class Baseline:
    """A trivial model to compare the winner with."""

    name: str  # as in "beats NAME"
    measure: Callable[[], Mapping[str, float]]  # returns its metrics by name (a Measurement), in a process of its own
    note: str = ""  # what it has learnt from, if not from the whole train split


def sampled(n: int, most: int, what: str) -> str:
    """The note of a baseline that learns from `most` of `n`; empty if it learns from all."""
    return "" if n <= most else f"learnt from {most:,} of {n:,} {what}"
