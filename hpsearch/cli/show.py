"""`hpsearch show`: the trials of a study, for people and for programs."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hpsearch.cli.options import home_option, study_named

WIDE, SHORT = 110, 8  # columns from which on MLflow's run ids are shown whole; characters of them elsewhere

if TYPE_CHECKING:
    from hpsearch.journal.history import History, TrialHistory


@click.command(
    epilog="""\b
Examples:
  hpsearch show search_spaces/quickstart.yaml
  hpsearch show quickstart --json | jq .best.params"""
)
@click.argument("space_or_study")
@click.option("--json", "as_json", is_flag=True, help="JSON of all trials, for programs.")
@click.option(
    "--top",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="Of a study with more trials: the best so many, and what runs.",
)
@home_option
def show(space_or_study: str, as_json: bool, top: int, home_path: Path) -> None:
    """List the trials of SPACE_OR_STUDY: outcome, params, best value and where, MLflow run.

    It reads the journal alone, also while the study is being searched.
    """
    from hpsearch.home import Home, history_of
    from hpsearch.lock import is_driven
    from hpsearch.views.mlflow.store import run_ids

    name, _ = study_named(space_or_study)
    home = Home(home_path)
    history = history_of(home, name, curves=False, space=space_or_study)
    if not is_driven(home.study(name) / "lock"):  # its driver was killed, and could not say so
        for trial in history.trials.values():
            trial.running = False
    runs = run_ids(home.path, name)
    if as_json:
        unicode = (sys.stdout.encoding or "").lower().startswith("utf")
        click.echo(json.dumps(as_dict(history, runs), indent=1, ensure_ascii=not unicode))
    else:
        _print(history, runs, top=top)


def as_dict(history: History, runs: dict[int, str]) -> dict[str, Any]:
    """The study as programs read it; numbers that are not finite are null."""
    best = history.leader()
    trials = [_trial(history, trial, runs) for _, trial in sorted(history.trials.items())]
    return {
        "study": history.study,
        "objective": {"metric": history.metric, "direction": history.direction},
        "best": _trial(history, history.trials[best.number], runs) if best else None,
        "trials": trials,
    }


def _trial(history: History, trial: TrialHistory, runs: dict[int, str]) -> dict[str, Any]:
    at = history.best_evaluation(trial.number) or (
        trial.evaluations[max(trial.evaluations)] if trial.evaluations else None
    )
    so_far = history.so_far(trial)
    metrics = {k: v if math.isfinite(v) else None for k, v in at.metrics.items()} if at else {}
    return {
        "number": trial.number,
        "outcome": trial.status,
        "state": trial.state or "RUNNING",
        "params": trial.params,
        "value": so_far.value,
        "best_evaluation": asdict(so_far.best) if so_far.best else None,
        "metrics": metrics,
        "reason": trial.reason,
        "seconds": trial.seconds,
        "peak_memory": trial.peak_memory,
        "mlflow_run_id": runs.get(trial.number),
    }


def _print(history: History, runs: dict[int, str], *, top: int) -> None:
    from rich.console import Console
    from rich.table import Table

    from hpsearch.cli.text import equals, measured, params, plain

    console = Console(highlight=False)
    table = Table(title=f"{history.study}: {history.metric}, {history.direction}", title_justify="left")
    for column in ("trial", "outcome", history.metric, "at epoch", "params", "MLflow run"):
        table.add_column(column, overflow="fold")
    best, rows = history.leader(), _rows(history, top)
    for number, trial in rows:
        best_so_far = trial.best or history.best_place(number)
        mark = " *" if best is not None and best.number == number else ""
        table.add_row(
            f"{number}{mark}",
            trial.status,
            measured(best_so_far.value) if best_so_far else "",
            f"{best_so_far.epoch:.3g}" if best_so_far else "",
            plain(params(trial)),
            runs.get(number, "")[: SHORT if console.is_terminal and console.width < WIDE else None],
        )
    console.print(table)
    if best is not None and (line := equals(history, best)):
        console.print(plain(line))
    if left := len(history.trials) - len(rows):
        console.print(f"{left} more trials; all of them: --top {len(history.trials)}, or --json")


def _rows(history: History, top: int) -> list[tuple[int, TrialHistory]]:
    """The trials to list, by number: all, or where they are many the best and what runs."""
    if len(history.trials) <= top:
        return sorted(history.trials.items())
    chosen = {trial.number for trial in history.ranked(unfinished=True)[:top]}
    chosen |= {number for number, trial in history.trials.items() if trial.running}
    return [(number, history.trials[number]) for number in sorted(chosen)]
