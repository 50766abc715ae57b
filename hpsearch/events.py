"""The events of a search or a final training: `hpsearch.run(..., progress=show)` calls `show` with each of them.

A search: Preparing (several), Opened, then Started, Measured, Paused, Interrupted and Finished for its trials, at the
end Searched and Shipped. SearchPaused and SearchResumed when a person pauses it. `hpsearch.watch` begins with Watched
in place of Opened, and ends with Left.
A final training: Preparing (several), Prepared, Stepped now and then, Trained for each evaluation, Testing; Resumed
where an earlier call of it was stopped or killed.
A check: Preparing (several), Judging, then Judged for each part as it is known. A Notice may come at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch.contract import Evaluation, WorkerSettings
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.space.experiment import Experiment


@dataclass(frozen=True)
class Notice:
    """A line for people; warnings start with "warning: "."""

    line: str


@dataclass(frozen=True)
class Preparing:
    """The data are being read, tokenised or copied."""

    what: str
    share: float  # done, 0..1


# ----------------------------------------------------------------------------------------------------------- a search


@dataclass(frozen=True)
class Opened:
    """The study is open, and the search starts."""

    experiment: Experiment
    history: History
    folder: Path  # the study's
    data: list[str]  # a line per data set
    workers: list[WorkerSettings]
    waiting: int  # interrupted trials of earlier runs, which are resumed first


@dataclass(frozen=True)
class Started:
    """A worker started a trial (attempt 2 and later: resumed it)."""

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
    """A trial has ended, and its outcome is on disk."""

    trial: TrialHistory
    slot: int


@dataclass(frozen=True)
class Paused:
    """The policy paused a trial and may resume it; `saved`: its state was saved now, else an earlier one is used."""

    trial: TrialHistory
    slot: int
    reason: str
    saved: bool = False


@dataclass(frozen=True)
class Interrupted:
    """A trial was stopped and will be resumed; `saved`: its state was saved now, else an earlier checkpoint is used."""

    trial: TrialHistory
    slot: int
    reason: str
    saved: bool = False


@dataclass(frozen=True)
class SearchPaused:
    """A person has paused the search: no trial is in training, and the devices are free."""

    history: History


@dataclass(frozen=True)
class SearchResumed:
    """The search goes on after a pause."""

    history: History


@dataclass(frozen=True)
class Watched:
    """A study is watched from outside of its search."""

    history: History
    folder: Path  # the study's
    state: str  # "running", or why it does not run: one of `hpsearch.displays.live.following.State`


@dataclass(frozen=True)
class Left:
    """The watched search runs no more."""

    history: History
    folder: Path
    state: str


@dataclass(frozen=True)
class Searched:
    """The search has ended; MLflow and the Optuna database may still lag."""

    history: History
    stopped: bool  # on request, before the budget was spent
    idle: bool  # the budget was spent before this run


@dataclass(frozen=True)
class Shipped:
    """The winner is exported, and the wait for the views is over."""

    exported: Path | None  # best.yaml; None: no trial has a value
    lacking: dict[str, int]  # view -> number of journal events and pictures that it lacks


# ----------------------------------------------------------------------------------------------------- a final training


@dataclass(frozen=True)
class Prepared:
    """The data are ready, and the training starts."""

    data: list[str]  # a line per data set


@dataclass(frozen=True)
class Resumed:
    """The training of a seed goes on from what an earlier call, which was stopped or killed, has saved, if anything."""

    seed: int
    step: int  # 0: nothing was saved, it starts again
    evaluation: int  # index of the last one before it; 0: none
    done: bool = False  # it had ended: it only lacks the test, or other seeds

    @property
    def line(self) -> str:
        """The same in a line."""
        if self.done:
            return f"resumed: the training of seed {self.seed} had ended, at step {self.step:,}"
        if not self.step and not self.evaluation:
            return f"started again: the training of seed {self.seed} had saved no state"
        after = f", after evaluation {self.evaluation}" if self.evaluation else ""
        return f"resumed: the training of seed {self.seed} goes on from step {self.step:,}{after}"


@dataclass(frozen=True)
class Stepped:
    """Where the training stands between two evaluations; several a second at most."""

    seed: int
    step: int
    share: float  # of the training, 0..1; 0: the trainer does not say it
    number: int = 1  # of the seed, of `seeds`
    seeds: int = 1


@dataclass(frozen=True)
class Trained:
    """The training was evaluated."""

    evaluation: Evaluation
    metric: str  # the objective; not among the metrics where the validation data are trained on
    share: float  # of the training, 0..1
    seed: int | None = None
    number: int = 1  # of the seed, of `seeds`
    seeds: int = 1


@dataclass(frozen=True)
class Testing:
    """The training has ended; the best weights are being tested."""


# ------------------------------------------------------------------------------------------------------------ a check


@dataclass(frozen=True)
class Judging:
    """A check begins to train a config."""

    study: str
    trainer: str
    device: str
    params: Mapping[str, Any]  # of the config, as trials have them
    parts: tuple[str, ...]  # of the contract, which will be judged


@dataclass(frozen=True)
class Judged:
    """A part of the contract was judged."""

    name: str
    passed: bool | None  # None: it was not checked
    line: str  # what was seen
    not_promised: str = ""
    mend: str = ""
    output: tuple[str, ...] = ()  # the last lines of a training that failed


OfTrial = Started | Measured | Finished | Paused | Interrupted
OfTraining = Prepared | Resumed | Stepped | Trained | Testing
OfWatching = Watched | Left
OfPause = SearchPaused | SearchResumed
OfCheck = Judging | Judged
Event = Notice | Preparing | Opened | OfTrial | OfPause | OfWatching | Searched | Shipped | OfTraining | OfCheck
Show = Callable[[Event], None]
