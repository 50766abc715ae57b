"""Extrapolates a learning curve to the end of its training, from one rung to the next."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

SHRINKAGE = 2.0  # weight of the slope 1, in variances of the earlier values
STEEPEST = 2.0  # slope; a steeper one would blow differences up that are mostly noise
USUAL_SPREAD = 0.15  # of the residuals, before any is known
USUAL_WEIGHT = 3.0  # in residuals
UNKNOWN_SPREAD = 0.6  # of a step that fewer than two trials have taken
UNKNOWN_DECAY = 0.8  # of the shift of the step before

Curve = Mapping[int, float]  # rung -> value


@dataclass(frozen=True)
class Step:
    """y_b = shift + slope * y_a + e from one rung a to the next rung b; e has the standard deviation `spread`."""

    slope: float
    shift: float
    spread: float


@dataclass(frozen=True)
class Chain:
    """The steps from each rung to the next; the last rung is the end of the training."""

    rungs: Sequence[int]
    steps: Sequence[Step]

    @classmethod
    def fit(cls, rungs: Sequence[int], curves: Sequence[Curve]) -> Chain:
        """Fits each step to the trials that have been measured at both of its rungs."""
        steps: list[Step] = []
        for a, b in itertools.pairwise(rungs):
            pairs = np.array([(curve[a], curve[b]) for curve in curves if a in curve and b in curve])
            steps.append(_step(pairs, steps[-1] if steps else None))
        return cls(rungs, steps)

    def end(self, rung: int, value: float) -> tuple[float, float]:
        """Returns mean and variance of the value at the last rung, for a curve with this value at a rung."""
        mean, variance = value, 1e-6
        for at, step in zip(self.rungs, self.steps, strict=False):
            if at >= rung:
                mean, variance = step.shift + step.slope * mean, step.slope**2 * variance + step.spread**2
        return mean, variance


def _step(pairs: np.ndarray, before: Step | None) -> Step:
    """Ridge regression whose slope is shrunk to 1, and the spread of its residuals shrunk to the usual one."""
    if len(pairs) < 2:
        known = float(pairs[0, 1] - pairs[0, 0]) if len(pairs) else None
        shift = known if known is not None else UNKNOWN_DECAY * before.shift if before is not None else 0.0
        return Step(1.0, shift, UNKNOWN_SPREAD)
    x, y = pairs.T - pairs.mean(0)[:, None]
    ridge = SHRINKAGE * max(float(x.var()), 1e-6)
    slope = min(max((float(x @ y) + ridge) / (float(x @ x) + ridge), 0.0), STEEPEST)
    shift = float(pairs[:, 1].mean() - slope * pairs[:, 0].mean())
    squares = float(((y - slope * x) ** 2).sum()) + USUAL_WEIGHT * USUAL_SPREAD**2
    return Step(slope, shift, float(np.sqrt(squares / (len(pairs) + 1))))
