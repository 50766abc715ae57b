"""The horizons at which `search.shift` tries a config: shares of the length of its training."""

from __future__ import annotations

from fractions import Fraction

# Each a whole training of its own. On published pretrainings (benchmarks/search/README.md) better than 1/9 and 1/3, or
# 1/27 and 1/3: promotion spends as much on every horizon, so the last one before the whole should be cheap as well.
HORIZONS = (1 / 27, 1 / 9, 1.0)
STEP = 3  # a policy sees the values of the horizons as evaluations 1, 3, 9 of a config, whatever their lengths
LAST = STEP ** (len(HORIZONS) - 1)


def place(horizon: float) -> int:
    """The evaluation as which a policy sees the value of a horizon."""
    index: int = STEP ** sum(other < 0.999 * horizon for other in HORIZONS)
    return index


def horizon_at(index: int | None) -> float:
    """The horizon of an evaluation that a policy names; None: the whole one."""
    return next((horizon for horizon in HORIZONS if place(horizon) == index), HORIZONS[-1])


def shown(horizon: float) -> str:
    """A horizon as people write it: 1/27."""
    return str(Fraction(horizon).limit_denominator(1000))
