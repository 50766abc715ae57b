"""What the events of a journal add up to, trial by trial: what policies, views and reports read."""

from __future__ import annotations

import contextlib
import gc
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hpsearch.contract import Evaluation
from hpsearch.journal.trial_history import BestEvaluation, TrialHistory, number
from hpsearch.outcome import Outcome

Entry = dict[str, Any]
DESCRIPTION = ("params", "internal", "config")  # of a trial


@dataclass(frozen=True)
class Export:
    """The latest best.yaml of a study: where it was written, and the trial in it."""

    path: str
    trial: int
    outcome: str | None = None  # None in this and the next two: an older version did not record it
    value: float | None = None
    best: BestEvaluation | None = None

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Export:
        """Returns the export of a study_exported event."""
        best = BestEvaluation.from_dict(event.get("best_evaluation"))
        return cls(event["path"], event["trial"], event.get("outcome"), event.get("value"), best)

    def is_of(self, trial: TrialHistory) -> bool:
        """Whether an export of the trial as it is now would have the same contents."""
        return (
            self.trial == trial.number
            and self.outcome in (None, trial.outcome)
            and self.value in (None, trial.value)
            and self.best in (None, trial.best)
        )


@dataclass
class History:
    """One study with all that its journal says so far; `add` may get an event twice."""

    study: str = ""
    created: float = 0.0  # unix seconds; with the name, the identity of the study
    metric: str = "val/loss"
    direction: str = "minimize"
    space: dict[str, Any] = field(default_factory=dict)
    trials: dict[int, TrialHistory] = field(default_factory=dict)
    finished: list[int] = field(default_factory=list)  # trial numbers in the order in which they ended
    last: float = 0.0
    origin: Entry = field(default_factory=dict)  # study_created
    searched: float = 0.0  # seconds of searching by earlier drivers
    began: float | None = None  # start of the driver that has not recorded its stop, unix seconds
    stopped: str | None = None  # why the latest driver stopped; None: it runs, or was killed
    exported: Export | None = None
    allowed_trials: int | None = None  # the budget's, set by the driver; None: no limit

    @classmethod
    def of(cls, events: Iterable[Entry]) -> History:
        """Builds the history of these events."""
        history = cls()
        with uncollected():
            for event in events:
                history.add(event)
        return history

    def add(self, event: Entry) -> None:
        """Adds the next event; ignores unknown kinds."""
        if event["event"] == "study_created":
            self._created(event)
        elif event["event"] in ("driver_started", "driver_stopped"):
            self._driver(event)
        elif event["event"] == "study_exported":
            self.exported = Export.from_event(event)
        elif "trial" in event and event["event"].startswith(("trial_", "evaluation")):
            self._of_trial(event)
        self.last = max(self.last, event["time"])

    @property
    def room(self) -> int | None:
        """The number of new trials that the budget still allows; None: no limit but the hours."""
        return None if self.allowed_trials is None else max(0, self.allowed_trials - len(self.trials))

    @property
    def seconds(self) -> float:
        """Seconds of searching, over all drivers."""
        return self.searched + (max(0.0, self.last - self.began) if self.began is not None else 0.0)

    def ranked(self, *, among: Iterable[int] | None = None, unfinished: bool = False) -> list[TrialHistory]:
        """Returns the COMPLETE trials, the best first, of all or of the given numbers; equal ones by number.

        unfinished: also the trials that have not ended (see `so_far`), after COMPLETE ones of the same value.
        """
        sign = 1 if self.direction == "minimize" else -1
        trials = list(self.trials.values()) if among is None else [self.trials[n] for n in among]
        if unfinished:
            trials = [self.so_far(trial) for trial in trials]
        found = [t for t in trials if t.counts or t.outcome is Outcome.UNFINISHED]
        found = [t for t in found if math.isfinite(number(t.value))]
        return sorted(found, key=lambda t: (sign * number(t.value), t.outcome is Outcome.UNFINISHED, t.number))

    def leader(self) -> TrialHistory | None:
        """Returns the trial with the best value, unfinished trials included; None if no trial has a value."""
        return next(iter(self.ranked(unfinished=True)), None)

    def so_far(self, trial: TrialHistory) -> TrialHistory:
        """Returns an unfinished trial with its best evaluation as its value; any other trial unchanged.

        What was measured counts: the same config, trained to that evaluation, has the same value.
        """
        best = self.best_place(trial.number) if trial.outcome is None and trial.config else None
        return trial if best is None else replace(trial, outcome=Outcome.UNFINISHED, value=best.value, best=best)

    def best_place(self, trial: int) -> BestEvaluation | None:
        """Returns the place and value of the trial's best evaluation; None if it has none."""
        best = self.best_evaluation(trial)
        return None if best is None else BestEvaluation.of(best, self.metric)

    def best(self, *, among: Iterable[int] | None = None) -> TrialHistory | None:
        """Returns the best COMPLETE trial, of all or of the given numbers; of equal ones the lowest number."""
        numbers = self.trials if among is None else among
        found = [self.trials[n] for n in numbers if self.trials[n].counts]
        found = [trial for trial in found if trial.value is not None and math.isfinite(trial.value)]
        sign = 1 if self.direction == "minimize" else -1
        return min(found, key=lambda trial: (sign * number(trial.value), trial.number), default=None)

    def tied(self, trial: TrialHistory) -> list[int]:
        """Returns the numbers of the other COMPLETE trials with exactly the trial's value."""
        others = (t for t in self.trials.values() if t.counts and t.number != trial.number)
        return sorted(t.number for t in others if t.value is not None and t.value == trial.value)

    def best_evaluation(self, trial: int, *, until: int | None = None) -> Evaluation | None:
        """Returns the trial's best evaluation by the objective, up to the index `until`.

        Of equal ones the last, or for a finished trial the one that its journal names (older versions chose the first).
        """
        evaluations, ended = self.trials[trial].evaluations, self.trials[trial].best
        named = ended.index if ended else None
        sign = 1 if self.direction == "minimize" else -1
        found = {
            index: sign * number(e.metrics[self.metric])
            for index, e in evaluations.items()
            if self.metric in e.metrics and (until is None or index <= until)
        }
        best = min((value for value in found.values() if math.isfinite(value)), default=None)
        equal = [index for index, value in found.items() if value == best]
        return evaluations[named if named in equal and until is None else max(equal)] if equal else None

    def better(self, a: float, b: float) -> bool:
        """Whether the objective's value a beats b."""
        return a < b if self.direction == "minimize" else a > b

    def _driver(self, event: Entry) -> None:
        for trial in self.trials.values():
            trial.stop(trial.last)  # its worker went with the driver
        if event["event"] == "driver_started":
            self.searched = self.seconds
            self.began, self.stopped = event["time"], None
        else:
            if self.began is not None:
                self.searched += max(0.0, event["time"] - self.began)
            self.began, self.stopped = None, event["reason"]  # what comes after it, as an export, is no searching

    def _created(self, event: Entry) -> None:
        self.origin = event
        self.study, self.created, self.space = event["study"], event["time"], event.get("space", {})
        self.metric, self.direction = event["objective"]["metric"], event["objective"]["direction"]

    def _of_trial(self, event: Entry) -> None:
        number, at = event["trial"], event["time"]
        trial = self.trials.get(number)
        if trial is None:
            trial = self.trials[number] = TrialHistory(number, asked=at)
        if at > trial.last:
            trial.last = at
        getattr(self, "_" + event["event"], _pass_over)(trial, event)

    def _trial_asked(self, trial: TrialHistory, event: Entry) -> None:
        trial.asked = event["time"]
        trial.until = event.get("until")
        self._described(trial, event)

    def _described(self, trial: TrialHistory, event: Entry) -> None:
        """Sets params and config, which several events of a trial repeat: a line may be damaged."""
        for name in DESCRIPTION:
            if name in event:
                setattr(trial, name, event[name])

    def _trial_started(self, trial: TrialHistory, event: Entry) -> None:
        self._described(trial, event)
        trial.attempt, trial.device = event.get("attempt", 1), event.get("device", "")
        trial.threads, trial.until = event.get("threads", 1), event.get("until")
        trial.running, trial.paused = trial.outcome is None, False
        trial.started = event["time"] if trial.running else 0.0

    def _evaluation(self, trial: TrialHistory, event: Entry) -> None:
        raw = event["evaluation"]
        if raw["index"] in trial.evaluations:
            return
        points = raw.get("points", ())
        trial.evaluations[raw["index"]] = Evaluation.from_dict(raw, time=event["time"], points=False)
        for point in points:
            if "train/loss" in point["metrics"]:
                trial.training.append((point["tokens"], number(point["metrics"]["train/loss"])))

    def _trial_interrupted(self, trial: TrialHistory, event: Entry) -> None:
        trial.stop(event["time"])
        if event.get("died"):
            trial.deaths.add(trial.attempt)
        trial.alone = trial.alone or bool(event.get("alone"))

    def _trial_paused(self, trial: TrialHistory, event: Entry) -> None:
        if trial.outcome is None:  # the event may come twice
            trial.stop(event["time"])
            trial.paused = True
            trial.paused_at, trial.reason = event["evaluation"], event.get("reason") or ""

    def _trial_resumed(self, trial: TrialHistory, event: Entry) -> None:
        if trial.outcome is None:
            trial.paused, trial.until, trial.reason = False, event.get("until"), ""

    def _trial_finished(self, trial: TrialHistory, event: Entry) -> None:
        self._described(trial, event)
        if trial.outcome is None:  # the event may come twice
            self.finished.append(trial.number)
        trial.stop(event["time"])
        trial.paused, trial.outcome = False, Outcome.of(event["outcome"])
        trial.value, trial.best = event.get("value"), BestEvaluation.from_dict(event.get("best_evaluation"))
        trial.reason, trial.seconds = event.get("reason") or "", event.get("seconds") or 0.0


def _pass_over(trial: TrialHistory, event: Entry) -> None:
    """Ignores an event of a kind that only a later version knows."""


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Disables Python's cyclic garbage collector while many long-lived values are made.

    It would scan all of them again and again: two thirds of the time to read a long journal.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
