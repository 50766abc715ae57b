"""Warnings about a study's results: a constant objective, a winner at chance level, signatures that differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

from hpsearch.contract import Evaluation
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory, number
from hpsearch.output.digits import digits
from hpsearch.results.evidence.margins import chance, examples_of
from hpsearch.tasks import Metric, metric_named

TRIALS, EVALUATIONS = 2, 3  # fewest trials, and evaluations of each, that show a constant objective
OTHERWISE = "train longer, or take val/loss"  # advice for a metric that no task knows


def caveats(history: History) -> list[str]:
    """Returns all warnings about a study, a line each."""
    constant = constant_objective(history)
    return [*([constant] if constant else []), *at_chance(history), *computed_differently(history)]


def constant_objective(history: History) -> str | None:
    """Returns a warning, with the likely reason, if all evaluations of several trials have the same objective.

    It stops at the first two values that differ, so it is cheap enough to call after each trial.
    """
    curves = (trial.curve(history.metric)[1] for trial in history.trials.values())
    long = (curve for curve in curves if len(curve) >= EVALUATIONS)
    first: float | None = None
    trials = 0
    for curve in long:
        first = curve[0] if first is None else first
        if any(value != first and not (math.isnan(value) and math.isnan(first)) for value in curve):
            return None
        trials += 1
    if first is None or trials < TRIALS:
        return None
    said = f"{history.metric} is {first:g} at every evaluation of {trials} trials, so no trial is better than another"
    return f"{said}: {_reason(_metric(history.metric), first)}"


def _metric(name: str) -> Metric:
    """Returns the metric of a name such as val/bleu or val/NAME/bleu."""
    return metric_named(name.rsplit("/", 1)[-1])


def _reason(metric: Metric, value: float) -> str:
    if math.isnan(value):
        return "it was never a finite number; lower the learning rates"
    if metric.best is not None and math.isclose(value, metric.best, abs_tol=1e-9):
        return "it is the best possible value, so the validation split is too easy or too small to compare trials"
    return metric.constant or OTHERWISE


def at_chance(history: History) -> list[str]:
    """Returns a warning for each data set on which the winner is no better than chance; none while it is unfinished."""
    winner = history.leader()
    evaluation = _best_evaluation(winner) if winner is not None and winner.counts else None
    if winner is None or evaluation is None:
        return []
    return [line for metric in _judged(evaluation) if (line := _at_chance_on(history, winner, evaluation, metric))]


def _judged(evaluation: Evaluation) -> Iterator[str]:
    """Yields the metrics with a chance level; with several data sets, those of each set."""
    names = [name for name in evaluation.metrics if name.startswith("val/") and _metric(name).chance]
    several = any(name.count("/") > 1 for name in evaluation.metrics if name.startswith("val/"))
    return (name for name in names if (name.count("/") > 1) == several)


def _at_chance_on(history: History, winner: TrialHistory, evaluation: Evaluation, metric: str) -> str | None:
    prefix, known = metric.rsplit("/", 1)[0], _metric(metric)
    limit, clear = known.chance or (-math.inf, math.inf)
    examples = examples_of(history.origin.data.get("sets") or {}, metric)
    limit = chance(metric, limit, examples, models=len(history.ranked()))
    clear = max(clear, limit)
    perfect = evaluation.metrics.get(f"{prefix}/{known.perfect_by}") == 1.0
    if perfect or not number(evaluation.metrics[metric]) <= limit:
        return None
    where = f"on data set '{name}'" if (name := metric.removeprefix("val/").rpartition("/")[0]) else "on its data"
    how = f"is best by {history.metric}" if history.confirmation is None else "is the winner by fresh seeds"
    values = f"{_values(evaluation, metric)}{_luck(known, limit, examples)}"
    said = f"trial {winner.number} {how}, but no better than chance {where} ({values})"
    for other in (trial for trial in history.ranked() if trial.number != winner.number):
        found = _best_evaluation(other)
        if found is not None and number(found.metrics.get(metric)) >= clear:
            against = f"{digits(number(other.value))} against {digits(number(winner.value))}"
            theirs = f"{_values(found, metric)}; {history.metric} {against}"
            better = f"{prefix}/{known.chosen_by or known.name}"
            return f"{said}; trial {other.number} is ({theirs}): objective.metric {better} chooses by that set"
    return f"{said}, and no other trial is clearly better: train longer, or look at the data"


def model_at_chance(
    metrics: Mapping[str, float], examples: Callable[[str], int | None], *, split: str = "test"
) -> list[str]:
    """A warning for each metric of a model on a split (test/mcc, test/SET/mcc) that is no better than chance.

    examples: of the split that a metric is of; None: unknown.
    """
    found = []
    for name, value in sorted(metrics.items()):
        known = _metric(name)
        if not name.startswith(f"{split}/") or known.chance is None or metrics.get(_beside(name, known)) == 1.0:
            continue
        n = examples(name)
        if number(value) <= (limit := chance(name, known.chance[0], n)):
            few = _luck(known, limit, n)
            found.append(f"the model is no better than chance on its {split} data ({name} {value:.3g}{few})")
    return found


def _luck(known: Metric, limit: float, examples: int | None) -> str:
    """Where a limit that rests on the number of examples comes from; empty for another one."""
    if examples is None or known.name != "mcc":
        return ""
    return f"; of {examples:,} examples up to {limit:.2g} may be luck"


def _beside(name: str, known: Metric) -> str:
    """The name of the metric that is 1 for a perfect model, beside another of the same set."""
    return f"{name.rsplit('/', 1)[0]}/{known.perfect_by}"


def computed_differently(history: History) -> list[str]:
    """Returns a warning if the trials computed the objective in different ways, by other tokenizers or versions."""
    last = history.metric.rsplit("/", 1)[-1]
    ways: dict[str, dict[str, list[int]]] = {}
    for trial in history.trials.values():
        signatures = {k: v for e in trial.measured for k, v in e.signatures.items()}
        for name, signature in signatures.items():
            if name.rsplit("/", 1)[-1] == last:
                ways.setdefault(name, {}).setdefault(signature, []).append(trial.number)
    return [_differing(name, found) for name, found in ways.items() if len(found) > 1]


def _differing(name: str, ways: dict[str, list[int]]) -> str:
    said = "; ".join(
        f"{signature} (trial {numbers[0]} and {len(numbers) - 1} more)" for signature, numbers in ways.items()
    )
    return f"val/{name} was not computed in the same way by all trials, so it cannot compare them: {said}"


def _values(evaluation: Evaluation, metric: str) -> str:
    """Formats the metric and the related one that people know better."""
    names = [f"{metric.rsplit('/', 1)[0]}/{_metric(metric).known_as}", metric]
    names = [name for name in names if name in evaluation.metrics]
    return ", ".join(f"{name.rsplit('/', 1)[1]} {evaluation.metrics[name]:.3g}" for name in names)


def _best_evaluation(trial: TrialHistory) -> Evaluation | None:
    """Returns the evaluation that measured the trial's best value."""
    return trial.at(trial.best) if trial.best else None


def in_vain(history: History, trial: int) -> str:
    """Says that a trial's cool-down ended worse than the trial was before it; empty if it did not."""
    known = history.trial(trial)
    best, latest = history.best_evaluation(trial), max(known.branches.values(), key=lambda e: e.index, default=None)
    if best is None or latest is None or best.branch:
        return ""
    ended = number(latest.metrics.get(history.metric))
    before = f"{digits(best.metrics[history.metric])} of evaluation {best.index}, by which it counts"
    return f"{known.name}: its cool-down ended with {history.metric} {digits(ended)}, no better than the {before}"
