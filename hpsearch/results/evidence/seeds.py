"""The trainings of one config with several seeds: mean and deviation of their test metrics. Values in, values out."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hpsearch.output.digits import digits
from hpsearch.quantiles import student
from hpsearch.tasks.scores.ranges import within


@dataclass(frozen=True)
class SeedResult:
    """What the training of one seed has come to."""

    seed: int
    metrics: Mapping[str, float]  # val/... of its best evaluation, test/...; empty: it has no model


@dataclass(frozen=True)
class Spread:
    """A metric over seeds."""

    mean: float
    deviation: float  # standard deviation over the seeds, with n - 1
    low: float  # ends of the 95% interval of the mean, by Student's t
    high: float
    seeds: int


@dataclass(frozen=True)
class SeedSummary:
    """The results of all seeds, and which of them is the model."""

    results: tuple[SeedResult, ...]
    chosen: int  # the seed of the model
    metric: str  # the objective, by which it was chosen; empty: by nothing, since no validation data were held out
    spreads: Mapping[str, Spread]  # of each test metric that at least two seeds have

    def to_dict(self) -> dict[str, Any]:
        """Returns JSON-able data."""
        return asdict(self)

    def metrics(self) -> dict[str, float]:
        """The spreads as metrics of an MLflow run."""
        named = ((f"seeds/{name}", one) for name, one in self.spreads.items())
        return {f"{name}/{key}": value for name, one in named for key, value in asdict(one).items() if key != "seeds"}

    def lines(self) -> Iterator[str]:
        """A line for each test metric, and one about the choice."""
        width = max(map(len, self.spreads), default=0)
        for name, one in self.spreads.items():
            interval = f"95% interval of the mean {digits(one.low)} to {digits(one.high)}"
            yield f"{name:{width}}  {digits(one.mean)} ± {one.deviation:.2g} over {one.seeds} seeds; {interval}"
        if self.lost:
            yield f"warning: no model came of seed {', '.join(map(str, self.lost))}: not among these"
        yield self.choice

    @property
    def lost(self) -> list[int]:
        """The seeds of which no model came."""
        return [one.seed for one in self.results if not one.metrics]

    @property
    def choice(self) -> str:
        """Which seed is the model, and why, in a line."""
        if self.metric:
            why = f"the best of {len(self.results)} by {self.metric}, not by its test"
        else:
            why = "the config's own: no validation data were held out to choose by, and the test is not to choose by"
        return f"the model is that of seed {self.chosen}, {why}"


def summary(results: Sequence[SeedResult], *, chosen: int, metric: str) -> SeedSummary:
    """The summary of several trainings; see SeedSummary."""
    names = sorted({name for one in results for name in one.metrics if _is_tested(name)})
    values = {name: [one.metrics[name] for one in results if name in one.metrics] for name in names}
    spreads = {
        name: spread(found, name) for name, found in values.items() if len(found) > 1 and all(map(math.isfinite, found))
    }
    return SeedSummary(tuple(results), chosen, metric, spreads)


def spread(values: Sequence[float], name: str = "") -> Spread:
    """Mean, deviation and 95% interval of the mean of at least two values: mean ± t(n - 1) * deviation / sqrt(n).

    name: of the metric, whose range the interval keeps to.
    """
    mean, deviation = statistics.fmean(values), statistics.stdev(values)
    margin = student(len(values) - 1) * deviation / math.sqrt(len(values))
    low, high = within(name, mean - margin, mean + margin)
    return Spread(mean, deviation, low, high, len(values))


def _is_tested(name: str) -> bool:
    return name.startswith("test/") and not name.endswith("stderr")
