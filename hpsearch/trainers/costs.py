"""What a training costs, as measured and as expected: the values that a trainer and a plan exchange."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from hpsearch.contract import Evaluation
from hpsearch.document.document import Keys


@dataclass(frozen=True)
class Sample:
    """One config, measured for a few seconds (`Trainer.measure`)."""

    config: Any
    evaluations: tuple[Evaluation, ...]  # what `measure` yielded, at least one
    at: tuple[float, ...]  # seconds from the beginning to each of them, by the driver's clock
    ends_at: float = 1.0  # the progress at which the config's training ends

    @property
    def memory(self) -> int:
        """Bytes at the peak; 0: unknown."""
        return max(one.peak_memory for one in self.evaluations)

    @property
    def device_memory(self) -> int:
        """Bytes of the device; 0: it has no memory of its own."""
        return max(one.device_memory for one in self.evaluations)


@dataclass(frozen=True)
class Cost:
    """What one whole training of a config is expected to take."""

    training: float  # seconds in steps
    evaluating: float = 0.0  # seconds in evaluations, decoding included
    other: float = 0.0  # seconds to build the model, to write checkpoints
    memory: int = 0  # bytes at the peak; 0: unknown
    state: int = 0  # bytes of its files at most while it trains
    weights: int = 0  # bytes of its files after its end, if it is among the best

    @property
    def seconds(self) -> float:
        """Of the whole training."""
        return self.training + self.evaluating + self.other


CostModel = Callable[[Any], Cost]  # the expected cost of a config


class Advice(NamedTuple):
    """A warning about a space: where, what is wrong, and what to do."""

    keys: Keys  # of the value in the space file; empty: none in particular
    wrong: str
    remedy: str = ""


def by_progress(samples: list[Sample]) -> CostModel:
    """The mean cost of the measured trainings, whatever the config: of a trainer of which nothing else is known.

    A training takes as long as its progress says. Where there are two evaluations, the time between them counts, so
    that what comes before the first step (imports, reading the data) counts once.
    """
    rates = [_rate(sample) for sample in samples]
    training = sum(rate * sample.ends_at for (rate, _), sample in zip(rates, samples, strict=True)) / len(samples)
    other = sum(before for _, before in rates) / len(samples)
    memory = max(sample.memory for sample in samples)
    return lambda config: Cost(training, other=other, memory=memory)


def _rate(sample: Sample) -> tuple[float, float]:
    """Seconds for the whole schedule, and before its first step."""
    (first, *_, last), (began, *_, ended) = (_twice(sample.evaluations), _twice(sample.at))
    if last.progress > first.progress:
        rate = (ended - began) / (last.progress - first.progress)
        return rate, max(0.0, began - rate * first.progress)
    return (first.seconds or began) / max(first.progress, 1e-9), 0.0


def _twice(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return values if len(values) > 1 else (*values, *values)
