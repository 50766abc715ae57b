"""The seam between a search and what decides in it: values in, values out.

Random search that trains every trial to evaluation 5, then resumes the best of them:

    class Halves:
        def __init__(self, experiment):
            self.space = experiment.space

        def next(self, history):
            if history.room:  # a new trial, while the budget has one
                return New(self.space.draw(seed=len(history.trials)), until=5)
            if any(trial.running for trial in history.trials.values()):
                return Nothing()  # asked again when a worker is free
            best = history.leader()
            return GoOn(best.number) if best is not None and best.paused else Nothing("the best trial is trained")

        def judge(self, history, trial):
            return Judgement()  # CONTINUE; at `until` the search pauses the trial

The search asks for one answer at a time, in one process, whatever the number of workers:

- `next(history)` for each free worker. The answer is recorded before the next question, so that history.trials has the
  trial of the first worker when the search asks for the second. An answer may also be dropped: the search asks whether
  there is work left before it starts workers. `Nothing` leaves the worker free; the search asks again after the next
  message of any worker, and ends when no trial is in training.
- `judge(history, trial)` once for each new evaluation of a trial, which waits for the verdict; the history has the
  evaluation. The other trials in training are at any evaluation; they come in the order in which workers report. Old
  evaluations, which a resumed trial reports again, are not judged again, but for the latest, which a killed driver may
  not have answered. After a pause it is not judged where it paused.

A policy is pure as seen from outside: the same history has the same answer, in this process or in one that resumes the
study after a crash. A cache inside is allowed if it can be rebuilt from any history. A policy only reads: the history
and its trials are the search's own, not copies, and a change would not be in the journal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.verdict import Verdict

# Labels: the default config, the best one of another study, those of the space file, and those that people enqueued.
DEFAULT, WARM, FIRST, ENQUEUED = "default", "warm_start", "first", "enqueued"


@dataclass(frozen=True)
class New:
    """A new trial with these params (short name -> value, as in `TrialHistory.params`).

    A trial with the config and the seed of an earlier one would repeat its training and is refused.
    """

    params: dict[str, Any]
    seed: int | None = None  # of its training; None: the study's
    until: int | None = None  # evaluation at which the search pauses the trial if `judge` returns CONTINUE
    label: str = ""  # why it is tried: DEFAULT, FIRST, ENQUEUED, WARM, or a word of the policy's own
    horizon: float = 1.0  # share of the length of the config's training; below 1, the trainer shortens and shifts it
    of: int | None = None  # the trial that first tried these params, at a shorter horizon: both count as one
    repeats: int | None = None  # a completed trial: the config that it came to is trained again, and `params` are its
    # own. A repeat is in history.repeats and counts for no budget of trials
    audit: bool = False  # with `repeats`: the trial was pruned or is paused, and its own training runs to its end


@dataclass(frozen=True)
class GoOn:
    """Resumes a paused trial."""

    trial: int
    until: int | None = None


@dataclass(frozen=True)
class Nothing:
    """No trial for now; the search ends if no trial is in training either. `reason`: a line for people, or empty."""

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
        """Returns the trial to train on a free worker."""

    def judge(self, history: History, trial: TrialHistory) -> Judgement:
        """Returns what becomes of a trial after its latest evaluation."""
