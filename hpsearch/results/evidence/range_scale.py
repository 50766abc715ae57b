"""The place of a value in the range of its hyperparameter."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

ROUNDING = 1e-9
EDGE = 0.05  # share of a range from its end that counts as its edge
STEP, FACTOR = 0.1, 2.0  # the step from a value to the next ones: share of the range, or factor


class RangeScale:
    """The place of a number in its range, from 0 to 1: by logarithm if the range has `log`, choices by their order."""

    def __init__(self, limits: Mapping[str, Any]) -> None:
        self._choices = sorted(limits["choices"]) if "choices" in limits else None
        self._log, self._step = bool(limits.get("log")), limits.get("step")
        self._low: float = limits["low"] if self._choices is None else 0
        self._high: float = limits["high"] if self._choices is None else len(self._choices) - 1

    def __call__(self, value: float) -> float:
        transform = math.log if self._log else float
        at = self._choices.index(value) if self._choices else value
        low, high = transform(self._low), transform(self._high)
        return (transform(at) - low) / (high - low)

    def value(self, share: float) -> float:
        """The value at a place: the nearest one that the range has."""
        if self._choices is not None:
            return self._choices[round(share * self._high)]  # type: ignore[no-any-return]
        transform = math.log if self._log else float
        low, high = transform(self._low), transform(self._high)
        found = low + share * (high - low)
        found = math.exp(found) if self._log else found
        if self._step:
            found = self._low + round((found - self._low) / self._step) * self._step
        return round(found) if isinstance(self._high, int) else float(f"{found:.3g}")

    def step(self) -> float:
        """The distance to the next values: a factor of 2 by logarithm, else a tenth of the range or the next value."""
        if self._choices is not None:
            return 1 / self._high
        if self._log:
            return math.log(FACTOR) / (math.log(self._high) - math.log(self._low))
        whole = 1 / (self._high - self._low) if isinstance(self._high, int) else 0.0
        return max(STEP, whole, (self._step or 0) / (self._high - self._low))

    def edge(self, value: float) -> str:
        """The end of the range that the value is at; not the lower one if nothing lies below, as with 0 or 1 layer."""
        share, whole = self(value), self._choices is not None or isinstance(self._high, int)
        if whole and self._high - self._low < 2:  # of two values each is at an edge
            return ""
        if not -ROUNDING <= share <= 1 + ROUNDING:  # a cool-down ended outside of the range
            return ""
        near = 0.0 if whole else EDGE
        if share >= 1 - near:
            return "upper"
        return "lower" if share <= near and not self._is_least() else ""

    def _is_least(self) -> bool:
        """Whether no smaller value makes sense: 0, or 1 of something that is counted."""
        return self._choices is None and (self._low == 0 or (self._low == 1 and isinstance(self._high, int)))
