"""A scale on which learning curves are compared: fine near the best value, coarse far from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
OFFSET = 0.05  # of the distance from the best to the median: differences below it hardly count
FARTHEST = 20.0  # distances from the best to the median beyond which all values are equally bad

WORST = float(np.log(FARTHEST + OFFSET) - np.log(OFFSET))  # on the scale


@dataclass(frozen=True)
class Stretch:
    """t(y) = log((y - low) / (median - low) + 0.05) - log(0.05): 0 at the best value, increasing."""

    low: float
    unit: float  # the distance from the best value to the median

    @classmethod
    def of(cls, values: Array) -> Stretch:
        """The scale of the best values of all trials (lower is better); they must be finite."""
        low = float(values.min())
        return cls(low, max(float(np.median(values)) - low, 1e-9 * max(1.0, abs(low))))

    def __call__(self, values: Array) -> Array:
        """Returns the values on this scale; values that are not finite are as bad as the farthest."""
        distance = np.nan_to_num((values - self.low) / self.unit, nan=FARTHEST, posinf=FARTHEST, neginf=0.0)
        found: Array = np.log(np.clip(distance, 0.0, FARTHEST) + OFFSET) - np.log(OFFSET)
        return found
