"""`hpsearch show`: lists the trials of a study, as a table or as JSON."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hpsearch.cli.options import home_option
from hpsearch.outcome import Outcome

WIDE, SHORT = 110, 8  # columns of a terminal that shows whole MLflow run ids; characters of an id in a narrower one

if TYPE_CHECKING:
    from hpsearch.api.study import Study
    from hpsearch.api.trial import Trial


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
    help="Most trials to list: the best ones, and those that are running.",
)
@home_option
def show(space_or_study: str, as_json: bool, top: int, home_path: Path) -> None:
    """List the trials of SPACE_OR_STUDY: outcome, best value, epoch of the best value, params, MLflow run.

    It reads the journal only and works during a search.
    """
    from hpsearch.api.study import load

    study = load(space_or_study, home=home_path, curves=False)
    if as_json:
        unicode = (sys.stdout.encoding or "").lower().startswith("utf")
        click.echo(json.dumps(as_dict(study), indent=1, ensure_ascii=not unicode))
    else:
        _print(study, top=top)


def as_dict(study: Study) -> dict[str, Any]:
    """Returns the study as JSON data; numbers that are not finite become None."""
    return {
        "study": study.name,
        "objective": {"metric": study.metric, "direction": study.direction},
        "best": _as_dict(study, study.best) if study.best else None,
        "trials": [_as_dict(study, trial) for trial in study.trials],
    }


def _as_dict(study: Study, trial: Trial) -> dict[str, Any]:
    history = study.history.trials[trial.number]
    place = study.history.so_far(history).best
    at = trial.best or (trial.evaluations[-1] if trial.evaluations else None)
    return {
        "number": trial.number,
        "outcome": trial.outcome,
        "state": history.state or "RUNNING",
        "params": trial.params,
        "value": trial.value,
        "best_evaluation": asdict(place) if place else None,
        "metrics": {k: v if math.isfinite(v) else None for k, v in at.metrics.items()} if at else {},
        "reason": trial.reason,
        "seconds": trial.seconds,
        "peak_memory": trial.peak_memory,
        "mlflow_run_id": trial.mlflow_run_id,
    }


def _print(study: Study, *, top: int) -> None:
    from rich.console import Console
    from rich.table import Table

    from hpsearch.displays.text import equals, plain

    console = Console(highlight=False)
    table = Table(title=f"{study.name}: {study.metric}, {study.direction}", title_justify="left")
    for column in ("trial", "outcome", study.metric, "at epoch", "params", "MLflow run"):
        table.add_column(column, overflow="fold")
    shown, run_id = _shown(study, top), SHORT if console.is_terminal and console.width < WIDE else None
    for trial in shown:
        table.add_row(*_cells(study, trial, run_id))
    console.print(table)
    best = study.history.leader()
    if best is not None and (line := equals(study.history, best)):
        console.print(plain(line))
    if left := len(study.trials) - len(shown):
        console.print(f"{left} more trials; --top {len(study.trials)} or --json lists all")


def _cells(study: Study, trial: Trial, run_id: int | None) -> list[str]:
    """Returns a row of the table; `run_id`: characters to show of the MLflow run id (None: all)."""
    from hpsearch.displays.text import measured, params, plain

    value = trial.best.metrics[study.metric] if trial.value is None and trial.best else trial.value
    return [
        f"{trial.number}{' *' if study.best and trial.number == study.best.number else ''}",
        trial.outcome,
        "" if value is None else measured(value),
        f"{trial.best.epoch:.3g}" if trial.best and trial.best.epoch else "",
        plain(params(trial)),
        (trial.mlflow_run_id or "")[:run_id],
    ]


def _shown(study: Study, top: int) -> list[Trial]:
    """Returns the trials to list, by number: all, or of more than `top` the best and those that are running."""
    if len(study.trials) <= top:
        return list(study.trials)
    chosen = {trial.number for trial in study.history.ranked(unfinished=True)[:top]}
    return [trial for trial in study.trials if trial.number in chosen or trial.outcome is Outcome.RUNNING]
