"""The tables and lines of `hpsearch show`, for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from hpsearch.cli.study_json import enqueued
from hpsearch.displays.console import Column, console, fits, table, write
from hpsearch.displays.live.following import State, state_of
from hpsearch.displays.places import at, counted_by
from hpsearch.displays.text import about_values, about_winner, audited, confirmed, equals, plain
from hpsearch.displays.text import named as named_trial
from hpsearch.displays.trials import differing, importance, param_columns
from hpsearch.journal.branch_labels import unfolded
from hpsearch.journal.request import named
from hpsearch.outcome import in_words
from hpsearch.output.digits import digits

WIDE, SHORT = 110, 8  # columns of a terminal that shows whole MLflow run ids; characters of an id in a narrower one

if TYPE_CHECKING:
    from rich.console import Console

    from hpsearch.api.study import Study
    from hpsearch.api.trial import Trial
    from hpsearch.displays.trials import ParamColumns


def print_study(study: Study, trials: Sequence[Trial], *, verbose: bool, table_only: bool = False) -> None:
    """Prints a table of these trials, and what is known of the study.

    verbose: with MLflow run ids, and the warnings that its runs have told, each once.
    """
    to = console()
    for line in _print_trials(study, trials, to, verbose=verbose):
        write(to, plain(line))
    if table_only:
        return
    best = study.history.leader()
    if best is not None and (tie := equals(study.history, best)):
        write(to, plain(tie))
    _print_repeats(study, to, verbose=verbose)
    for line in [
        *confirmed(study.history),
        *audited(study.history),
        *about_winner(study.history),
        *about_values(study.history),
        *_waiting(study),
        *(f"warning: {line}" for line in study.history.warnings if verbose),
    ]:
        write(to, plain(line))


def _print_trials(study: Study, shown: Sequence[Trial], to: Console, *, verbose: bool) -> Iterator[str]:
    """Prints the table; yields the lines below it: params that are the same in all trials, or were left out."""

    params = [study.history.trial(trial.number).told_params for trial in shown]
    names, same = differing(params)
    ended = [trial for trial in study.trials if trial.value is not None]
    values, theirs = [float(trial.value or 0.0) for trial in ended], [unfolded(trial.params) for trial in ended]
    weights = {name: importance(name, theirs, values) for name in names}
    place = _place(study)
    before = [_cells(study, trial, place=place) for trial in shown]
    after = [[_run(trial, to)] if verbose else [] for trial in shown]

    def whole(found: ParamColumns) -> tuple[list[Column], list[list[str]]]:
        rows = [[*a, *b, *c] for a, b, c in zip(before, found.rows, after, strict=True)]
        return _columns(study, found.heads, place=place, verbose=verbose), rows

    found = param_columns(names, params, lambda found: fits(to, *whole(found), framed=found.framed), weights)
    held = " paused," if state_of(study.history, study.folder) is State.PAUSED else ""
    title = f"{study.name}:{held} {study.metric}, {study.direction}"
    to.print(table(to, title, *whole(found), framed=found.framed), soft_wrap=False)
    if same:
        yield f"the same in all {len(shown)} trials of the table: {named(same)}"
    if found.left_out:
        yield f"left out, as they matter least here: {', '.join(found.left_out)} (a wider terminal, or --format csv)"


def _columns(study: Study, heads: Sequence[str], *, place: str, verbose: bool) -> list[Column]:
    return [
        Column("trial"),
        Column("outcome", wraps=True),
        Column(study.metric, short=study.metric.rpartition("/")[2]),
        *([Column(f"at {place}", short=place, needed=2)] if place else []),
        *(Column(head) for head in heads),
        *([Column("MLflow run", short="run", needed=1)] if verbose else []),
    ]


def _place(study: Study) -> str:
    """What tells where a trial's best evaluation was: its epoch, or the step of a training that counts none."""
    return counted_by([trial.best for trial in study.trials])


def _waiting(study: Study) -> Iterator[str]:
    """A line for each enqueued config that was not trained whole."""
    for params in enqueued(study):
        tried = [trial for trial in study.history.trials.values() if trial.params == params]
        longest = max(tried, key=lambda trial: trial.horizon, default=None)
        so_far = "not tried yet" if longest is None else f"only tried short so far, by {named_trial(longest)}"
        yield f"enqueued, {so_far}: {named(params)}"


def _print_repeats(study: Study, to: Console, *, verbose: bool) -> None:
    """Prints the trainings with fresh seeds, if any."""

    if not study.repeats:
        return
    rows = []
    for one in study.repeats:
        value = "" if one.value is None else digits(one.value)
        repeat = study.history.repeats[one.number].repeat
        cells = map(str, (one.confirms, repeat, one.seed, one.outcome, value))
        rows.append([*cells, *([_run(one, to)] if verbose else [])])
    columns = [
        Column("trial"),
        Column("repeat"),
        Column("seed", needed=2),
        Column("outcome", wraps=True, needed=3),
        Column(study.metric, short=study.metric.rpartition("/")[2]),
        *([Column("MLflow run", short="run", needed=1)] if verbose else []),
    ]
    to.print(table(to, "trained again with fresh seeds", columns, rows), soft_wrap=False)


def _run(trial: Trial, to: Console) -> str:
    """The id of the trial's MLflow run; in a narrow terminal its beginning."""
    return (trial.mlflow_run_id or "")[: None if to.width >= WIDE else SHORT]


def _cells(study: Study, trial: Trial, *, place: str) -> list[str]:
    """The cells of a trial before its params; `place`: epoch or step of its best evaluation, or nothing."""
    known = study.history.trial(trial.number)
    value = trial.best.metrics[study.metric] if trial.value is None and trial.best else trial.value
    return [
        f"{trial.number}{' *' if study.best and trial.number == study.best.number else ''}",
        in_words(trial.outcome, known.ending, known.stage),
        "" if value is None else digits(value),
        *([at(trial.best, place)] if place else []),
    ]
