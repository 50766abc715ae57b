"""The objective of a search: the metric that ranks trials."""

from __future__ import annotations

from typing import Literal

from hpsearch.config.section import Section


class Objective(Section):
    """The validation metric that ranks evaluations and trials."""

    metric: str = "val/loss"
    direction: Literal["minimize", "maximize"] = "minimize"

    def better(self, a: float, b: float) -> bool:
        """Whether value a is better than value b."""
        return a < b if self.direction == "minimize" else a > b
