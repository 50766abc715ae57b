"""What the events of a journal add up to, trial by trial: what policies, views and reports read."""

from __future__ import annotations

import math
from collections import ChainMap, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hpsearch.contract import Evaluation
from hpsearch.journal.confirmation import Confirmation, confirmation
from hpsearch.journal.device_time import DeviceTime
from hpsearch.journal.export import Export
from hpsearch.journal.origin import Origin
from hpsearch.journal.request import ENQUEUED, REFUSED, Request
from hpsearch.journal.trial_history import BestEvaluation, TrialHistory, number
from hpsearch.journal.warm import WARMED, Warm
from hpsearch.outcome import Outcome
from hpsearch.system.uncollected import uncollected

Entry = dict[str, Any]
DESCRIPTION = ("params", "internal", "config")  # of a trial
OF_REPEATS = ("confirms", "repeat", "audits")  # of a repeat, besides
OF_HORIZONS = ("horizon", "of")  # of a trial at a shorter horizon than its config's, and of one that continues it
FIRST_REPEAT = 1_000_000  # numbers from here on are of repeats
MAX_TRIALS = FIRST_REPEAT  # of a budget
_OF_A_TRIAL = ("evaluation", "trial_")  # how the names of a trial's events begin
_NOT_OF_A_DRIVER = ("event", "origin", "after", "warnings")  # keys of a driver_started event


@dataclass
class History:
    """One study with all that its journal says so far; `add` may get an event twice."""

    study: str = ""
    created: float = 0.0  # unix seconds; with the name, the identity of the study
    metric: str = "val/loss"
    direction: str = "minimize"
    space: Mapping[str, Any] = field(default_factory=dict)
    trials: dict[int, TrialHistory] = field(default_factory=dict)  # of the search
    repeats: dict[int, TrialHistory] = field(default_factory=dict)  # of its best trials, with other seeds; and audits
    finished: list[int] = field(default_factory=list)  # trial numbers in the order in which they ended
    last: float = 0.0
    origin: Origin = field(default_factory=Origin)
    searched: float = 0.0  # seconds of searching by earlier drivers
    began: float | None = None  # start of the driver that has not recorded its stop, unix seconds
    stopped: str | None = None  # why the latest driver stopped; None: it runs, or was killed
    on_hold: bool = False  # a person has paused the search (`hpsearch pause`), and its driver waits
    driver: Mapping[str, Any] = field(default_factory=dict, compare=False)  # who the latest driver is, and its budget
    allowed: Mapping[str, Any] | None = field(default=None, compare=False)  # budget of the latest search, if recorded
    exported: Export | None = None
    devices: DeviceTime = field(default_factory=DeviceTime, compare=False)
    extension: dict[str, float] = field(default_factory=dict)  # limits of the budget that `hpsearch extend` has raised
    requests: dict[str, Request] = field(default_factory=dict)  # configs that people enqueued, by id, in order
    warm: dict[str, Warm] = field(default_factory=dict)  # what was learnt from other studies, by their names
    baselines: list[Entry] = field(default_factory=list)  # name, metrics, note of each; empty: not measured
    baselines_failed: list[str] = field(default_factory=list)  # a line for each that could not be measured
    baselines_by: str = ""  # the code that measured them
    warnings: list[str] = field(default_factory=list)  # about the space and the data, each told by one run
    allowed_trials: int | None = None  # the budget's, set by the driver; None: no limit
    closed: bool = False  # set by the driver: the search has ended for this run, what is left are repeats
    _continuing: set[int] = field(default_factory=set)  # trials of a config that an earlier one tried

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
        kind, at = event["event"], event["time"]
        if kind.startswith(_OF_A_TRIAL):
            if "trial" in event:
                self._of_trial(event)
        elif kind == "study_created":
            self._created(event)
        elif kind in ("driver_started", "driver_stopped"):
            self._driver(event)
        elif kind in ("search_paused", "search_resumed"):
            self._hold(event)
        elif kind == "budget_extended":
            self.extension = {**self.extension, **event["limits"]}
        elif kind == "study_exported":
            self.exported = Export.from_event(event)
        elif kind == "baselines_measured":
            self.baselines, self.baselines_by = event["baselines"], event.get("code", "")
            self.baselines_failed = event.get("failed", [])
        elif kind in (ENQUEUED, REFUSED):
            self.requests.setdefault(event["id"], Request.from_event(event))
        elif kind == WARMED:
            self.warm.setdefault(event["study"], Warm.from_event(event, self.metric))
            return  # a new driver records it before its start: the time since the last one ended is not searched
        if at > self.last:
            self.last = at

    @property
    def everything(self) -> ChainMap[int, TrialHistory]:
        """Trials and repeats by number."""
        return ChainMap(self.trials, self.repeats)

    def trial(self, number: int) -> TrialHistory:
        """Returns the trial or the repeat of this number."""
        return self.trials[number] if number < FIRST_REPEAT else self.repeats[number]

    @property
    def is_new(self) -> bool:
        """Whether the study has not been created yet."""
        return not self.origin.study

    @property
    def room(self) -> int | None:
        """The number of new configs that the budget still allows; None: no limit but the hours.

        Each is a trial, or with `search.shift` one to three.
        """
        return None if self.allowed_trials is None else max(0, self.allowed_trials - self.configs)

    @property
    def configs(self) -> int:
        """The number of different configs that were tried: of trials of one config at several horizons, one counts."""
        return len(self.trials) - len(self._continuing)

    @property
    def ended(self) -> int:
        """How many trials have ended or are paused; of a config that was tried at several horizons, one counts."""
        return sum(trial.outcome is not None or trial.paused for trial in self.longest())

    @property
    def seconds(self) -> float:
        """Seconds of searching, over all drivers."""
        return self.searched + (max(0.0, self.last - self.began) if self.began is not None else 0.0)

    @property
    def workers(self) -> int:
        """The workers of the latest driver; without one, the trials in training: at least one."""
        return max(1, self.driver.get("workers") or self.devices.trials)

    @property
    def device_seconds(self) -> float:
        """Seconds in which a device was held for trials, over all devices and drivers (see DeviceTime)."""
        return self.devices.until(self.last)

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

    def waiting(self) -> list[Request]:
        """Returns the enqueued configs that no trial trains whole."""
        tried = [trial.internal for trial in self.trials.values() if trial.horizon == 1]
        return [one for one in self.requests.values() if one.internal is not None and one.internal not in tried]

    def default(self) -> TrialHistory | None:
        """Returns the trial of the default config; None if the study has none."""
        return next((trial for trial in self.trials.values() if trial.label == "default"), None)

    def leader(self) -> TrialHistory | None:
        """Returns the winner: the confirmed one, or the trial with the best value, unfinished trials included.

        None if no trial has a value. A training at a shorter horizon is the winner only if there is no other one.
        """
        if (confirmed := self.confirmation) is not None:
            return self.trials[confirmed.winner.trial]
        return next(iter(self.ranked(unfinished=True)), None) or self.best_short()

    @property
    def is_fruitless(self) -> bool:
        """Whether there are trials, all of them have ended, and none has a value by which it can win."""
        return bool(self.trials) and all(t.status.ended for t in self.trials.values()) and self.leader() is None

    def longest(self) -> list[TrialHistory]:
        """Returns the trials, of each config that was tried at several horizons the one at the longest."""
        found: dict[int, TrialHistory] = {}
        for trial in self.trials.values():
            first = trial.number if trial.of is None else trial.of
            if first not in found or trial.horizon >= found[first].horizon:
                found[first] = trial
        return list(found.values())

    def best_short(self, *, without: Collection[int] = ()) -> TrialHistory | None:
        """Returns the best of the trainings at the longest shorter horizon that have ended; None if there is none.

        without: trials whose configs are passed over.
        """
        sign = 1 if self.direction == "minimize" else -1
        short = (t for t in self.trials.values() if t.outcome is Outcome.SHORT and math.isfinite(number(t.value)))
        found = (t for t in short if (t.number if t.of is None else t.of) not in without)
        return min(found, key=lambda t: (-t.horizon, sign * number(t.value), t.number), default=None)

    @property
    def confirmation(self) -> Confirmation | None:
        """What the repeats that have ended say; None if the trial with the best value has none.

        Repeats that failed for another reason than their loss say nothing.
        """
        fresh: dict[int, list[float]] = defaultdict(list)
        for _, repeat in sorted(self.repeats.items()):
            if (
                repeat.confirms in self.trials
                and not repeat.audits
                and (repeat.counts or repeat.outcome is Outcome.DIVERGED)
            ):
                fresh[repeat.confirms].append(number(repeat.value) if repeat.counts else math.nan)
        best = self.best() if fresh else None
        if best is None or best.number not in fresh:
            return None
        searched = {trial: number(self.trials[trial].value) for trial in fresh}
        return confirmation(searched, fresh, minimize=self.direction == "minimize")

    @property
    def audits(self) -> dict[int, TrialHistory]:
        """The audits by the number of the trial that each trains to its end, in the order in which they began."""
        return {one.confirms: one for _, one in sorted(self.repeats.items()) if one.audits and one.confirms is not None}

    def so_far(self, trial: TrialHistory) -> TrialHistory:
        """Returns an unfinished trial with its best evaluation as its value; any other trial unchanged.

        What was measured counts: the same config, trained to that evaluation, has the same value. (Not of a trial at a
        shorter horizon.)
        """
        is_open = trial.outcome is None and trial.config and trial.horizon == 1
        best = self.best_place(trial.number) if is_open else None
        return trial if best is None else replace(trial, outcome=Outcome.UNFINISHED, value=best.value, best=best)

    def best_place(self, trial: int) -> BestEvaluation | None:
        """Returns the place and value of the trial's best evaluation; None if it has none."""
        best = self.best_evaluation(trial)
        return None if best is None else BestEvaluation.of(best, self.metric)

    def latest_gain(self, trial: TrialHistory) -> float | None:
        """Returns by how much a trial's last evaluation was better than the one before; None if that is unknown."""
        _, values = trial.curve(self.metric)
        if trial.gain is not None or len(values) < 2:
            return trial.gain
        return (values[-2] - values[-1]) * (1 if self.direction == "minimize" else -1)

    def best(self, *, among: Iterable[int] | None = None) -> TrialHistory | None:
        """Returns the best COMPLETE trial, of all or of the given numbers; of equal ones the lowest number."""
        numbers = self.trials if among is None else among
        found = [self.trials[n] for n in numbers if self.trials[n].counts]
        found = [trial for trial in found if trial.value is not None and math.isfinite(trial.value)]
        sign = 1 if self.direction == "minimize" else -1
        return min(found, key=lambda trial: (sign * number(trial.value), trial.number), default=None)

    def leads(self, trial: TrialHistory) -> bool:
        """Whether a trial has a value so far, and of the trials that can win none has a better one."""
        best, first = self.best_place(trial.number), next(iter(self.ranked(unfinished=True)), None)
        return best is not None and (first is None or not self.better(number(first.value), best.value))

    def tied(self, trial: TrialHistory) -> list[int]:
        """Returns the numbers of the other COMPLETE trials with exactly the trial's value."""
        others = (t for t in self.trials.values() if t.counts and t.number != trial.number)
        return sorted(t.number for t in others if t.value is not None and t.value == trial.value)

    def best_evaluation(self, trial: int, *, until: int | None = None) -> Evaluation | None:
        """Returns the trial's best evaluation by the objective, up to the index `until`.

        Of equal ones the last, or for a finished trial the one that its journal names (older versions chose the first).
        `until` passes over branches.
        """
        known = self.trial(trial)
        measured = known.measured if until is None else [e for e in known.evaluations.values() if e.index <= until]
        sign = 1 if self.direction == "minimize" else -1
        values = [sign * number(e.metrics.get(self.metric)) for e in measured]
        best = min(filter(math.isfinite, values), default=None)
        equal = [e for e, value in zip(measured, values, strict=True) if value == best]
        named = known.at(known.best) if known.best and until is None else None
        if named is not None and any(named is e for e in equal):
            return named
        return max(equal, key=lambda e: (bool(e.branch), e.index), default=None)

    def better(self, a: float, b: float) -> bool:
        """Whether the objective's value a beats b."""
        return a < b if self.direction == "minimize" else a > b

    def _driver(self, event: Entry) -> None:
        self.last = max(self.last, event.get("after", 0.0))  # in an outline, the evaluations before it come later
        for trial in self.everything.values():
            trial.stop(trial.last)  # its worker went with the driver
        self.on_hold = False
        if event["event"] == "driver_started":
            self.warnings += [line for line in event.get("warnings", ()) if line not in self.warnings]
            self.driver = {name: value for name, value in event.items() if name not in _NOT_OF_A_DRIVER}
            if event.get("searches", True) and not event.get("audits"):  # others train no trials of a budget
                self.allowed = event.get("budget", self.allowed)
            self.devices.stopped(at=self.last)
            self.searched = self.seconds
            self.began, self.stopped = None if event.get("audits") else event["time"], None  # an audit is no searching
        else:
            self.devices.stopped(at=event["time"])
            if self.began is not None:
                self.searched += max(0.0, event["time"] - self.began)
            self.began, self.stopped = None, event["reason"]  # what comes after it, as an export, is no searching

    def _hold(self, event: Entry) -> None:
        """Notes that the search is paused, or goes on; the time between does not count as searching."""
        self.on_hold = event["event"] == "search_paused"
        if self.on_hold and self.began is not None:
            self.searched += max(0.0, event["time"] - self.began)
        self.began = None if self.on_hold or self.driver.get("audits") else event["time"]

    def _created(self, event: Entry) -> None:
        self.origin = origin = Origin.from_dict(event)
        self.study, self.created, self.space = origin.study, origin.time, origin.space
        self.metric, self.direction = origin.objective["metric"], origin.objective["direction"]

    def _of_trial(self, event: Entry) -> None:
        number, at = event["trial"], event["time"]
        there = self.trials if number < FIRST_REPEAT else self.repeats
        trial = there.get(number)
        if trial is None:
            trial = there[number] = TrialHistory(number, asked=at)
        if at > trial.last:
            trial.last = at
        if (apply := _OF_KIND.get(event["event"])) is not None:  # else of a kind that only a later version knows
            apply(self, trial, event)

    def _trial_asked(self, trial: TrialHistory, event: Entry) -> None:
        trial.asked = event["time"]
        trial.until = event.get("until")
        self._described(trial, event)

    def _described(self, trial: TrialHistory, event: Entry) -> None:
        """Sets params and config, which several events of a trial repeat: a line may be damaged."""
        for name in (*DESCRIPTION, *OF_REPEATS, *OF_HORIZONS, "label"):
            if name in event:
                setattr(trial, name, event[name])
        if trial.of is not None:
            self._continuing.add(trial.number)

    def _trial_started(self, trial: TrialHistory, event: Entry) -> None:
        self._described(trial, event)
        trial.attempt, trial.device = event.get("attempt", 1), event.get("device", "")
        trial.threads, trial.until = event.get("threads", 1), event.get("until")
        trial.running, trial.paused = trial.outcome is None, False
        trial.started = event["time"] if trial.running else 0.0
        if trial.running:
            trial.reason = ""  # of an interruption
            if not trial.audits:  # an audit counts for no budget
                self.devices.started(trial.number, device=trial.device, worker=event.get("worker", 0), at=event["time"])

    def _evaluation(self, trial: TrialHistory, event: Entry) -> None:
        raw = event["evaluation"]
        known = trial.branches if raw.get("branch") else trial.evaluations
        if raw["index"] in known:
            return
        points = () if raw.get("branch") else raw.get("points", ())
        known[raw["index"]] = Evaluation.from_dict(raw, time=event["time"], points=False)
        for point in points:
            if "train/loss" in point["metrics"]:
                trial.training.append((point["tokens"], number(point["metrics"]["train/loss"])))

    def _trial_interrupted(self, trial: TrialHistory, event: Entry) -> None:
        self._stop(trial, event)
        if trial.outcome is None:
            trial.reason = event.get("reason") or ""
        if event.get("died"):
            trial.deaths.add(trial.attempt)
        trial.alone = trial.alone or bool(event.get("alone"))

    def _trial_paused(self, trial: TrialHistory, event: Entry) -> None:
        if trial.outcome is None:  # the event may come twice
            self._stop(trial, event)
            trial.paused = True
            trial.paused_at, trial.reason = event["evaluation"], event.get("reason") or ""

    def _trial_resumed(self, trial: TrialHistory, event: Entry) -> None:
        if trial.outcome is None:
            trial.paused, trial.until, trial.reason = False, event.get("until"), ""

    def _stop(self, trial: TrialHistory, event: Entry) -> None:
        """Ends the trial's attempt: its time counts, and that of its device."""
        trial.stop(event["time"])
        self.devices.ended(trial.number, at=event["time"])

    def _trial_finished(self, trial: TrialHistory, event: Entry) -> None:
        self._described(trial, event)
        if trial.outcome is None and trial.number in self.trials:  # the event may come twice
            self.finished.append(trial.number)
        self._stop(trial, event)
        trial.paused, trial.outcome = False, Outcome.of(event["outcome"])
        trial.value, trial.best = event.get("value"), BestEvaluation.from_dict(event.get("best_evaluation"))
        trial.reason, trial.seconds = event.get("reason") or "", event.get("seconds") or 0.0
        trial.gain = event.get("gain")
        trial.reached = event.get("reached", trial.furthest if trial.branches else None)


_OF_KIND: Mapping[str, Callable[[History, TrialHistory, Entry], None]] = {
    "evaluation": History._evaluation,
    "trial_asked": History._trial_asked,
    "trial_finished": History._trial_finished,
    "trial_interrupted": History._trial_interrupted,
    "trial_paused": History._trial_paused,
    "trial_resumed": History._trial_resumed,
    "trial_started": History._trial_started,
}
