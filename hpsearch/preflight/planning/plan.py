"""The plan of a study: everything that `hpsearch plan` prints, as frozen values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from hpsearch.preflight.planning.outlook import Outlook


@dataclass(frozen=True)
class Measured:
    """A config that was measured, and what its whole training is expected to take."""

    name: str  # why it was measured; empty: a random config
    params: Mapping[str, Any]
    seconds: float | None = None  # of a whole training; None: it could not be measured
    memory: int | None = None  # bytes at the peak; None: unknown
    failure: str = ""  # why it could not be measured


@dataclass(frozen=True)
class TrialTime:
    """Seconds of a whole training over the space, as its random configs have it."""

    mean: float
    low: float  # 10% of the configs take less
    high: float  # 90% of the configs take less
    longest: float
    deviation: float  # standard deviation between configs
    training: float  # share of the mean in steps
    evaluating: float  # share in evaluations and decoding


@dataclass(frozen=True)
class Memory:
    """Bytes that trainings take, and those that there are."""

    peak: int  # of the config that takes most
    together: int  # of as many trainings as share the memory, on average
    available: int  # of the device, or of the machine; 0: unknown
    at_once: int  # trainings that share it
    never: float  # share of the space's configs that alone take more than there is
    least: Mapping[str, Any] = field(default_factory=dict)  # params of the smallest of them

    @property
    def fits(self) -> bool:
        """Whether every config fits by itself."""
        return not self.available or self.peak <= self.available


@dataclass(frozen=True)
class Plan:
    """What a study is expected to take, before it runs, and the warnings about its space."""

    study: str
    device: str
    workers: int
    threads: int
    budget: tuple[str, ...]  # each limit, in words
    data: tuple[str, ...] = ()  # a line for each data set
    warnings: tuple[str, ...] = ()  # each with the place in the space file, what is wrong, and what to do
    spent: float = 0.0  # seconds of measuring; 0: nothing was measured
    measured: tuple[Measured, ...] = ()
    telling: tuple[str, ...] = ()  # the params by which the cost changes
    trial: TrialTime | None = None  # this and all below: None if nothing could be measured
    memory: Memory | None = None
    start: float = 0.0  # seconds until the first worker can train
    share: float | None = None  # of a whole training that a trial has with the pruner; None: not known
    share_from: str = ""  # where the share comes from
    whole: Outlook | None = None  # the study if no trial is stopped early
    pruned: Outlook | None = None  # the study with its pruner
    disk: int = 0  # bytes of checkpoints at most
    kept: int = 0  # bytes of them after the study
    busy: float | None = None  # percent of the time of training in which GPUs ran kernels, at most; None: unknown
    notes: tuple[str, ...] = field(default=())  # what workers have said

    @property
    def outlook(self) -> Outlook | None:
        """What is expected of the study: with its pruner, if it has one of which something is known."""
        return self.pruned or self.whole

    @property
    def trials_per_hour(self) -> float | None:
        """With the pruner, on all workers."""
        if self.trial is None:
            return None
        return 3600 * self.workers / (self.trial.mean * (self.share or 1.0))

    def to_dict(self) -> dict[str, Any]:
        """JSON data; numbers that are not finite become None."""
        found = asdict(self) | {"trials_per_hour": self.trials_per_hour}
        plain: dict[str, Any] = _finite(found)
        return plain


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
