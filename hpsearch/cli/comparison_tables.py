"""The tables and lines of `hpsearch compare`, for people: a column for each study or trial."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from hpsearch.api.compare import TrialComparison
from hpsearch.displays.bars import glyphs
from hpsearch.displays.console import Column, console, fits, say, table
from hpsearch.displays.text import cell, shown
from hpsearch.home.comparison import Comparison, Contender, Verdict
from hpsearch.home.identity import described
from hpsearch.journal.trial_history import number
from hpsearch.outcome import in_words
from hpsearch.output.digits import digits

STDERR = "_stderr"  # part of the names of metrics that only JSON has
CURVE = 16  # characters of a curve

Rows = list[tuple[str, list[str]]]  # a heading, and a cell for each study or trial


def print_studies(found: Comparison) -> None:
    """Prints what differs, the winners, the best values so far, and which winner is better."""
    first = found.studies[0].label
    for label, changes in found.differences.items():
        say(f"{first} -> {label}:" if changes else f"{first} and {label} have the same space, data and objective")
        if changes:
            say(described(list(changes)))
    for label, reasons in found.incomparable.items():
        for reason in reasons:
            say(f"warning: values of {label} and {first} cannot be compared: {reason}")
    labels = [one.label for one in found.studies]
    _print("winners", "", labels, _winners(found))
    if len(found.alike) > 1:
        title, alike = f"best {found.studies[0].history.metric} so far", [one.label for one in found.alike]
        at_trials = [(str(n), _marked(found, list(values.values()))) for n, values in found.at_trials().items()]
        at_time = [(_time(at), _marked(found, list(values.values()))) for at, values in found.at_device_time().items()]
        _print(title, "ended trials", alike, at_trials)
        _print(title, "device time", alike, at_time)
    for verdict in found.verdicts:
        say(_verdict(verdict))
    if not found.verdicts:
        say("which winner is better: not known, as their values cannot be compared or one has none")


def print_trials(found: TrialComparison) -> None:
    """Prints the trials beside each other."""
    trials, study = found.trials, found.study
    best = None if study.best is None else study.best.number
    known = [(trial, study.history.trial(trial.number)) for trial in trials]
    rows: Rows = [
        ("outcome", [in_words(trial.outcome, trial.ending) for trial, one in known]),
        (study.metric, [_measured(trial.value) for trial in trials]),
        ("at epoch", [f"{trial.best.epoch:.3g}" if trial.best and trial.best.epoch else "" for trial in trials]),
        ("seconds", [f"{trial.seconds:.3g}" if trial.seconds else "" for trial in trials]),
    ]
    rows += [(name, [_param(one.told_params.get(name)) for _, one in known]) for name in found.params()]
    others = {name: values for name, values in found.metrics().items() if name != study.metric and STDERR not in name}
    rows += [(name, [_measured(value) for value in values]) for name, values in others.items()]
    draw = glyphs(console()).sparkline
    rows.append(("curve", [draw([number(value) for value in curve.values], CURVE) for curve in found.curves()]))
    labels = [f"trial {trial.number}{' *' * (trial.number == best)}" for trial in trials]
    _print(f"{study.name}: {study.metric}, {study.direction}", "", labels, rows)


def _winners(found: Comparison) -> Rows:
    """What each study has come to, and the hyperparameters of its winner that differ."""
    studies = found.studies
    rows: Rows = [
        ("trials that ended", [f"{one.history.ended}" for one in studies]),
        ("device time", [_time(one.history.device_seconds) for one in studies]),
        ("winner", [_winner(one) for one in studies]),
        *((metric, [_of(one, metric) for one in studies]) for metric in _metrics(found)),
        ("fresh seeds", [_confirmed(one) for one in studies]),
        ("default config", [_default(one) for one in studies]),
    ]
    return rows + [(name, [_param(value) for value in values]) for name, values in found.params().items()]


def _winner(one: Contender) -> str:
    """The number of a study's winner, and how it ended if not like others."""
    return "" if one.winner is None else ", ".join(filter(None, (f"trial {one.winner.number}", one.winner.ending)))


def _metrics(found: Comparison) -> list[str]:
    """The objectives of the studies, and what else they are compared by."""
    names = [*(one.history.metric for one in found.studies), *([found.metric] if found.metric else [])]
    return list(dict.fromkeys(names))


def _of(one: Contender, metric: str) -> str:
    if metric == one.history.metric:
        return "" if one.winner is None else _measured(one.winner.value)
    return "" if one.evaluation is None else _measured(one.evaluation.metrics.get(metric))


def _confirmed(one: Contender) -> str:
    """The mean of the winner's fresh seeds, and half of its 95% interval."""
    found = one.history.confirmation
    if found is None:
        return ""
    if not math.isfinite(found.winner.mean):
        return "diverged"
    margin = found.margin(found.winner)
    seeds = len(found.winner.values)
    mean = digits(found.winner.mean) + ("" if margin is None else f" ± {margin:.2g}")
    return f"{mean} ({seeds} seed{'s' * (seeds > 1)})"


def _default(one: Contender) -> str:
    default = one.history.default()
    at = None if default is None else one.history.best_place(default.number)
    return "" if at is None else _measured(at.value)


def _marked(found: Comparison, values: Sequence[float]) -> list[str]:
    """The values, the best one marked."""
    sign = 1 if found.studies[0].history.direction == "minimize" else -1
    finite = [sign * value for value in values if math.isfinite(value)]
    best = min(finite, default=math.nan)
    alone = finite.count(best) == 1
    return [f"{_measured(value)}{' *' * (alone and sign * value == best)}" for value in values]


def _verdict(one: Verdict) -> str:
    """Which winner is better, in a line."""
    how = "by fresh seeds" if one.fresh else "by the values of the searches, which flatter both"
    how += ", seed noise assumed" if one.assumed and one.margin is not None else ""
    by = f"{one.metric} {one.by:.3g}" + ("" if one.margin is None else f" ± {one.margin:.2g}")
    if one.tie:
        return f"a tie: {one.better} and {one.worse} differ by {by}, which may be chance ({how})"
    how += "" if one.tie is False else "; the seed noise is not known, so it may be a tie"
    return f"{one.better} is better than {one.worse} by {by} ({how})"


def _print(title: str, heading: str, labels: Sequence[str], rows: Rows) -> None:
    """Prints a column for each label; those that do not fit the terminal come in further tables."""
    if not rows:
        return
    to, start = console(), 0
    while start < len(labels):
        end = len(labels)
        while end > start + 1 and not fits(to, *_columns(heading, labels, rows, range(start, end))):
            end -= 1
        to.print(table(to, title, *_columns(heading, labels, rows, range(start, end))), soft_wrap=False)
        start = end


def _columns(
    heading: str, labels: Sequence[str], rows: Rows, wanted: Iterable[int]
) -> tuple[list[Column], list[list[str]]]:
    places = list(wanted)
    columns = [Column(heading, wraps=True), *(Column(cell(labels[at]), wraps=True) for at in places)]
    return columns, [[cell(name), *(cell(cells[at]) for at in places)] for name, cells in rows]


def _measured(value: float | None) -> str:
    found = number(value)
    return digits(found) if math.isfinite(found) else ""


def _param(value: Any) -> str:
    return "" if value is None else shown(value)


def _time(seconds: float) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
