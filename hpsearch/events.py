"""What happens in a search, for whoever shows it."""

from __future__ import annotations

from dataclasses import dataclass

from hpsearch.contract import Evaluation
from hpsearch.journal.history import TrialHistory


@dataclass(frozen=True)
class Started:
    """A trial is with a worker (attempt 2 and later: continued)."""

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
    """A trial has ended for good, and the disk knows."""

    trial: TrialHistory
    slot: int


@dataclass(frozen=True)
class Paused:
    """A trial was stopped and will go on, and why: with its state `saved` now, or from an earlier checkpoint."""

    trial: TrialHistory
    slot: int
    reason: str
    saved: bool = False


@dataclass(frozen=True)
class Notice:
    """Something that people should read."""

    line: str


Event = Started | Measured | Finished | Paused | Notice
