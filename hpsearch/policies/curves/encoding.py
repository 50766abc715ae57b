"""Optuna's parameters as numbers: positions to draw and to perturb, columns to measure distances.

A *position* is the quantile of a value in its range: uniform positions are uniform draws, log-uniform in a range with
`log`. An integer, a step or a choice stands in the middle of its share of the interval.

A number has one *column*, its position. A choice without an order has a column for each of its values, so that two
different ones are at distance 1. A parameter that a trial does not have is in the middle of its columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
MIDDLE = 0.5


class Axis(Protocol):
    """One parameter."""

    @property
    def count(self) -> int | None:
        """The number of values; None: continuous."""

    def positions(self, values: Sequence[Any]) -> Array:
        """The positions of values (n,)."""

    def value(self, position: float) -> Any:
        """The value at a position."""

    def snapped(self, positions: Array) -> Array:
        """Each position, or the middle of its value's share."""

    def columns(self, positions: Array) -> Array:
        """The columns (n, k) of snapped positions (n,)."""

    def absent(self) -> Array:
        """The columns (k,) of a trial that lacks the parameter."""


class Encoding:
    """The parameters of a search space, in its order."""

    def __init__(self, space: Mapping[str, BaseDistribution]) -> None:
        """`space`: {name: distribution}, each with at least two values."""
        self.names = tuple(space)
        self.axes = tuple(_axis(distribution) for distribution in space.values())

    def __len__(self) -> int:
        return len(self.axes)

    @cached_property
    def groups(self) -> tuple[slice, ...]:
        """The columns of each parameter."""
        ends = np.cumsum([len(axis.absent()) for axis in self.axes])
        return tuple(slice(int(end) - len(axis.absent()), int(end)) for axis, end in zip(self.axes, ends, strict=True))

    @property
    def size(self) -> int | None:
        """The number of different configs; None if a parameter is continuous."""
        counts = [axis.count for axis in self.axes]
        return None if None in counts else int(np.prod([float(count or 1) for count in counts]))

    def read(self, trials: Sequence[Mapping[str, Any]]) -> tuple[Array, Mask]:
        """The snapped positions of trials with these params (n, d), and which params each has (n, d)."""
        active = np.array([[name in params for name in self.names] for params in trials], dtype=bool)
        positions = np.full(active.shape, MIDDLE)
        for column, (name, axis) in enumerate(zip(self.names, self.axes, strict=True)):
            positions[active[:, column], column] = axis.positions([p[name] for p in trials if name in p])
        return self.snapped(positions), active

    def params(self, positions: Array) -> dict[str, Any]:
        """The values at positions (d,)."""
        return {name: axis.value(float(at)) for name, axis, at in zip(self.names, self.axes, positions, strict=True)}

    def snapped(self, positions: Array) -> Array:
        """Positions (n, d) such that equal values have equal positions."""
        return np.stack([axis.snapped(positions[:, column]) for column, axis in enumerate(self.axes)], axis=1)

    def columns(self, positions: Array, active: Mask) -> Array:
        """The columns (n, k) of snapped positions (n, d) of which some are active (n, d)."""
        return np.hstack(
            [
                np.where(active[:, column, None], axis.columns(positions[:, column]), axis.absent())
                for column, axis in enumerate(self.axes)
            ]
        )


class _Number:
    """A float or an integer, between bounds that leave each countable value an equal share (of the logarithm)."""

    def __init__(self, distribution: FloatDistribution | IntDistribution) -> None:
        self._low, self._high = float(distribution.low), float(distribution.high)
        self._integer, self._log = isinstance(distribution, IntDistribution), distribution.log
        self._step = float(distribution.step) if distribution.step is not None else None
        self.count = None if self._step is None else round((self._high - self._low) / self._step) + 1
        half = 0.0 if self._step is None else self._step / 2.0
        self._from, self._to = self._scaled(self._low - half), self._scaled(self._high + half)

    def positions(self, values: Sequence[Any]) -> Array:
        raw = np.array(values, dtype=np.float64)
        scaled = np.log(raw) if self._log else raw
        return np.clip((scaled - self._from) / (self._to - self._from), 0.0, 1.0)

    def value(self, position: float) -> Any:
        found = float(self._values(np.array([position]))[0])
        return round(found) if self._integer else found

    def snapped(self, positions: Array) -> Array:
        if self._step is None:
            return positions
        scaled = np.log(self._values(positions)) if self._log else self._values(positions)
        found: Array = (scaled - self._from) / (self._to - self._from)
        return found

    def columns(self, positions: Array) -> Array:
        return positions[:, None]

    def absent(self) -> Array:
        return np.array([MIDDLE])

    def _scaled(self, value: float) -> float:
        return float(np.log(value)) if self._log else value

    def _values(self, positions: Array) -> Array:
        scaled = self._from + (self._to - self._from) * positions
        values = np.exp(scaled) if self._log else scaled
        if self._step is not None:
            values = self._low + self._step * np.round((values - self._low) / self._step)
        found: Array = np.clip(values, self._low, self._high)
        return found


class _Choice:
    """A choice without an order."""

    def __init__(self, distribution: CategoricalDistribution) -> None:
        self._distribution, self.count = distribution, len(distribution.choices)

    def positions(self, values: Sequence[Any]) -> Array:
        return np.array([(self._distribution.to_internal_repr(value) + 0.5) / self.count for value in values])

    def value(self, position: float) -> Any:
        return self._distribution.choices[int(self._index(np.array([position]))[0])]

    def snapped(self, positions: Array) -> Array:
        return (self._index(positions) + 0.5) / self.count

    def columns(self, positions: Array) -> Array:
        found: Array = np.eye(self.count)[self._index(positions)] / np.sqrt(2.0)
        return found

    def absent(self) -> Array:
        return np.full(self.count, 1.0 / self.count / np.sqrt(2.0))

    def _index(self, positions: Array) -> NDArray[np.int64]:
        return np.minimum((positions * self.count).astype(np.int64), self.count - 1)


def _axis(distribution: BaseDistribution) -> Axis:
    if isinstance(distribution, CategoricalDistribution):
        return _Choice(distribution)
    if isinstance(distribution, FloatDistribution | IntDistribution):
        return _Number(distribution)
    raise ValueError(f"CurvesSampler knows no {type(distribution).__name__}")
