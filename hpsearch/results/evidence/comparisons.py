"""What the winner is compared with: the default config, and the trivial baselines of the data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hpsearch.contract import Evaluation
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory, number
from hpsearch.output.digits import digits
from hpsearch.results.evidence.caveats import at_chance
from hpsearch.results.evidence.margins import examples_of, margin
from hpsearch.tasks import metric_named

SHOWN = 5  # trial numbers in a line


@dataclass(frozen=True)
class Comparison:
    """A baseline beside the winner, by one metric of the same split."""

    name: str
    metric: str
    baseline: float
    winner: float
    beaten: bool  # whether the winner is better, by more than `margin`; equal values do not beat
    margin: float | None = None  # 2 standard errors of the difference, by the number of examples; None: unknown

    @property
    def tie(self) -> bool:
        """Whether the two values cannot be told apart by so few examples."""
        return self.margin is not None and abs(self.winner - self.baseline) <= self.margin


def comparisons(history: History) -> list[Comparison]:
    """Compares the best trial so far with each baseline that shares a metric with it."""
    winner = history.leader() if _is_won(history) else None
    evaluation = None if winner is None else history.best_evaluation(winner.number)
    if evaluation is None:
        return []
    found = (_compared(history, one, evaluation) for one in history.baselines)
    return [one for one in found if one is not None]


def against_default(history: History) -> str:
    """The line that says by how much the winner is better than the default config; empty without a default config."""
    winner, default = history.leader(), history.default()
    if winner is None or winner.value is None or default is None or len(history.trials) < 2 or not _is_won(history):
        return ""
    if (line := _confirmed_against_default(history, default)) is not None:
        return line
    if winner.number == default.number:
        return f"the winner is the default config, {_named(default, history.tied(winner))}: no other trial is better"
    best = history.best_place(default.number)
    if best is None:
        return f"the default config, trial {default.number}, has no value: it is {default.status}"
    value = f"{history.metric} {digits(best.value)}"
    if not default.is_whole:
        how = f"was {default.ending}," if default.counts else f"is {default.status}"
        so_far = f"the default config, trial {default.number}, {how} at {value}"
        return f"{so_far}: by how much the winner is better is not measured"
    gap, named = abs(winner.value - best.value), f"the default config (trial {default.number}, {digits(best.value)})"
    found = lead_margin(history, winner, best.value)
    if gap and found is not None and gap <= found:
        return f"the winner is no different from {named}: they differ by {gap:.3g} ± {found:.2g}{_few(history)}"
    by = f"{gap:.3g}" + ("" if found is None else f" ± {found:.2g}")
    return f"the winner is better than {named} by {by}" if gap else f"the winner is a tie with {named}"


def lead_margin(history: History, winner: TrialHistory, other: float) -> float | None:
    """2 standard errors of the difference of the winner's value and another of the objective; None: unknown."""
    evaluation = history.best_evaluation(winner.number)
    return _margin(
        history, history.metric, number(winner.value), other, {} if evaluation is None else evaluation.metrics
    )


def _margin(history: History, metric: str, ours: float, theirs: float, measured: Mapping[str, float]) -> float | None:
    examples = examples_of(history.origin.data.get("sets") or {}, metric)
    stderr = number(measured.get(f"{metric}_stderr"))
    return margin(metric, ours, theirs, examples=examples, stderr=stderr if math.isfinite(stderr) else 0.0)


def _few(history: History, metric: str = "") -> str:
    """How many examples a margin is of; empty for a loss."""
    found = examples_of(history.origin.data.get("sets") or {}, metric or history.metric)
    known = (metric or history.metric).rpartition("/")[2]
    return f" of {found:,} validation examples" if found and not known.endswith("loss") else ""


def unmeasured(history: History) -> str:
    """The line that says how the noise between seeds is measured, for a confirmation that has not done so."""
    found = history.confirmation
    alone = found is not None and all(len(one.values) == 1 for one in found.finalists)
    return (
        f"{'with one fresh seed each, ' * alone}the noise between seeds is not measured: "
        f"hpsearch confirm {history.study} --seeds 2 measures it"
    )


def _named(default: TrialHistory, tied: Sequence[int]) -> str:
    """The number of the default config's trial, and of those that it is tied with."""
    others = f"trial{'s' * (len(tied) > 1)} {', '.join(map(str, tied[:SHOWN]))}{', ...' * (len(tied) > SHOWN)}"
    return f"trial {default.number}" + (f", in a tie with {others}" if tied else "")


def _is_won(history: History) -> bool:
    """Whether there is a winner to speak of: a trial has ended, or the search has, so that what there is counts."""
    return history.stopped == "finished" or any(trial.outcome is not None for trial in history.trials.values())


def _confirmed_against_default(history: History, default: TrialHistory) -> str | None:
    """The same by fresh seeds; None if the default config was not trained again."""
    found = history.confirmation
    ours, theirs = (None, None) if found is None else (found.winner, found.of(default.number))
    if found is None or ours is None or theirs is None or not math.isfinite(theirs.mean - ours.mean):
        return None
    if ours is theirs:
        named = _named(default, found.tied)
        return f"the winner is the default config, {named}: with fresh seeds no other trial is better"
    margin = found.margin_between(ours, theirs)
    by = f"{abs(theirs.mean - ours.mean):.3g}" + ("" if margin is None else f" ± {margin:.2g}")
    named = f"the default config (trial {default.number}, {digits(theirs.mean)})"
    few = _margin(history, history.metric, ours.mean, theirs.mean, {})
    if few is not None and abs(theirs.mean - ours.mean) <= few:  # all seeds are measured on the same few examples
        return (
            f"with fresh seeds the winner is no different from {named}: they differ by {by}, ± {few:.2g}{_few(history)}"
        )
    if found.is_tie(ours, theirs):
        return f"with fresh seeds the winner is a tie with {named}: they differ by {by}"
    return f"with fresh seeds the winner is better than {named} by {by}"


def beaten(history: History) -> str:
    """The line that names the baselines that the winner beats; empty if there are none."""
    if at_chance(history):  # one verdict: what is no better than chance beats nothing
        return ""
    good = [f"{one.name} ({one.metric} {digits(one.baseline)}{_by(one)})" for one in comparisons(history) if one.beaten]
    return f"the winner beats {' and '.join(good)}" if good else ""


def _by(one: Comparison) -> str:
    return "" if one.margin is None else f", by {abs(one.winner - one.baseline):.3g} ± {one.margin:.2g}"


def unbeaten(history: History) -> list[str]:
    """A warning for each baseline that the winner does not beat; of equal values it says that they are."""
    return [_unbeaten(history, one) for one in comparisons(history) if not one.beaten]


def _unbeaten(history: History, one: Comparison) -> str:
    if one.winner == one.baseline:
        return f"the winner equals {one.name}: {one.metric} {digits(one.winner)}"
    values = f"{one.metric} {digits(one.winner)} against {digits(one.baseline)}"
    if one.tie:
        by = f"{abs(one.winner - one.baseline):.3g} ± {one.margin:.2g}{_few(history, one.metric)}"
        return f"the winner is no different from {one.name}: {values}, a difference of {by}"
    return f"the winner does not beat {one.name}: {values}"


def named(history: History, baseline: Mapping[str, Any]) -> str:
    """A baseline with its value of the objective, or of the metric that comes first."""
    metric = _metric(history, baseline, baseline["metrics"])
    value = f" ({metric} {digits(baseline['metrics'][metric])})" if metric else ""
    return f"{baseline['name']}{value}{', ' * bool(baseline.get('note'))}{baseline.get('note') or ''}"


def _compared(history: History, baseline: Mapping[str, Any], evaluation: Evaluation) -> Comparison | None:
    metric = _metric(history, baseline, evaluation.metrics)
    if metric is None:
        return None
    ours, theirs = evaluation.metrics[metric], baseline["metrics"][metric]
    lower = history.direction if metric == history.metric else metric_named(metric.rsplit("/", 1)[-1]).direction
    found = _margin(history, metric, ours, theirs, evaluation.metrics)
    lead = theirs - ours if lower == "minimize" else ours - theirs
    return Comparison(baseline["name"], metric, theirs, ours, lead > (found or 0.0), found)


def _metric(history: History, baseline: Mapping[str, Any], known: Mapping[str, float]) -> str | None:
    """The metric to compare by: the objective, its like of one set (val/SET/loss), or the first that both have."""
    both = [name for name in baseline["metrics"] if name in known]
    kind = history.metric.rsplit("/", 1)[-1]
    alike = [name for name in both if name.rsplit("/", 1)[-1] == kind]
    return next(iter([name for name in both if name == history.metric] or alike or both), None)
