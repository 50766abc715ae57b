"""A search at one moment as people look at it: a value, made of the history of its journal.

`hpsearch run` makes it of its own history, `hpsearch watch` of a journal that another process writes. Displays draw it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hpsearch.contract import Evaluation
from hpsearch.displays.live.plan import Plan
from hpsearch.displays.live.progress import Progress, elapsed, is_confirming, progress
from hpsearch.journal.branch_labels import unfolded
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory, number
from hpsearch.results.evidence.comparisons import fresh_margin, lead_margin


@dataclass(frozen=True)
class InTraining:
    """A trial in training."""

    number: int
    name: str  # "trial 3", "trial 3 seed 2", "audit of trial 3"
    params: Mapping[str, Any]  # the most telling first
    attempt: int = 1
    progress: float = 0.0  # 0 to 1
    value: float = math.nan  # the latest; nan: not measured
    curve: tuple[float, ...] = ()  # the objective at its evaluations; values may be nan
    seconds: float = 0.0  # in training at the time of the state
    tokens_per_second: float | None = None
    device: str = ""
    memory: int = 0  # bytes, the peak; 0: unknown
    device_memory: int = 0  # bytes of its device; 0: it has none of its own

    def measured(self, evaluation: Evaluation, metric: str) -> InTraining:
        """The same after another evaluation."""
        if evaluation.branch:
            return replace(self, value=number(evaluation.metrics.get(metric)), progress=1.0)
        value = number(evaluation.metrics.get(metric))
        rate = evaluation.tokens / evaluation.seconds if evaluation.tokens and evaluation.seconds else None
        return replace(
            self,
            progress=evaluation.progress,
            value=value,
            curve=(*self.curve, value) if metric in evaluation.metrics else self.curve,
            tokens_per_second=rate,
            memory=max(self.memory, evaluation.peak_memory),
            device_memory=evaluation.device_memory or self.device_memory,
        )


@dataclass(frozen=True)
class Best:
    """The best trial so far."""

    number: int
    value: float
    params: Mapping[str, Any]  # the most telling first
    epoch: float = 0.0
    lead: float | None = None  # by how much it is better than the default config; None: not known
    is_default: bool = False
    seeds: int = 0  # fresh seeds that `value` is the mean of; 0: it is that of the search


@dataclass(frozen=True)
class Memory:
    """The memory that the trainings on one device take."""

    used: int  # bytes
    total: int = 0  # 0: the device has none of its own
    device: str = ""


@dataclass(frozen=True)
class LiveState:
    """A search at one moment."""

    study: str
    metric: str
    at: float  # unix seconds
    phase: str = ""  # empty: it searches; else "confirming", "auditing", "paused"
    progress: Progress = field(default_factory=Progress)
    best: Best | None = None
    running: tuple[InTraining, ...] = ()
    ended: Mapping[str, int] = field(default_factory=dict)  # trials by outcome, the most first
    trials_per_hour: float | None = None
    tokens_per_second: float | None = None
    memory: tuple[Memory, ...] = ()
    note: str = ""  # what it waits for if nothing is in training

    @classmethod
    def of(cls, history: History, plan: Plan, *, at: float, note: str = "") -> LiveState:
        """The state of a search; at: unix seconds."""
        default = history.default()
        trials = [trial for trial in history.everything.values() if trial.running]
        running = tuple(_in_training(trial, history, default, at=at) for trial in sorted(trials, key=_number))
        seconds, ended = elapsed(history, at=at), len(history.finished)
        counted, searches = _counted(history, plan)
        state = cls(
            history.study,
            history.metric,
            at,
            phase=_phase(history, plan),
            progress=progress(history, plan, at=at),
            best=_best(history, default),
            running=running,
            ended=dict(Counter(t.kind for t in counted if not t.running).most_common()),
            trials_per_hour=ended / seconds * 3600 if searches and ended and seconds > 0 else None,
            note=note,
        )
        return state._with_rates()

    def measured(self, trial: int, evaluation: Evaluation, *, at: float) -> LiveState:
        """The state after an evaluation of a trial in training, without what follows from it for the best."""
        passed = at - self.at
        running = tuple(
            replace(one.measured(evaluation, self.metric) if one.number == trial else one, seconds=one.seconds + passed)
            for one in self.running
        )
        return replace(self, at=at, running=running, progress=self.progress.later(passed))._with_rates()

    def later(self, at: float) -> LiveState:
        """The state at a later time at which nothing has happened since."""
        passed = max(0.0, at - self.at)
        if self.phase == "paused":
            return replace(self, at=at)
        running = tuple(replace(one, seconds=one.seconds + passed) for one in self.running)
        return replace(self, at=at, running=running, progress=self.progress.later(passed))

    def _with_rates(self) -> LiveState:
        rates = [one.tokens_per_second for one in self.running if one.tokens_per_second]
        return replace(self, tokens_per_second=sum(rates) if rates else None, memory=_memory(self.running))


def _number(trial: TrialHistory) -> int:
    return trial.number


def _phase(history: History, plan: Plan) -> str:
    if history.on_hold:
        return "paused"
    if plan.audits:
        return "auditing"
    return "confirming" if is_confirming(history, plan) else ""


def _counted(history: History, plan: Plan) -> tuple[list[TrialHistory], bool]:
    """The trainings that are under way and those like them: trials, repeats or audits; and whether it searches."""
    if plan.audits:
        return list(history.audits.values()), False
    if is_confirming(history, plan):
        return [one for one in history.repeats.values() if not one.audits], False
    return list(history.trials.values()), True


def _in_training(trial: TrialHistory, history: History, default: TrialHistory | None, *, at: float) -> InTraining:
    _, curve = trial.curve(history.metric)
    latest = trial.evaluations[max(trial.evaluations)] if trial.evaluations else None
    rate = None
    if latest is not None and latest.tokens and latest.seconds:
        rate = latest.tokens / latest.seconds
    return InTraining(
        trial.number,
        _name(trial),
        telling(trial.params, default),
        attempt=trial.attempt,
        progress=latest.progress if latest is not None else 0.0,
        value=curve[-1] if curve else math.nan,
        curve=tuple(curve),
        seconds=trial.seconds_so_far(at),
        tokens_per_second=rate,
        device=trial.device,
        memory=trial.peak_memory,
        device_memory=latest.device_memory if latest is not None else 0,
    )


def _name(trial: TrialHistory) -> str:
    if trial.audits or trial.confirms is None:
        return trial.name
    return f"trial {trial.confirms} seed {trial.repeat}"


def _best(history: History, default: TrialHistory | None) -> Best | None:
    best = history.leader()
    if best is None or best.value is None:
        return None
    found, sign = history.confirmation, 1 if history.direction == "minimize" else -1
    mean = found.of(best.number) if found is not None else None
    value = mean.mean if mean is not None else best.value
    base = margin = None
    if default is not None and found is not None:
        again = found.of(default.number)
        base = None if again is None else again.mean
        margin = None if again is None else fresh_margin(history, found, again)
    elif default is not None and default.is_whole:
        base, margin = default.value, lead_margin(history, best, default)
    lead = None if base is None or not math.isfinite(base - value) else sign * (base - value)
    if lead is not None and margin is not None and 0 < lead <= margin:
        lead = None  # it may be chance
    return Best(
        best.number,
        value,
        telling(best.told_params, default),
        epoch=best.best.epoch if best.best is not None else 0.0,
        lead=lead,
        is_default=default is not None and best.number == default.number,
        seeds=len(mean.values) if mean is not None else 0,
    )


def telling(params: Mapping[str, Any], default: TrialHistory | None) -> dict[str, Any]:
    """Params by short names, the last part of a dotted one; first those that differ from the default config's."""
    params, known = unfolded(params), {} if default is None else default.sampled_params
    ordered = sorted(params, key=lambda name: name in known and known[name] == params[name])
    short = {name: name.rpartition(".")[2] for name in params}
    twice = {name for name, count in Counter(short.values()).items() if count > 1}
    return {name if short[name] in twice else short[name]: params[name] for name in ordered}


def _memory(running: tuple[InTraining, ...]) -> tuple[Memory, ...]:
    """The memory by device; all trainings without a device memory of their own are processes of one machine."""
    found: dict[str, Memory] = {}
    for one in running:
        if one.memory:
            device = one.device if one.device_memory else ""
            before = found.get(device, Memory(0, one.device_memory, device))
            found[device] = replace(before, used=before.used + one.memory)
    return tuple(found.values())
