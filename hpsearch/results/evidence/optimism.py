"""The optimism gap: a search's best value, its winner's mean over fresh seeds, and its value on the test data.

The first is flattered by the choice among many trials and by a lucky seed, the second by the choice of hyperparameters
alone, the third by nothing, as long as the test data are looked at once. A trial that is not the search's best (fresh
seeds have chosen it, or a person has) is compared with its own value in place of the first. Values in, values out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from hpsearch.output.digits import digits


@dataclass(frozen=True)
class OptimismGap:
    """The values of the objective's own metric; None for one that was not measured."""

    metric: str  # of all but the last
    searched: float | None  # the best value of the search
    trials: int  # among which that is the best
    mean: float | None  # of the exported trial over fresh seeds
    margin: float | None  # half of the 95% interval of the mean
    seeds: int
    tested: float | None  # of the final training
    minimize: bool = True
    trial: int | None = None  # the exported one
    own: float | None = None  # its own value
    search_trial: int | None = None  # the one that has the search's best value; None: an older version did not note it
    looks: int = 0  # other final trainings that have looked at the test data before

    @property
    def is_best(self) -> bool:
        """Whether the exported trial is the one with the search's best value."""
        return self.own in (None, self.searched)

    @property
    def reference(self) -> float | None:
        """The value that the mean and the test are compared with: the exported trial's own."""
        return self.searched if self.is_best else self.own

    @property
    def test_metric(self) -> str:
        """The objective's name on the test data: test/loss for val/loss."""
        return "test/" + self.metric.removeprefix("val/")

    def to_dict(self) -> dict[str, Any]:
        """Returns JSON-able data."""
        return asdict(self)

    def metrics(self) -> dict[str, float]:
        """The values as metrics of an MLflow run."""
        values = {"search": self.searched, "own": self.own, "fresh_seeds": self.mean}
        values |= {"fresh_seeds_margin": self.margin, "test": self.tested}
        return {f"optimism/{name}": value for name, value in values.items() if value is not None}

    def lines(self) -> list[str]:
        """Aligned lines, one for each value that there is."""
        rows = list(self._rows())
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        return ["  ".join(cell.ljust(width) for cell, width in zip(row, (*widths, 0), strict=True)) for row in rows]

    def _rows(self) -> Iterator[tuple[str, str, str, str]]:
        if self.searched is not None:
            name = f"search {'minimum' if self.minimize else 'maximum'}"
            yield name, self.metric, digits(self.searched), self._which()
        if self.own is not None and not self.is_best:
            yield f"trial {self.trial}", self.metric, digits(self.own), "its own value: it is the one trained here"
        if self.mean is not None:
            margin = "" if self.margin is None else f" ± {self.margin:.2g}"
            which = f"its mean over {self.seeds} fresh seed{'s' * (self.seeds > 1)}{self._gap(self.mean)}"
            yield "fresh seeds", self.metric, f"{digits(self.mean)}{margin}", which
        if self.tested is not None:
            yield "test", self.test_metric, digits(self.tested), f"{self._data()}{self._gap(self.tested)}"

    def _which(self) -> str:
        """What the search's best value is."""
        if self.is_best:
            return f"the best of {self.trials} trials, so it is flattered"
        other = "another trial" if self.search_trial is None else f"trial {self.search_trial}"
        return f"of {other}, the best of {self.trials}"

    def _data(self) -> str:
        """What the test data are, by how often they were looked at."""
        if not self.looks:
            return "data that no choice has seen"
        return f"data that were looked at {'once' if self.looks == 1 else f'{self.looks} times'} before"

    def _gap(self, value: float) -> str:
        """By how much a value is worse than the trial's own; empty if that is unknown."""
        if self.reference is None:
            return ""
        worse = value - self.reference if self.minimize else self.reference - value
        than = "in the search" if self.is_best else "its own value"
        return f", {abs(worse):.2g} {'worse' if worse >= 0 else 'better'} than {than}"


def gap(
    known: Mapping[str, Any], metric: str, tested: Mapping[str, float], *, minimize: bool, looks: int = 0
) -> OptimismGap | None:
    """The gap of an exported config; None if fewer than two of the values are there.

    known: the section `provenance` of best.yaml; tested: the metrics of the final training; looks: other final
    trainings that have looked at the test data before.
    """
    evidence = known.get("confirmation") or {}
    finalists = evidence.get("finalists") or []
    finalist: Mapping[str, Any] = next((one for one in finalists if one.get("trial") == known.get("trial")), {})
    found = OptimismGap(
        metric,
        _finite(known.get("search_best", known.get(metric))),
        known.get("trials") or 0,
        _finite(finalist.get("mean")),
        _finite(finalist.get("margin", finalist.get("two_standard_errors"))),  # so named by older versions
        len(finalist.get("values") or ()),
        _finite(tested.get("test/" + metric.removeprefix("val/"))),
        minimize,
        trial=known.get("trial"),
        own=_finite(known.get(metric)),
        search_trial=known.get("search_best_trial"),
        looks=looks,
    )
    return found if sum(value is not None for value in (found.reference, found.mean, found.tested)) > 1 else None


def _finite(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None
