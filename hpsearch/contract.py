"""The interface between training and the code that runs it.

    def train(config: Config, handle: Handle) -> Iterator[Evaluation]

If the folder has checkpoints, `train` first yields their evaluations again, then resumes. It logs warnings with
Python's logging.

This module imports no torch, so that the driver and trainers without torch can use it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

CHECKPOINTS = ("last.pt", "previous.pt")  # a training resumes from the first intact one


STABLE = "stable-*.pt"  # states that a training may go back to, to cool down; it deletes them at its end


ROUGH = "rough"  # a metric of `Trainer.measure`: a better measurement follows if there is time
LOGS = ("log.txt", "log.1.txt")  # what a user's code printed: the latest, and what came before
OUTPUT = "output-*.txt"  # what a program printed that a later attempt may have to read; other processes append to them
ARTIFACTS = "artifacts"  # a folder: files that go to the trial's run in MLflow at its end


class Command(IntEnum):
    """What a training must do next; of two commands the stronger (higher) one wins.

    A training reads all but the last: for STOP its generator is closed. COOL_DOWN is for trainers that `cools_down`
    says can obey it.
    """

    CONTINUE = 0
    COOL_DOWN = 1  # leave the curve: cool down from where that is best, yield that end with its `branch`, then FINISH
    PAUSE = 2  # save a checkpoint to resume from, and end
    FINISH = 3  # save the best weights and end
    STOP = 4  # end at once and save nothing


@dataclass(frozen=True)
class WorkerSettings:
    """The settings of a worker, the same for all its trainings."""

    device: str  # a torch device: cpu, cuda:0, mps; of a worker, its GPUs: cuda:0+1
    threads: int  # CPU threads of one training
    cache: Path  # folder for the prepared data of all studies
    base: Path  # the folder that relative data paths start from
    prepared: dict[str, Path] = field(default_factory=dict)  # data that the trainer has prepared: name -> folder
    checkpoint_seconds: float = 60.0
    gpus: int = 1  # of each training, if the device is one: `device` and those that follow it


@dataclass
class Handle:
    """What a training gets besides its config."""

    settings: WorkerSettings
    folder: Path  # the training's own, for last.pt, previous.pt, best.pt, samples.json
    command: Callable[[], Command] = lambda: Command.CONTINUE  # called before every step
    step: int = 0  # where the training stands: it may set both before it calls `command`, for whoever shows it
    progress: float = 0.0  # share of its schedule, 0..1; 0: not said


@dataclass(frozen=True)
class TrialTask:
    """One trial of a group that a trainer trains together (`Trainer.train_many`)."""

    trial: int  # its number
    config: Any  # an instance of the trainer's `config`
    handle: Handle


@dataclass(frozen=True)
class TrainingPoint:
    """Metrics of a training between two evaluations."""

    step: int
    tokens: int
    time: float  # unix seconds
    metrics: dict[str, float]

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any], *, time: float = 0.0) -> TrainingPoint:
        """Returns the point of a JSON object; `time`: its default."""
        return cls(raw["step"], raw["tokens"], raw.get("time", time), raw["metrics"])


@dataclass(frozen=True)
class Evaluation:
    """The metrics of one validation pass, and the training points since the previous one."""

    index: int  # 1..n: equal fractions of the schedule
    step: int
    progress: float  # share of the schedule, 0..1
    metrics: dict[str, float]  # val/...; train/interval_loss: the mean training loss since the previous one
    tokens: int = 0
    epoch: float = 0.0
    seconds: float = 0.0  # of training and evaluating so far, over all attempts
    signatures: dict[str, str] = field(default_factory=dict)
    replicates: dict[str, list[float]] = field(default_factory=dict)  # metric -> its value without each group of the
    # examples: how far it differs from another model's by chance (tasks/scores/replicates.py)
    peak_memory: int = 0  # bytes: on CUDA the peak that torch reserved, else the peak of the process
    device_memory: int = 0  # bytes of the device in total; 0: it has no memory of its own (CPU, MPS)
    usage: dict[str, float] = field(default_factory=dict, compare=False)  # of the worker, see launchers/usage.py
    precision: str = ""  # of matrix products: bf16 or fp32
    branch: dict[str, dict[str, Any]] = field(default_factory=dict)  # empty: on the curve. Else the end of a cool-down
    # from evaluation `index`: section -> key -> value, what the config of a training that ends here changes
    points: list[TrainingPoint] = field(default_factory=list)
    time: float = 0.0  # unix seconds when the driver recorded it; 0: not recorded

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any], *, time: float = 0.0, points: bool = True) -> Evaluation:
        """Returns the evaluation in `raw` (from JSON or a checkpoint), with or without its training points.

        Unknown keys, of later versions, are ignored; keys that older versions lack have their defaults.
        """
        found = dict(raw) if _FIELDS.issuperset(raw) and None not in raw.values() else _known(raw)
        given = raw.get("points", ()) if points else ()
        found["points"] = [TrainingPoint.from_dict(point, time=time) for point in given]
        found["time"] = time
        if "signatures" not in found:
            found["signatures"] = {}
        for name in _MAY_BE_EMPTY:
            found.setdefault(name, {})
        evaluation = object.__new__(cls)  # a resume reads thousands: a frozen dataclass's __init__ takes twice as long
        object.__setattr__(evaluation, "__dict__", found)
        return evaluation

    def to_dict(self) -> dict[str, Any]:
        """Returns a JSON object with all fields but `time`, training points last."""
        known = {name: value for name, value in vars(self).items() if name in _KNOWN}
        raw = {name: value for name, value in known.items() if value or name not in _MAY_BE_EMPTY}
        raw["points"] = [vars(point) for point in self.points]
        return raw


_FIELDS = frozenset(Evaluation.__dataclass_fields__)
_KNOWN = _FIELDS - {"points", "time"}
_MAY_BE_EMPTY = ("branch", "replicates", "usage")  # not written then


def _known(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The values of `raw` that this version knows."""
    return {name: value for name, value in raw.items() if name in _KNOWN and value is not None}
