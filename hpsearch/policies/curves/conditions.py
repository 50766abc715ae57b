"""Learns from the trials of a study which parameters exist only beside some values of another one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
ABSENT = -1.0  # as the position of a parameter that a trial lacks
DIGITS = 9  # of a position


@dataclass(frozen=True)
class Condition:
    """Parameter `column` exists where parameter `decider` stands at one of some positions."""

    column: int
    decider: int
    positions: Array


@dataclass(frozen=True)
class Conditions:
    """The conditions of the parameters that some trials lack. One without a known condition always exists."""

    known: Sequence[Condition]

    @classmethod
    def learn(cls, positions: Array, active: Mask, counts: Sequence[int | None]) -> Conditions:
        """Learns from trials with snapped positions (n, d), of which some are active (n, d).

        counts: the numbers of values of the parameters (None: continuous); of several that would explain an absence,
        the one with the fewest values decides.
        """
        keys = np.where(active, positions.round(DIGITS), ABSENT)
        countable = sorted((count, column) for column, count in enumerate(counts) if count is not None)
        found = []
        for column in np.flatnonzero(~active.all(axis=0)):
            has = active[:, column]
            for _, decider in countable:
                present = np.unique(keys[has, decider])
                if decider != column and len(present) and not np.isin(keys[~has, decider], present).any():
                    found.append(Condition(int(column), decider, present))
                    break
        return cls(found)

    def active(self, positions: Array) -> Mask:
        """Which parameters exist at snapped positions (n, d)."""
        found, rounded = np.ones(positions.shape, dtype=bool), positions.round(DIGITS)
        for _ in self.known:  # a condition may depend on a parameter that another condition removes
            for condition in self.known:
                decider = np.where(found[:, condition.decider], rounded[:, condition.decider], ABSENT)
                found[:, condition.column] = np.isin(decider, condition.positions)
        return found
