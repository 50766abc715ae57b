"""What happens in a search or a final training: `hpsearch.run(..., progress=show)` calls `show` with each of these.

A search: Preparing ... Opened, then Started, Measured, Paused, Interrupted, Finished of its trials, at the end Searched
and Shipped.
A final training: Preparing ... Prepared, then Trained for each evaluation, then Testing. A Notice may come at any time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hpsearch.contract import Evaluation, WorkerSettings
from hpsearch.journal.history import History, TrialHistory
from hpsearch.space.experiment import Experiment


@dataclass(frozen=True)
class Notice:
    """A line that people should read; warnings begin with "warning: "."""

    line: str


@dataclass(frozen=True)
class Preparing:
    """The data are being read, tokenised or copied."""

    what: str
    share: float  # that is done, 0..1


# ----------------------------------------------------------------------------------------------------------- a search


@dataclass(frozen=True)
class Opened:
    """The study is open, and its search begins."""

    experiment: Experiment
    history: History
    folder: Path  # the study's
    data: list[str]  # what was read, a line a set
    workers: list[WorkerSettings]
    waiting: int  # trials of earlier runs that will be resumed


@dataclass(frozen=True)
class Started:
    """A trial is with a worker (attempt 2 and later: resumed)."""

    trial: TrialHistory
    slot: int
    attempt: int


@dataclass(frozen=True)
class Measured:
    """A trial was evaluated."""

    trial: TrialHistory
    slot: int
    evaluation: Evaluation


@dataclass(frozen=True)
class Finished:
    """A trial has ended for good, and its end is on the disk."""

    trial: TrialHistory
    slot: int


@dataclass(frozen=True)
class Paused:
    """The policy paused a trial, and why; it may resume it later, from its state `saved` now or from an earlier one."""

    trial: TrialHistory
    slot: int
    reason: str
    saved: bool = False


@dataclass(frozen=True)
class Interrupted:
    """A trial was stopped and resumes by itself, and why: from its state `saved` now, or from an earlier checkpoint."""

    trial: TrialHistory
    slot: int
    reason: str
    saved: bool = False


@dataclass(frozen=True)
class Searched:
    """The search has ended; MLflow and the Optuna database are still to catch up."""

    history: History
    stopped: bool  # somebody asked for it, before the budget was spent
    idle: bool  # the budget had been spent before this run


@dataclass(frozen=True)
class Shipped:
    """The winner is exported, and the views have what they took in time."""

    exported: Path | None  # best.yaml; None: no trial has a value
    lacking: dict[str, int]  # view -> events of the journal that it lacks


# ----------------------------------------------------------------------------------------------------- a final training


@dataclass(frozen=True)
class Prepared:
    """The data are ready, and the training begins."""

    data: list[str]  # what was read, a line a set


@dataclass(frozen=True)
class Trained:
    """The training was evaluated."""

    evaluation: Evaluation
    metric: str  # the objective
    share: float  # of the training that is done, 0..1


@dataclass(frozen=True)
class Testing:
    """The training has ended; the best weights are being tested."""


OfTrial = Started | Measured | Finished | Paused | Interrupted
OfTraining = Prepared | Trained | Testing
Event = Notice | Preparing | Opened | OfTrial | Searched | Shipped | OfTraining
Show = Callable[[Event], None]  # takes events as they come
