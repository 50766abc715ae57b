"""How many digits of a metric people read. Files, JSON and MLflow's metrics have them all."""

from __future__ import annotations

import math


def digits(value: float) -> str:
    """A metric's value as every display shows it: four decimals, or an exponent for very small and large values.

    Losses, F1 and BLEU of small models vary from seed to seed by 0.001 or more: further digits say nothing. What is
    equal here may differ all the same; where that matters the difference stands beside it.
    """
    ordinary = value == 0 or 1e-3 <= abs(value) < 1e6
    return f"{value:.4f}" if ordinary or not math.isfinite(value) else f"{value:.4g}"
