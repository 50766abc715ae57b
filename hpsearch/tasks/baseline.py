"""A baseline: a trivial model of a data set, measured on the validation split that the trained models are measured on.

A winner that does not beat it is not worth its training. Each baseline takes seconds, and bounded memory, on data of
any size: it learns from a sample of a large train split, and its `note` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Baseline:
    """A trivial model to compare the winner with."""

    name: str  # as in "beats NAME"
    measure: Callable[[], Mapping[str, float]]  # returns its metrics by name, in a process of its own
    note: str = ""  # what it has learnt from, if not from the whole train split


def sampled(n: int, most: int, what: str) -> str:
    """The note of a baseline that learns from `most` of `n`; empty if it learns from all."""
    return "" if n <= most else f"learnt from {most:,} of {n:,} {what}"
