"""The axis of a parameter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from hpsearch.results.pictures.drawing import cut


class Scale:
    """Places a parameter's values on an axis: numbers linearly or by logarithm, choices at equal distances."""

    def __init__(self, limits: dict[str, Any], seen: Sequence[Any]) -> None:
        numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in seen)
        self.choices: list[Any] | None = None
        if "choices" in limits or not numeric:
            listed = list(limits.get("choices", []))
            self.choices = listed + [value for value in dict.fromkeys(seen) if value not in listed]
            self.low, self.high = 0.0, float(len(self.choices) - 1)
        else:
            ends = [limits[end] for end in ("low", "high") if end in limits]
            self.low, self.high = float(min([*seen, *ends], default=0)), float(max([*seen, *ends], default=1))
        self.whole = all(isinstance(limits.get(end), int) for end in ("low", "high"))
        self.log = bool(limits.get("log")) and self.choices is None and self.low > 0

    def place(self, value: Any) -> float:
        """Returns the coordinate of a value."""
        return float(value) if self.choices is None else float(self.choices.index(value))

    def share(self, value: Any) -> float:
        """Returns the position between low (0) and high (1); 0.5 for a range of one value."""
        transform = math.log if self.log else float
        low, high = transform(self.low), transform(self.high)
        return (transform(self.place(value)) - low) / (high - low) if high > low else 0.5

    def apply(self, axis: Axes) -> None:
        """Sets scale, limits and ticks of the x axis."""
        if self.choices is not None:
            labels = [cut(str(choice), 16) for choice in self.choices]
            long = sum(map(len, labels)) > 22
            axis.set_xticks(range(len(labels)), labels, rotation=30 if long else 0, ha="right" if long else "center")
            axis.set_xlim(-0.5, len(labels) - 0.5)
            return
        if self.log:
            axis.set_xscale("log")
            ticks = log_ticks(self.low, self.high)
            axis.set_xticks(ticks, [f"{tick:.3g}" for tick in ticks])
            axis.xaxis.set_minor_locator(LogLocator(subs=tuple(range(2, 10)), numticks=50))
            axis.xaxis.set_minor_formatter(NullFormatter())
            if self.high > self.low:
                axis.set_xlim(self.low / 1.15, self.high * 1.15)
            return
        margin = 0.05 * (self.high - self.low) or 0.5
        axis.set_xlim(self.low - margin, self.high + margin)
        axis.xaxis.set_major_locator(MaxNLocator(5, integer=self.whole))

    def marks(self) -> list[tuple[float, str]]:
        """Returns (share, label) of the marks on a vertical axis."""
        if self.choices is not None:
            return [(self.share(choice), cut(str(choice), 18)) for choice in self.choices]
        if self.low == self.high:
            return [(0.5, f"{self.low:.3g}")]
        middle = math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2
        marks = (self.low, self.high) if self.whole and middle % 1 else (self.low, middle, self.high)
        return [(self.share(value), f"{value:.3g}") for value in marks]


def log_ticks(low: float, high: float) -> list[float]:
    """The labelled ticks of a logarithmic axis: at 1, 2 and 5, of wide ranges at 1 and 3 or at powers of ten.

    Never fewer than two, so that a range within a decade can be read too.
    """
    decades = math.log10(high / low) if high > low else 0.0
    steps = (1,) if decades > 2.5 else (1, 3) if decades > 1.2 else (1, 2, 5)
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [float(f"{step}e{exponent}") for exponent in exponents for step in steps]
    found = [value for value in found if low / 1.001 <= value <= high * 1.001]
    return found if len(found) > 1 else sorted({low, high})
