"""What the winner is compared with: the default config, and the trivial baselines of the data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from hpsearch.contract import Evaluation
from hpsearch.journal.confirmation import Confirmation, Finalist
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory, number
from hpsearch.output.digits import digits
from hpsearch.quantiles import ASSUMED
from hpsearch.results.evidence import bands
from hpsearch.results.evidence.caveats import at_chance
from hpsearch.results.evidence.margins import Value, examples_of, margin
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
    margin: float | None = None  # how far they may differ by chance (margins.py); None: unknown

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
    if not gap:
        return f"the winner is a tie with {named}"
    found, how = lead_margin(history, winner, default), _seed_noise(history)
    if found is None:
        return f"the winner is better than {named} by {gap:.3g}; whether by chance is not known ({how})"
    if gap <= found:
        by = f"{gap:.3g} ± {found:.2g}{_few(history)}"
        return f"the winner is no different from {named}: they differ by {by} ({how})"
    return f"the winner is better than {named} by {gap:.3g} ± {found:.2g} ({how})"


def _seed_noise(history: History) -> str:
    """What is known of the noise between seeds where there are no fresh ones."""
    near = bands.near(history)
    known = "not measured" if near is None else bands.source(near.assumed, near.repeats) or "measured"
    return f"one seed each, seed noise {known}"


def lead_margin(history: History, winner: TrialHistory, other: TrialHistory) -> float | None:
    """How far the winner's value and another trial's may differ by chance, by examples and seeds; None: unknown."""
    measured = [history.best_evaluation(trial.number) for trial in (winner, other)]
    if any(one is None or not math.isfinite(number(one.metrics.get(history.metric))) for one in measured):
        return None
    ours, theirs = (Value.of(history.metric, one.metrics, one.replicates) for one in measured if one is not None)
    return _with_seeds(history, _margin(history, history.metric, ours, theirs), seeds=2)


def _margin(history: History, metric: str, ours: Value, theirs: Value) -> float | None:
    """How far two values may differ by the examples; the winner's is the best of all trials with a value."""
    examples = examples_of(history.origin.data.get("sets") or {}, metric)
    return margin(metric, ours, theirs, examples=examples, comparisons=_choices(history))


def _choices(history: History) -> int:
    """With how many trials the default config, or a baseline, is compared by taking the best of them."""
    return max(1, len(history.ranked(unfinished=True)) - 1)


def _with_seeds(history: History, found: float | None, *, seeds: int) -> float | None:
    """A margin with the noise of so many trainings of one seed each, where it is measured or may be assumed."""
    near = bands.near(history)
    if near is None:
        return found
    errors = bands.standard_errors(history, comparisons=_choices(history))
    return math.hypot(found or 0.0, errors * near.sigma * math.sqrt(seeds))


def _over_seeds(history: History, one: Finalist) -> Value:
    """A finalist's mean, with the means of the replicates of its fresh seeds; without these its own in the search."""
    repeats = [
        trial for trial in history.repeats.values() if trial.confirms == one.trial and trial.counts and not trial.audits
    ]
    found = [history.best_evaluation(trial.number) for trial in repeats or [history.trial(one.trial)]]
    each = [() if evaluation is None else evaluation.replicates.get(history.metric, ()) for evaluation in found]
    if len({len(replicates) for replicates in each}) != 1:
        return Value(one.mean)
    return Value(one.mean, [fmean(group) for group in zip(*each, strict=True)])


def winners_value(history: History, metric: str, *, fresh: bool) -> Value | None:
    """The winner's value of a metric, `fresh`: as the mean of its fresh seeds; None if it has none."""
    if fresh and history.confirmation is not None:
        return _over_seeds(history, history.confirmation.winner)
    winner = history.leader()
    evaluation = None if winner is None else history.best_evaluation(winner.number)
    if evaluation is None or metric not in evaluation.metrics:
        return None
    return Value.of(metric, evaluation.metrics, evaluation.replicates)


def _few(history: History, metric: str = "") -> str:
    """How many examples a margin is of; empty for a loss."""
    found = _examples(history, metric or history.metric)
    return f" of {found}" if found else ""


def _examples(history: History, metric: str) -> str:
    """The number of validation examples, with the noun; empty for a loss, which is of tokens, or if it is unknown."""
    found = examples_of(history.origin.data.get("sets") or {}, metric)
    return f"{found:,} validation examples" if found and not metric.endswith("loss") else ""


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
    """The same by the winner's fresh seeds, and the default config's if it has some; None if that tells no more.

    The default config was not chosen for its value, so that its own value in the search is not flattered.
    """
    found = history.confirmation
    if found is None or not math.isfinite(found.winner.mean):
        return None
    ours, theirs, of = found.winner, found.of(default.number), "with fresh seeds"
    if theirs is None and found.sigma is not None and default.is_whole and default.value is not None:
        theirs, of = Finalist(default.number, default.value, (default.value,)), "with fresh seeds of its own"
    if theirs is None or not math.isfinite(theirs.mean):
        return None
    if ours is theirs:
        named = _named(default, found.tied)
        return f"the winner is the default config, {named}: with fresh seeds no other trial is better"
    gap, margin = abs(theirs.mean - ours.mean), fresh_margin(history, found, theirs)
    by = f"{gap:.3g}" + ("" if margin is None else f" ± {margin:.2g}")
    named = f"the default config (trial {default.number}, {digits(theirs.mean)})"
    if not gap or (margin is not None and gap <= margin):
        few = _examples(history, history.metric)
        by += f", by seeds and {few}" if few else ""
        return f"{of} the winner is no different from {named}: they differ by {by}"
    if history.better(theirs.mean, ours.mean):
        return f"{of} the winner is worse than {named} by {by}"
    return f"{of} the winner is better than {named} by {by}{_chance(history, margin)}"


def _chance(history: History, margin: float | None) -> str:
    if margin is None:
        return "; whether by chance is not known"
    return (
        "" if history.confirmation is None or history.confirmation.sigma is not None else f" ({_seed_noise(history)})"
    )


def fresh_margin(history: History, found: Confirmation, theirs: Finalist) -> float | None:
    """How far the winner's mean over fresh seeds and another's may differ by chance; None: unknown."""
    ours, near = found.winner, bands.near(history)
    seeds = found.margin_between(ours, theirs)
    if seeds is None and near is not None:
        seeds = ASSUMED * near.sigma * math.sqrt(1 / len(ours.values) + 1 / len(theirs.values))
    few = _margin(history, history.metric, *(_over_seeds(history, one) for one in (ours, theirs)))
    both = [one for one in (seeds, few) if one is not None]  # all seeds are measured on the same examples
    return math.hypot(*both) if both else None


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
    found = _margin(
        history,
        metric,
        Value.of(metric, evaluation.metrics, evaluation.replicates),
        Value.of(metric, baseline["metrics"], baseline.get("replicates") or {}),
    )
    if metric == history.metric and history.confirmation is None:
        found = _with_seeds(history, found, seeds=1)
    lead = theirs - ours if lower == "minimize" else ours - theirs
    return Comparison(baseline["name"], metric, theirs, ours, lead > (found or 0.0), found)


def _metric(history: History, baseline: Mapping[str, Any], known: Mapping[str, float]) -> str | None:
    """The metric to compare by: the objective, its like of one set (val/SET/loss), or the first that both have."""
    both = [name for name in baseline["metrics"] if name in known]
    kind = history.metric.rsplit("/", 1)[-1]
    alike = [name for name in both if name.rsplit("/", 1)[-1] == kind]
    return next(iter([name for name in both if name == history.metric] or alike or both), None)
