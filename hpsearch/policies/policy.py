"""The seam between a search and what decides in it: values in, values out.

    class Policy(Protocol):
        def next(self, history: History) -> New | GoOn | Nothing
        def judge(self, history: History, trial: TrialHistory) -> Judgement

A policy is pure as seen from outside: the same history has the same answer, in this process or in one that resumes the
study after a crash. A cache inside is allowed as long as it can be rebuilt from any history. The search may ask `next`
several times before it records the answer. A policy reads the history and changes nothing in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from hpsearch.journal.history import History, TrialHistory
from hpsearch.verdict import Verdict


@dataclass(frozen=True)
class New:
    """A new trial with these params (short name -> value, as `TrialHistory.params` has them)."""

    params: dict[str, Any]
    seed: int | None = None  # of its training; None: the study's
    until: int | None = None  # evaluation at which the search pauses the trial where `judge` says CONTINUE


@dataclass(frozen=True)
class GoOn:
    """Resumes a paused trial."""

    trial: int
    until: int | None = None


@dataclass(frozen=True)
class Nothing:
    """No trial for now; with no trial in training, the search ends. `reason`: a line for people, or none."""

    reason: str = ""


@dataclass(frozen=True)
class Judgement:
    """What becomes of a trial after its latest evaluation, and why, in one line."""

    verdict: Verdict = Verdict.CONTINUE
    reason: str = ""


Decision = New | GoOn | Nothing


class Policy(Protocol):
    """What decides in a search."""

    def next(self, history: History) -> Decision:
        """Which trial to train on a free worker."""

    def judge(self, history: History, trial: TrialHistory) -> Judgement:
        """What becomes of a trial after its latest evaluation."""
