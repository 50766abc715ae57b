"""The objective of a search: the metric that ranks trials."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hpsearch.config.section import Section


class Objective(Section):
    """The validation metric that ranks evaluations and trials."""

    metric: str = Field(
        "val/loss",
        description=(
            "the metric by which trials are ranked: `val/` and a metric (see Metrics); of one set: `val/SET/bleu`"
        ),
        examples=["val/f1_macro"],
    )
    direction: Literal["minimize", "maximize"] = Field(
        "minimize",
        description=(
            "whether lower or higher values are better; the metric's own direction if left out, and no other is allowed"
        ),
        examples=["maximize"],
    )

    def better(self, a: float, b: float) -> bool:
        """Whether value a is better than value b."""
        return a < b if self.direction == "minimize" else a > b
