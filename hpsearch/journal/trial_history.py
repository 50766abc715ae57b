"""One trial as far as the journal tells it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hpsearch.contract import Evaluation
from hpsearch.journal.branch_labels import is_label, unfolded
from hpsearch.journal.horizons import shown
from hpsearch.outcome import CUT, Outcome, in_words

NEARLY = 0.9  # share of a training from which its value says of the config what a whole one says


@dataclass(frozen=True)
class BestEvaluation:
    """Where a trial's best evaluation was, and its value of the objective."""

    index: int
    value: float = math.nan
    step: int = 0
    tokens: int = 0
    epoch: float = 0.0
    progress: float = 0.0
    branch: dict[str, dict[str, Any]] = field(default_factory=dict)  # see Evaluation

    @classmethod
    def of(cls, evaluation: Evaluation, metric: str) -> BestEvaluation:
        """The place of an evaluation, and its value of the metric."""
        place = (evaluation.step, evaluation.tokens, evaluation.epoch, evaluation.progress, evaluation.branch)
        return cls(evaluation.index, evaluation.metrics[metric], *place)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any] | None) -> BestEvaluation | None:
        """The value that the end of a trial has in the journal; None: it has none."""
        return None if not raw else cls(**{key: raw[key] for key in cls.__dataclass_fields__ if key in raw})


@dataclass
class TrialHistory:
    """One trial with all that its events say so far."""

    number: int
    confirms: int | None = None  # the trial that it repeats with another seed; None: it is a trial of the search
    repeat: int = 0  # 1, 2, ...: which of that trial's repeats it is
    audits: dict[str, Any] = field(default_factory=dict)  # of an audit: where that trial was stopped (see Study.accept)
    horizon: float = 1.0  # share of the length of its config's training; below 1, `config` is shifted to it
    of: int | None = None  # the trial that first tried its config, at a shorter horizon; None: it does so itself
    params: dict[str, Any] = field(default_factory=dict)  # by short name, as people see them; of the whole horizon
    internal: dict[str, Any] = field(default_factory=dict)  # the same as the sampler knows them
    config: dict[str, Any] = field(default_factory=dict)
    label: str = ""  # why the policy tried it: "default", "first", or a word of its own
    asked: float = 0.0  # unix seconds
    last: float = 0.0  # time of its latest event
    attempt: int = 0
    deaths: set[int] = field(default_factory=set)  # attempts that ended with the death of their worker
    alone: bool = False  # it gets its device alone: beside other trials it ran out of memory
    device: str = ""
    threads: int = 1
    running: bool = False
    paused: bool = False  # by the policy, until the policy resumes it
    paused_at: int = 0  # evaluation of its last pause
    until: int | None = None  # evaluation at which it pauses next if the policy judges CONTINUE
    outcome: Outcome | None = None  # None: it has not ended
    value: float | None = None
    best: BestEvaluation | None = None
    reason: str = ""
    seconds: float = 0.0
    reached: float | None = None  # of one that cooled down: the share of its training to which any of it came
    gain: float | None = None  # of a pruned trial: by how much its last evaluation was better than the one before
    started: float = field(default=0.0, compare=False)  # unix seconds; 0: it is not in training
    trained: float = field(default=0.0, compare=False)  # seconds of its earlier attempts, as the driver measured them
    evaluations: dict[int, Evaluation] = field(default_factory=dict)  # of its curve, by index, without their points
    branches: dict[int, Evaluation] = field(default_factory=dict)  # ends of its branches, by the index they left it at
    training: list[tuple[int, float]] = field(default_factory=list)  # (tokens, training loss)

    @property
    def name(self) -> str:
        """What people call it: "trial 3", "repeat 1 of trial 3", "audit of trial 3"."""
        if self.audits:
            return f"audit of trial {self.confirms}"
        return f"trial {self.number}" if self.confirms is None else f"repeat {self.repeat} of trial {self.confirms}"

    @property
    def stage(self) -> str:
        """Which part of a search over horizons it is: "horizon 1/27", "trial 3 at horizon 1/9"; empty for others."""
        at = f"horizon {shown(self.horizon)}" if self.horizon < 1 else "the whole horizon"
        if self.of is not None:
            return f"trial {self.of} at {at}"
        return at if self.horizon < 1 else ""

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
    def trained_params(self) -> dict[str, Any]:
        """The params that its value is of: those of a cool-down, if that is its best, else `params`."""
        return {
            name: value if is_label(name, self.params) else trained
            for (name, value), trained in zip(self.params.items(), self._trained(self.params), strict=True)
        }

    @property
    def read_params(self) -> dict[str, Any]:
        """`trained_params` by the names and with the values that people read: without the labels of branches."""
        sampled = self.sampled_params
        return dict(zip(sampled, self._trained(sampled), strict=True))

    @property
    def sampled_params(self) -> dict[str, Any]:
        """The params as they were sampled, as people read them."""
        return unfolded(self.params)

    @property
    def told_params(self) -> dict[str, Any]:
        """`read_params` with the text "38.5 -> 36.1" where another value than that was sampled."""
        trained = self.read_params
        return {
            name: value if value == trained[name] else f"{_told(value)} -> {_told(trained[name])}"
            for name, value in self.sampled_params.items()
        }

    @property
    def replaced(self) -> dict[str, Any]:
        """The sampled values in place of which `read_params` has others; empty: none."""
        trained = self.read_params
        return {name: value for name, value in self.sampled_params.items() if value != trained[name]}

    def _trained(self, params: Mapping[str, Any]) -> list[Any]:
        """The value of each param in the training that its value is of."""
        branch = self.best.branch if self.best is not None else {}
        changed = {key: value for values in branch.values() for key, value in values.items()}
        return [changed.get(name.partition(".")[0], value) for name, value in params.items()]

    @property
    def cut(self) -> float | None:
        """The share of its training to which it came before the end of the budget had it cool down; None: it did not.

        A judgement that has a trial cool down (overfit) is an outcome of its own. Between 0 and 1.
        """
        if self.outcome is not Outcome.COMPLETED:
            return None
        if self.reached is not None:
            return min(1.0, self.reached)
        return min(1.0, self.best.progress) if self.best is not None and self.best.branch else None

    @property
    def is_whole(self) -> bool:
        """Whether the trial ended on equal terms with others: it counts, and the budget has not cut it short."""
        return self.counts and (self.cut is None or self.cut >= NEARLY)

    @property
    def ending(self) -> str:
        """What its outcome does not say of its end: "cut by the budget at 5%", "cooled down"; empty: nothing."""
        if self.cut is not None:
            return f"{CUT} at {self.cut:.0%}"
        return "cooled down" if self.best is not None and self.best.branch else ""

    @property
    def kind(self) -> str:
        """What it is counted as: its status in words, "cut by the budget" in place of "completed"."""
        return CUT if self.cut is not None else str(self.status).replace("_", " ")

    @property
    def said(self) -> str:
        """How it ended in words: "completed", "overfit, cooled down", "cut by the budget at 5%"."""
        return in_words(str(self.status).replace("_", " "), self.ending)

    @property
    def measured(self) -> list[Evaluation]:
        """All evaluations, those of the curve first."""
        return [*self.evaluations.values(), *self.branches.values()]

    @property
    def furthest(self) -> float:
        """The largest share of its training to which any of it came, 0 to 1: that of `cut`, if the budget cut it."""
        share = max((evaluation.progress for evaluation in self.measured), default=0.0)
        return min(1.0, max(share, self.reached or 0.0))

    def at(self, place: BestEvaluation) -> Evaluation | None:
        """The evaluation at a place; None if the journal has lost it."""
        return (self.branches if place.branch else self.evaluations).get(place.index)

    @property
    def peak_memory(self) -> int:
        """The highest memory peak of all evaluations in bytes; 0 if none reports it."""
        return max((e.peak_memory for e in self.measured), default=0)

    @property
    def precision(self) -> str:
        """The precision of its training (bf16, fp32); empty if no evaluation reports it."""
        return next((e.precision for e in self.evaluations.values() if e.precision), "")

    def stop(self, at: float) -> None:
        """Ends the attempt, if the trial is in training: its time counts."""
        self.trained = self.seconds_so_far(at)
        self.running, self.started = False, 0.0

    def seconds_so_far(self, at: float) -> float:
        """Returns the seconds that the trial has been with a worker, over all attempts."""
        return self.trained + (max(0.0, at - self.started) if self.started else 0.0)

    def training_loss(self) -> list[tuple[float, float]]:
        """Returns (tokens, training loss) at its training points, or if they are not kept between evaluations."""
        if self.training:
            return [(float(tokens), loss) for tokens, loss in self.training]
        return [(float(e.tokens), interval_loss(e.metrics)) for _, e in sorted(self.evaluations.items())]

    def curve(self, metric: str, x: str = "progress") -> tuple[list[float], list[float]]:
        """Returns (xs, values) of a metric, over `x` (progress, tokens, epoch or index); values may be nan."""
        found = [e for _, e in sorted(self.evaluations.items()) if metric in e.metrics]
        return [float(getattr(e, x)) for e in found], [number(e.metrics[metric]) for e in found]


def interval_loss(metrics: dict[str, Any]) -> float:
    """Returns the mean training loss since the previous evaluation, nan if unknown. (It was `train/loss` once.)"""
    return number(metrics.get("train/interval_loss", metrics.get("train/loss")))


def _told(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def number(value: Any) -> float:
    """Returns the value as a float; nan for None and for infinities, which spoil charts."""
    return float(value) if value is not None and math.isfinite(value) else math.nan
