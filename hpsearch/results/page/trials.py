"""The table of all trials, and the lines that charts show of one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory, number
from hpsearch.outcome import Outcome, in_words
from hpsearch.results.page.figures import NONE, duration, figure, label, measured, shown, text
from hpsearch.results.pictures import score
from hpsearch.results.pictures.drawing import read_params

MOST_COLUMNS = 24  # hyperparameters in the table
MOST_LINES = 14  # hyperparameters in a chart's hover text


@dataclass(frozen=True)
class Cell:
    """A cell: what it shows, and a number to sort by where that is another."""

    shown: str
    order: str = ""


@dataclass(frozen=True)
class Row:
    """A trial."""

    number: int
    outcome: str
    cells: list[Cell]
    said: str  # the outcome in words: cut by the budget at 5%
    reason: str
    won: bool


def columns(history: History) -> list[str]:
    """The hyperparameters of the table: those of the space, then those that trials have besides."""
    return read_params(history, history.trials.values())[:MOST_COLUMNS]


def rows(history: History, names: list[str]) -> list[Row]:
    """A row for each trial: value, epoch, time, hyperparameters; those with the best values first."""
    best = history.leader()
    number_ = None if best is None else best.number
    return [_row(history, trial, names, won=trial.number == number_) for trial in _ordered(history)]


def _ordered(history: History) -> list[TrialHistory]:
    """The trials, the winner first; trials that were stopped early come after those that count."""
    best, sign = history.leader(), 1 if history.direction == "minimize" else -1

    def place(trial: TrialHistory) -> tuple[bool, bool, float, int]:
        value = score(history, trial)
        is_winner = best is not None and trial.number == best.number
        return not is_winner, not trial.counts, math.inf if math.isnan(value) else sign * value, trial.number

    return sorted(history.trials.values(), key=place)


def _row(history: History, trial: TrialHistory, names: list[str], *, won: bool) -> Row:
    value, seconds = score(history, trial), _seconds(history, trial)
    place = history.best_place(trial.number)
    epoch = place.epoch if place is not None else 0.0
    told, read = trial.told_params, trial.read_params
    cells = [
        Cell(measured(value), _order(value)),
        Cell(figure(epoch, 3) if epoch else NONE, _order(epoch) if epoch else ""),
        Cell(f"{trial.furthest:.0%}", _order(trial.furthest)),
        Cell(duration(seconds), _order(seconds)),
        *(_param(told.get(name), read.get(name)) for name in names),
    ]
    return Row(trial.number, str(trial.status), cells, trial.said, text(trial.reason), won)


def _seconds(history: History, trial: TrialHistory) -> float:
    """Seconds of training and evaluating, as `show` says; of a trial that has not ended, those with a worker."""
    return trial.seconds or trial.seconds_so_far(history.last)


def _param(told: Any, value: Any) -> Cell:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return Cell(NONE if told is None else shown(told), _order(float(value)) if is_number else "")


def _order(value: float) -> str:
    return f"{value:.6g}" if math.isfinite(value) else ""


def hover(history: History, trial: TrialHistory) -> str:
    """One trial: its outcome, value and hyperparameters, as plotly's text."""
    value = score(history, trial)
    status = str(Outcome.PAUSED if trial.paused else trial.status).replace("_", " ")
    at = "" if math.isnan(value) else f", {label(history.metric)} {measured(number(value))}"
    lines = [f"<b>trial {trial.number}</b>: {in_words(status, trial.ending)}{at}"]
    lines += [f"{label(name, 30)} = {_value(v)}" for name, v in list(trial.told_params.items())[:MOST_LINES]]
    if trial.reason:
        lines.append(label(trial.reason, 70))
    return "<br>".join(lines)


def _value(value: Any) -> str:
    """The value of a hyperparameter in a chart."""
    return label(value, 30) if isinstance(value, str) else shown(value)
