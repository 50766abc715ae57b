"""What a train function is given and what it gives: the whole seam between training and those who run it.

    def train(config: Config, handle: Handle) -> Iterator[Evaluation]

On a folder with checkpoints it yields again, first of all, the evaluations that they hold. What is worth a warning goes
to Python's logging.

It imports no torch, so that the driver and trainers of other kinds can hold its values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

CHECKPOINTS = ("last.pt", "previous.pt")  # what a training goes on from, the newer first


class Command(IntEnum):
    """What a training is to do next, by strength: of two commands the stronger one holds.

    A training reads the first three. For STOP its generator is closed.
    """

    CONTINUE = 0
    PAUSE = 1  # save everything, to be resumed later
    FINISH = 2  # save the best weights and end
    STOP = 3  # end at once, keep nothing


@dataclass(frozen=True)
class WorkerSettings:
    """What stays the same for all trainings of a worker."""

    device: str  # as torch spells it: cpu, cuda:0, mps
    threads: int  # CPU threads of one training
    cache: Path  # prepared data of all studies
    base: Path  # the folder that relative data paths begin at
    prepared: dict[str, Path] = field(default_factory=dict)  # data prepared by the trainer: its name -> folder
    checkpoint_seconds: float = 60.0


@dataclass
class Handle:
    """What a training is given beside its config."""

    settings: WorkerSettings
    folder: Path  # its own: last.pt, previous.pt, best.pt, samples.json
    command: Callable[[], Command] = lambda: Command.CONTINUE  # asked before every step


@dataclass(frozen=True)
class TrainingPoint:
    """What a training measured of itself between two evaluations."""

    step: int
    tokens: int
    time: float  # unix seconds
    metrics: dict[str, float]

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any], *, time: float = 0.0) -> TrainingPoint:
        """The point that JSON or a checkpoint holds; `time` where it holds none."""
        return cls(raw["step"], raw["tokens"], raw.get("time", time), raw["metrics"])


@dataclass(frozen=True)
class Evaluation:
    """What one validation pass measured, and the training points since the last."""

    index: int  # 1..n: equal fractions of the schedule
    step: int
    progress: float  # share of the schedule, 0..1
    metrics: dict[str, float]  # val/...; train/interval_loss: the mean training loss since the last one
    tokens: int = 0
    epoch: float = 0.0
    seconds: float = 0.0  # of training and evaluating so far, over all attempts
    signatures: dict[str, str] = field(default_factory=dict)
    peak_memory: int = 0  # bytes, the most so far: on CUDA reserved by torch, else of the whole process
    device_memory: int = 0  # bytes that the device has in all; 0: it has none of its own (CPU, MPS)
    precision: str = ""  # of its matrix products: bf16 or fp32
    points: list[TrainingPoint] = field(default_factory=list)
    time: float = 0.0  # unix seconds at which the driver recorded it; 0: not yet

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any], *, time: float = 0.0) -> Evaluation:
        """The evaluation that JSON or a checkpoint holds. Keys of later versions are ignored, older ones have fewer."""
        known = {name: value for name, value in raw.items() if name in _FIELDS and value is not None}
        known["points"] = [TrainingPoint.from_dict(point, time=time) for point in raw.get("points", ())]
        return cls(**known, time=time)

    def to_dict(self) -> dict[str, Any]:
        """What JSON and checkpoints hold: all but `time`, the training points last."""
        raw = {name: getattr(self, name) for name in _FIELDS}
        return raw | {"points": [vars(point) for point in self.points]}


_FIELDS = tuple(name for name in Evaluation.__dataclass_fields__ if name not in ("points", "time"))
