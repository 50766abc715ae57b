"""What a study may cost and where it trains, and what the part of a draft about the model consists of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from hpsearch.errors import UserError
from hpsearch.launchers.devices import cores, devices
from hpsearch.preflight.draft.writing import Line

TRIALS = 24  # enough for a sampler to leave its first, random trials behind, and for a confirmation
HOURS = {"cpu": 1.0, "gpu": 2.0}  # of a study that names none
PEAK = {"cpu": 2e10, "gpu": 3e13}  # FLOPs a second of a core or a GPU that small models reach, evaluations included
PRUNED = 0.5  # share of a whole training that a trial takes on average with the default pruner


class Machine(NamedTuple):
    """What the trials will train on."""

    kind: str  # cpu or gpu
    workers: int

    @classmethod
    def of(cls, device: str) -> Machine:
        """This machine: its GPUs, or else its cores; for a device that it lacks: one GPU of another machine."""
        try:
            names = devices(device)
        except UserError:
            return cls("gpu", 1)
        return cls("cpu", cores()) if names == ["cpu"] else cls("gpu", len(names))

    @property
    def words(self) -> str:
        """`2 CPU cores`."""
        return f"{self.workers} {'CPU core' if self.kind == 'cpu' else 'GPU'}{'s' * (self.workers > 1)}"


@dataclass(frozen=True)
class Budget:
    """The limits of the study; None: no such limit."""

    trials: int | None = None
    hours: float | None = None

    def flops(self, machine: Machine, *, trials: int = TRIALS) -> float:
        """What one whole training may cost; `trials`: of a study that names none."""
        seconds = 3600 * (self.hours or HOURS[machine.kind]) * machine.workers
        return PEAK[machine.kind] * seconds / (self.trials or trials) / PRUNED

    def written(self, machine: Machine, *, trials: int = TRIALS) -> dict[str, float]:
        """As the space file has it."""
        free = self.trials is None and self.hours is None
        given = {"trials": trials if free else self.trials, "hours": HOURS[machine.kind] if free else self.hours}
        return {key: value for key, value in given.items() if value is not None}


class Plan(NamedTuple):
    """What the file is to be."""

    study: str
    budget: Budget
    machine: Machine
    output: Path


@dataclass(frozen=True)
class ModelPart:
    """The sections of the model and its training, and what is said of it."""

    lines: tuple[Line, ...]
    found: tuple[str, ...]  # what was found, a line each
    trials: int = TRIALS  # of a study that names no limit
    warnings: tuple[str, ...] = ()
    comparable: bool = True  # whether the losses of all trials can be compared
    runs: bool = True  # whether this installation can train it


def about(number: float) -> str:
    """A count in two digits: `180,000`, `2.3 million`."""
    short = float(f"{number:.2g}")
    return f"{short / 1e6:g} million" if short >= 1e6 else f"{short:,.0f}"
