"""Compares studies: what differs between them, whether their values may be compared, and which winner is better.

Values in, values out, but for `progress`, which reads a journal once more. Two winners are compared with the noise
between seeds (journal/confirmation.py) and that of few examples (results/evidence/margins.py): by their means over
fresh seeds where both have some, with the seed noise pooled over the finalists of both; else by their values in the
search, which flatter both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from hpsearch import quantiles
from hpsearch.contract import Evaluation
from hpsearch.home.identity import MISSING, RULES, Change, changes, shown
from hpsearch.journal.confirmation import Confirmation, finite, pooled_sigma
from hpsearch.journal.history import FIRST_REPEAT, History
from hpsearch.journal.outline import outline
from hpsearch.journal.trial_history import TrialHistory, number
from hpsearch.results.evidence import bands
from hpsearch.results.evidence.comparisons import winners_value
from hpsearch.results.evidence.margins import examples_of, margin

PER_TOKEN = ("loss", "perplexity")  # ends of the names of metrics that depend on the tokenizer
PER_BYTE = "bits_per_byte"
PER_TOKEN_REASON = "is measured per token"
STEPS = (1, 2, 5)  # numbers of trials at which studies are compared: these times powers of ten
SHARES = (0.1, 0.25, 0.5, 1.0)  # of the device time that all have spent


@dataclass(frozen=True)
class Point:
    """The best value of a study after some trials."""

    trials: int  # that have ended
    device_seconds: float  # spent by then
    best: float  # nan: none yet


@dataclass(frozen=True)
class Contender:
    """A study in a comparison."""

    label: str  # its name, with its home if another one has the same
    folder: Path
    history: History = field(repr=False, compare=False)
    progress: tuple[Point, ...] = field(repr=False)

    @property
    def winner(self) -> TrialHistory | None:
        """The winner so far; None if no trial has a value."""
        return self.history.leader()

    @property
    def evaluation(self) -> Evaluation | None:
        """The winner's best evaluation."""
        return None if self.winner is None else self.history.best_evaluation(self.winner.number)

    def at(self, *, trials: float = math.inf, device_seconds: float = math.inf) -> float:
        """The best value within so many trials and so much device time; nan: none."""
        found = (p.best for p in self.progress if p.trials <= trials and p.device_seconds <= device_seconds)
        return max(found, key=lambda value: (0, 0.0) if math.isnan(value) else (1, self._rank(value)), default=math.nan)

    def _rank(self, value: float) -> float:
        return -value if self.history.direction == "minimize" else value


@dataclass(frozen=True)
class Verdict:
    """Which of two winners is better, by how much, and how sure that is."""

    better: str  # the label of the study; of equal values the first
    worse: str
    metric: str
    by: float  # the difference of the two values, at least 0
    margin: float | None  # half of its 95% interval; None: the seed noise is not known
    fresh: bool  # by means over fresh seeds; else by values of the searches
    assumed: bool  # the seed noise is assumed

    @property
    def tie(self) -> bool | None:
        """Whether the difference is within its margin; None: the seed noise is not known."""
        return None if self.margin is None else self.by < self.margin


@dataclass(frozen=True)
class Comparison:
    """Two or more studies beside each other; the first one is the one that the others are compared with."""

    studies: tuple[Contender, ...]
    differences: Mapping[str, tuple[Change, ...]]  # label of another study -> where it differs from the first one
    incomparable: Mapping[str, tuple[str, ...]]  # label -> why its values cannot be compared with the first one's
    metric: str | None  # by which they are compared: the objective, or bits per byte; None: by none
    verdicts: tuple[Verdict, ...]  # the best winner against each of the others

    @property
    def alike(self) -> tuple[Contender, ...]:
        """The first study, and those whose values may be compared with its by the objective."""
        return tuple(one for one in self.studies if not self.incomparable.get(one.label))

    def at_trials(self) -> dict[int, dict[str, float]]:
        """Number of ended trials -> label -> the best value of each comparable study by then (nan: none)."""
        most = min(len(one.history.finished) for one in self.alike)
        counts = sorted({n for power in range(7) for step in STEPS if (n := step * 10**power) < most} | {most} - {0})
        return {n: {one.label: one.at(trials=n) for one in self.alike} for n in counts}

    def at_device_time(self) -> dict[float, dict[str, float]]:
        """Seconds of device time -> label -> the best value of each comparable study by then (nan: none)."""
        spent = [max((p.device_seconds for p in one.progress), default=0.0) for one in self.alike]
        times = [share * min(spent) for share in SHARES] if min(spent) > 0 else []
        return {at: {one.label: one.at(device_seconds=at + 1e-6) for one in self.alike} for at in times}

    def params(self) -> dict[str, list[Any]]:
        """Hyperparameters of the winners that differ -> the value in each study; None: it has none."""
        names = dict.fromkeys(name for one in self.studies if one.winner for name in one.winner.read_params)
        found = {name: [_value(one.winner, name) for one in self.studies] for name in names}
        return {name: values for name, values in found.items() if any(a != b for a, b in pairwise(values))}

    def to_dict(self) -> dict[str, Any]:
        """Returns JSON-able data; numbers that are not finite become None."""
        return {
            "studies": [_contender(one) for one in self.studies],
            "differences": {
                label: [{"key": _dotted(keys), "first": _plain(a), "this": _plain(b)} for keys, a, b in found]
                for label, found in self.differences.items()
            },
            "incomparable": {label: list(reasons) for label, reasons in self.incomparable.items()},
            "metric": self.metric,
            "verdicts": [{**vars(one), "by": finite(one.by), "tie": one.tie} for one in self.verdicts],
            "at_trials": [{"trials": n, "best": _finite(found)} for n, found in self.at_trials().items()],
            "at_device_time": [{"seconds": at, "best": _finite(found)} for at, found in self.at_device_time().items()],
            "params": self.params(),
        }


def compared(studies: Sequence[Contender]) -> Comparison:
    """Compares studies with the first of them."""
    first, others = studies[0], studies[1:]
    differences = {one.label: tuple(_differences(first.history, one.history)) for one in others}
    reasons = {one.label: tuple(_incomparable(first.history, one.history)) for one in others}
    metric, judged = _judged(studies, reasons)
    return Comparison(tuple(studies), differences, reasons, metric, tuple(_verdicts(judged, metric)))


def progress(journal: Path) -> tuple[Point, ...]:
    """The best value after each trial of the search that ended, with the device time spent by then."""
    history, points, best = History(), list[Point](), math.nan
    for event in outline(journal):
        history.add(event)
        if event["event"] != "trial_finished" or event["trial"] >= FIRST_REPEAT:
            continue
        trial = history.trials[event["trial"]]
        value = number(trial.value) if trial.counts else math.nan
        if math.isfinite(value) and (math.isnan(best) or history.better(value, best)):
            best = value
        points.append(Point(len(history.finished), history.devices.until(event["time"]), best))
    return tuple(points)


# ------------------------------------------------------------------------------------------------------ what differs


def _differences(first: History, other: History) -> Iterator[Change]:
    """Where spaces, data and objective of two studies differ."""
    yield from changes(first.origin.identity, other.origin.identity)
    for name, (before, now) in _contents(first, other).items():
        if before != now and MISSING not in (before, now):
            yield ("data", name, "contents"), before[:12], now[:12]
    if first.origin.rules != other.origin.rules:
        yield ("rules",), first.origin.rules, other.origin.rules


def _incomparable(first: History, other: History) -> Iterator[str]:
    """Why values of two studies cannot be compared by the objective, a line each."""
    if (first.metric, first.direction) != (other.metric, other.direction):
        yield f"another objective: {other.direction} {other.metric} (here {first.direction} {first.metric})"
    if first.origin.rules != other.origin.rules:
        yield f"an hpsearch that trains and scores otherwise made it (rules {other.origin.rules}, here {RULES})"
    before, now = first.origin.identity, other.origin.identity
    if before.get("trainer") != now.get("trainer"):
        yield f"another trainer: {now.get('trainer', 'causal_lm')}"
    if data := _data_differ(first, other):
        yield f"other data: {data}"
    elif _tokenizers_differ(first, other) and first.metric.endswith(PER_TOKEN):
        yield f"another tokenizer, and {first.metric} {PER_TOKEN_REASON}"
    evaluation = _without_times(before.get("evaluation")), _without_times(now.get("evaluation"))
    if found := list(changes(*evaluation, ("evaluation",))):
        yield f"another evaluation: {_listed(found)}"


def _data_differ(first: History, other: History) -> str:
    """Which data sets differ, or how they are read; empty if none does."""
    sets = _contents(first, other)
    if named := [name for name, (before, now) in sets.items() if before != now]:
        return ", ".join(named)
    if not sets and first.origin.data.get("fingerprint") != other.origin.data.get("fingerprint"):
        return "another fingerprint"
    found = list(changes(first.origin.identity.get("data", {}), other.origin.identity.get("data", {}), ("data",)))
    return _listed(found) if found else ""


def _contents(first: History, other: History) -> dict[str, tuple[Any, Any]]:
    """Data set -> its fingerprint in the two studies, MISSING in one that lacks it."""
    before, now = (history.origin.data.get("contents") or {} for history in (first, other))
    return {name: (before.get(name, MISSING), now.get(name, MISSING)) for name in {**before, **now}}


def _tokenizers_differ(first: History, other: History) -> bool:
    same = first.origin.data.get("fingerprint") == other.origin.data.get("fingerprint")
    return not same or first.origin.identity.get("tokenizer") != other.origin.identity.get("tokenizer")


def _without_times(evaluation: Any) -> dict[str, Any]:
    """A section `evaluation` without the number of evaluations, on which no value depends."""
    return {key: value for key, value in evaluation.items() if key != "times"} if isinstance(evaluation, dict) else {}


def _listed(found: Sequence[Change]) -> str:
    return ", ".join(f"{_dotted(keys)} {shown(before)} -> {shown(now)}" for keys, before, now in found)


def _dotted(keys: tuple[Any, ...]) -> str:
    return ".".join(map(str, keys))


# ------------------------------------------------------------------------------------------------- which one is better


def _judged(
    studies: Sequence[Contender], reasons: Mapping[str, Sequence[str]]
) -> tuple[str | None, Sequence[Contender]]:
    """By what which winners are compared: by the objective, or by bits per byte where only tokenizers differ."""
    alike = [one for one in studies if not reasons.get(one.label)]
    if len(alike) > 1:
        return studies[0].history.metric, alike
    metric = f"{studies[0].history.metric.rpartition('/')[0]}/{PER_BYTE}"
    alike = [one for one in studies if all(PER_TOKEN_REASON in line for line in reasons.get(one.label, ()))]
    alike = [one for one in alike if one.evaluation is not None and metric in one.evaluation.metrics]
    return (metric, alike) if len(alike) > 1 and alike[0] is studies[0] else (None, [])


def _verdicts(studies: Sequence[Contender], metric: str | None) -> Iterator[Verdict]:
    """The best winner against each of the others."""
    if metric is None:
        return
    pairs = [(one, other) for i, one in enumerate(studies) for other in studies[i + 1 :]]
    found = {(a.label, b.label): verdict for a, b in pairs if (verdict := _verdict(a, b, metric)) is not None}
    wins = {one.label: sum(verdict.better == one.label for verdict in found.values()) for one in studies}
    best = max(wins, key=lambda label: wins[label])
    yield from (verdict for verdict in found.values() if best in (verdict.better, verdict.worse))


def _verdict(one: Contender, other: Contender, metric: str) -> Verdict | None:
    """Compares two winners; None if one has no finite value."""
    direction = one.history.direction if metric == one.history.metric else "minimize"
    confirmed = (one.history.confirmation, other.history.confirmation)
    fresh = metric == one.history.metric and all(c is not None and math.isfinite(c.winner.mean) for c in confirmed)
    values = (
        [c.winner.mean for c in confirmed if c is not None] if fresh else [_searched(c, metric) for c in (one, other)]
    )
    if not all(map(math.isfinite, values)):
        return None
    sigma, freedom = _sigma(one, other, metric, values)
    counts = [len(c.winner.values) if fresh and c is not None else 1 for c in confirmed]
    errors = quantiles.student(freedom) if freedom else quantiles.ASSUMED
    noise = None if sigma is None else errors * sigma * math.sqrt(sum(1 / count for count in counts))
    few = _by_examples(one, other, metric, fresh=fresh)
    if few is not None and (noise is not None or abs(values[0] - values[1]) <= few):
        noise = math.hypot(noise or 0.0, few)
    gap = values[0] - values[1] if direction == "minimize" else values[1] - values[0]
    better, worse = (one, other) if gap <= 0 else (other, one)
    return Verdict(better.label, worse.label, metric, abs(gap), noise, fresh, sigma is not None and not freedom)


def _by_examples(one: Contender, other: Contender, metric: str, *, fresh: bool) -> float | None:
    """How far two winners may differ by the validation examples, which are the same; None: unknown."""
    found = [winners_value(contender.history, metric, fresh=fresh) for contender in (one, other)]
    values = [value for value in found if value is not None]
    sets = one.history.origin.data.get("sets") or {}
    return margin(metric, *values, examples=examples_of(sets, metric)) if len(values) == 2 else None


def _searched(one: Contender, metric: str) -> float:
    """The winner's value of a metric in the search."""
    if metric == one.history.metric:
        return math.nan if one.winner is None else number(one.winner.value)
    return math.nan if one.evaluation is None else number(one.evaluation.metrics.get(metric))


def _sigma(one: Contender, other: Contender, metric: str, values: Sequence[float]) -> tuple[float | None, int]:
    """The seed noise, pooled over what both have measured, and its degrees of freedom, 0 if it is assumed; or None."""
    least = 0.0
    if metric == one.history.metric:
        found = [c for c in (one.history.confirmation, other.history.confirmation) if c is not None]
        sigma, freedom = pooled_sigma(finalist.values for c in found for finalist in c.finalists)
        if sigma is not None:
            return sigma, freedom
        least = max((c.shifts[0] for c in found), default=0.0)
    return (max(bands.ASSUMED * max(map(abs, values)), least), 0) if metric.endswith(bands.LOSSES) else (None, 0)


def _value(trial: TrialHistory | None, name: str) -> Any:
    """The value of a hyperparameter in a trial: of a range or of a fixed key; None: it has none."""
    if trial is None:
        return None
    if name in trial.read_params:
        return trial.read_params[name]
    key = name.split(".")[0]
    sections = (section for section in trial.config.values() if isinstance(section, dict))
    return next((section[key] for section in sections if key in section), None)


# ------------------------------------------------------------------------------------------------------------ as data


def _contender(one: Contender) -> dict[str, Any]:
    history, winner = one.history, one.winner
    confirmed: Confirmation | None = history.confirmation
    default = history.default()
    at = None if default is None else history.best_place(default.number)
    return {
        "study": history.study,
        "label": one.label,
        "folder": str(one.folder),
        "objective": {"metric": history.metric, "direction": history.direction},
        "trials": len(history.trials),
        "ended": len(history.finished),
        "device_hours": history.device_seconds / 3600,
        "winner": None if winner is None else winner.number,
        "value": None if winner is None else finite(number(winner.value)),
        "params": {} if winner is None else winner.trained_params,
        "metrics": {} if one.evaluation is None else {k: finite(number(v)) for k, v in one.evaluation.metrics.items()},
        "confirmation": None if confirmed is None else confirmed.to_dict(),
        "default": None if at is None else finite(at.value),
    }


def _finite(values: Mapping[str, float]) -> dict[str, float | None]:
    return {label: finite(value) for label, value in values.items()}


def _plain(value: Any) -> Any:
    return None if value is MISSING else value
