"""What a journal says, trial by trial: the form in which the views and the report read it."""

from __future__ import annotations

import contextlib
import gc
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hpsearch.contract import Evaluation
from hpsearch.outcome import Outcome

Entry = dict[str, Any]
DESCRIPTION = ("params", "internal", "config")  # of a trial


@dataclass(frozen=True)
class BestEvaluation:
    """Where a trial's best evaluation was, and its value of the objective."""

    index: int
    value: float = math.nan
    step: int = 0
    tokens: int = 0
    epoch: float = 0.0
    progress: float = 0.0

    @classmethod
    def of(cls, evaluation: Evaluation, metric: str) -> BestEvaluation:
        """The place of an evaluation, and its value of the metric."""
        place = (evaluation.step, evaluation.tokens, evaluation.epoch, evaluation.progress)
        return cls(evaluation.index, evaluation.metrics[metric], *place)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any] | None) -> BestEvaluation | None:
        """The value that the end of a trial has in the journal; None: it has none."""
        return None if not raw else cls(**{key: raw[key] for key in cls.__dataclass_fields__ if key in raw})


@dataclass
class TrialHistory:
    """One trial as far as it has got."""

    number: int
    params: dict[str, Any] = field(default_factory=dict)  # by short name, as people see them
    internal: dict[str, Any] = field(default_factory=dict)  # the same as the sampler knows them
    config: dict[str, Any] = field(default_factory=dict)
    asked: float = 0.0  # unix seconds
    last: float = 0.0  # time of its latest event
    attempt: int = 0
    deaths: set[int] = field(default_factory=set)  # attempts that ended with the death of their worker
    alone: bool = False  # it is to have its device for itself: beside others its memory ran out
    device: str = ""
    threads: int = 1
    running: bool = False
    paused: bool = False  # by decision; it stays so until the policy resumes it
    paused_at: int = 0  # evaluation after which it paused last
    until: int | None = None  # evaluation at which it pauses next, unless it is judged otherwise
    outcome: Outcome | None = None  # None: it has not ended
    value: float | None = None
    best: BestEvaluation | None = None
    reason: str = ""
    seconds: float = 0.0
    evaluations: dict[int, Evaluation] = field(default_factory=dict)  # by index, without their points
    training: list[tuple[int, float]] = field(default_factory=list)  # (tokens, training loss)

    @property
    def status(self) -> Outcome:
        """How the trial ended, or its state while it has not."""
        waits = Outcome.PAUSED if self.paused else Outcome.INTERRUPTED
        return self.outcome or (Outcome.RUNNING if self.running else waits)

    @property
    def state(self) -> str | None:
        """The trial's state in Optuna's words (COMPLETE, PRUNED, FAIL); None: it has not ended."""
        return self.outcome.optuna_state if self.outcome is not None and self.outcome.ended else None

    @property
    def counts(self) -> bool:
        """Whether the trial ended with a value by which it can win."""
        return self.outcome is not None and self.outcome.counts

    @property
    def peak_memory(self) -> int:
        """Bytes, the most that it had over all its evaluations; 0: none said so."""
        return max((e.peak_memory for e in self.evaluations.values()), default=0)

    @property
    def precision(self) -> str:
        """What its training's `precision` came to (bf16, fp32); empty: no evaluation says so."""
        return next((e.precision for e in self.evaluations.values() if e.precision), "")

    def training_loss(self) -> list[tuple[float, float]]:
        """(tokens, training loss): its points, or where they are not kept the means between evaluations."""
        if self.training:
            return [(float(tokens), loss) for tokens, loss in self.training]
        return [(float(e.tokens), interval_loss(e.metrics)) for _, e in sorted(self.evaluations.items())]

    def curve(self, metric: str, x: str = "progress") -> tuple[list[float], list[float]]:
        """The metric at each evaluation that has it, over `x` (progress, tokens, epoch, index); may hold nan."""
        found = [e for _, e in sorted(self.evaluations.items()) if metric in e.metrics]
        return [float(getattr(e, x)) for e in found], [number(e.metrics[metric]) for e in found]


@dataclass
class History:
    """One study as far as its journal goes; `add` may see an event twice."""

    study: str = ""
    created: float = 0.0  # unix seconds; with the name, the identity of the study
    metric: str = "val/loss"
    direction: str = "minimize"
    space: dict[str, Any] = field(default_factory=dict)
    trials: dict[int, TrialHistory] = field(default_factory=dict)
    finished: list[int] = field(default_factory=list)  # trial numbers in the order in which they ended
    last: float = 0.0
    origin: Entry = field(default_factory=dict)  # study_created
    searched: float = 0.0  # seconds of searching by the drivers before that
    began: float | None = None  # when the driver started that has not said that it stopped
    stopped: str | None = None  # why the latest driver stopped; None: it runs, or was killed
    exported: Entry | None = None
    allowed_trials: int | None = None  # the budget's, set by the driver; None: no limit

    @classmethod
    def of(cls, events: Iterable[Entry]) -> History:
        """The history that these events tell."""
        history = cls()
        with uncollected():
            for event in events:
                history.add(event)
        return history

    def add(self, event: Entry) -> None:
        """Takes in the next event; kinds it does not know are passed over."""
        if event["event"] == "study_created":
            self._created(event)
        elif event["event"] in ("driver_started", "driver_stopped"):
            self._driver(event)
        elif event["event"] == "study_exported":
            self.exported = event
        elif "trial" in event and event["event"].startswith(("trial_", "evaluation")):
            self._of_trial(event)
        self.last = max(self.last, event["time"])

    @property
    def room(self) -> int | None:
        """How many new trials the budget still allows; None: as many as there is time for."""
        return None if self.allowed_trials is None else max(0, self.allowed_trials - len(self.trials))

    @property
    def seconds(self) -> float:
        """Seconds of searching, over all drivers."""
        return self.searched + (max(0.0, self.last - self.began) if self.began is not None else 0.0)

    def ranked(self, *, among: Iterable[int] | None = None, unfinished: bool = False) -> list[TrialHistory]:
        """The COMPLETE trials, the best first, of all or of the numbers given; equal ones by number.

        unfinished: with those that have not ended, as `so_far` gives them; of equal values a COMPLETE one comes first.
        """
        sign = 1 if self.direction == "minimize" else -1
        trials = list(self.trials.values()) if among is None else [self.trials[n] for n in among]
        if unfinished:
            trials = [self.so_far(trial) for trial in trials]
        found = [t for t in trials if t.counts or t.outcome is Outcome.UNFINISHED]
        found = [t for t in found if math.isfinite(number(t.value))]
        return sorted(found, key=lambda t: (sign * number(t.value), t.outcome is Outcome.UNFINISHED, t.number))

    def leader(self) -> TrialHistory | None:
        """The trial with the best value of all that was measured, unfinished ones included; None: there is none."""
        return next(iter(self.ranked(unfinished=True)), None)

    def so_far(self, trial: TrialHistory) -> TrialHistory:
        """A trial that has not ended with its best evaluation as its value; another one, or one without any, as it is.

        What has been measured counts: the same config, ended at that evaluation, comes to the same value.
        """
        best = self.best_place(trial.number) if trial.outcome is None and trial.config else None
        return trial if best is None else replace(trial, outcome=Outcome.UNFINISHED, value=best.value, best=best)

    def best_place(self, trial: int) -> BestEvaluation | None:
        """Where the trial's best evaluation was, and its value, as the end of a trial says it."""
        best = self.best_evaluation(trial)
        return None if best is None else BestEvaluation.of(best, self.metric)

    def best(self, *, among: Iterable[int] | None = None) -> TrialHistory | None:
        """The COMPLETE trial with the best value, among all or the numbers given; of equal ones the lowest number."""
        numbers = self.trials if among is None else among
        found = [self.trials[n] for n in numbers if self.trials[n].counts]
        found = [trial for trial in found if trial.value is not None and math.isfinite(trial.value)]
        sign = 1 if self.direction == "minimize" else -1
        return min(found, key=lambda trial: (sign * number(trial.value), trial.number), default=None)

    def tied(self, trial: TrialHistory) -> list[int]:
        """The other COMPLETE trials that have the trial's very value."""
        others = (t for t in self.trials.values() if t.counts and t.number != trial.number)
        return sorted(t.number for t in others if t.value is not None and t.value == trial.value)

    def best_evaluation(self, trial: int, *, until: int | None = None) -> Evaluation | None:
        """The trial's best evaluation by the objective, up to the index `until`.

        Of equal ones the last, or where the trial has finished the one that its journal names (once it was the first).
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
            trial.running = False  # its worker went with the driver
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
        """What a trial is: said when it is asked for, and again when it starts and ends, for a line may be damaged."""
        for name in DESCRIPTION:
            if name in event:
                setattr(trial, name, event[name])

    def _trial_started(self, trial: TrialHistory, event: Entry) -> None:
        self._described(trial, event)
        trial.attempt, trial.device = event.get("attempt", 1), event.get("device", "")
        trial.threads, trial.until = event.get("threads", 1), event.get("until")
        trial.running, trial.paused = trial.outcome is None, False

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
        trial.running = False
        if event.get("died"):
            trial.deaths.add(trial.attempt)
        trial.alone = trial.alone or bool(event.get("alone"))

    def _trial_paused(self, trial: TrialHistory, event: Entry) -> None:
        if trial.outcome is None:  # the event may come twice
            trial.running, trial.paused = False, True
            trial.paused_at, trial.reason = event["evaluation"], event.get("reason") or ""

    def _trial_resumed(self, trial: TrialHistory, event: Entry) -> None:
        if trial.outcome is None:
            trial.paused, trial.until, trial.reason = False, event.get("until"), ""

    def _trial_finished(self, trial: TrialHistory, event: Entry) -> None:
        self._described(trial, event)
        if trial.outcome is None:  # the event may come twice
            self.finished.append(trial.number)
        trial.running, trial.paused, trial.outcome = False, False, Outcome.of(event["outcome"])
        trial.value, trial.best = event.get("value"), BestEvaluation.from_dict(event.get("best_evaluation"))
        trial.reason, trial.seconds = event.get("reason") or "", event.get("seconds") or 0.0


def _pass_over(trial: TrialHistory, event: Entry) -> None:
    """What becomes of an event of a kind from the future."""


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Holds Python's cyclic garbage collector back while many values that stay are made.

    It would walk over all of them again and again: two thirds of the time that a long journal takes to read.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def interval_loss(metrics: dict[str, Any]) -> float:
    """The mean training loss since the evaluation before; nan where it is not known. (Once it was `train/loss`.)"""
    return number(metrics.get("train/interval_loss", metrics.get("train/loss")))


def number(value: Any) -> float:
    """The value as a float; nan for None and for infinities, which ruin charts."""
    return float(value) if value is not None and math.isfinite(value) else math.nan
