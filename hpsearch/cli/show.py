"""`hpsearch show`: lists the trials of a study, as a table or as JSON."""

from __future__ import annotations

import difflib
import json
import math
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from hpsearch.cli.options import force_option, home_option
from hpsearch.errors import UserError
from hpsearch.journal.branch_labels import unfolded
from hpsearch.outcome import Outcome

KINDS = ("table", "csv", "parquet", "json")
OUTCOMES = [outcome.value for outcome in Outcome if outcome is not Outcome.UNFINISHED]  # what a trial's status may be

if TYPE_CHECKING:
    from hpsearch.api.study import Study
    from hpsearch.api.trial import Trial


@click.command(
    short_help="List the trials of a study: outcome, value, epoch, params.",
    epilog="""\b
Examples:
  hpsearch show search_spaces/quickstart.yaml --top 10
  hpsearch show quickstart --outcome pruned --sort trial -v
  hpsearch show quickstart --sort=-learning_rate --top 10
  hpsearch show quickstart --json | jq .best.params
  hpsearch show quickstart -o trials.parquet""",
)
@click.argument("space_or_study")
@click.option("--json", "as_json", is_flag=True, help="JSON of the study and all trials, as --format json.")
@click.option("--format", "kind", type=click.Choice(KINDS), help="How to write the trials (default: a table).")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="File for csv, parquet or JSON.")
@click.option(
    "--sort",
    metavar="COLUMN",
    default="best",
    show_default=True,
    help="best, trial, outcome, value, epoch, seconds, memory, a param or a metric; -COLUMN: the largest first.",
)
@click.option("--outcome", "outcomes", multiple=True, type=click.Choice(OUTCOMES), help="Only these; may be repeated.")
@click.option(
    "--top",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="Most trials in the table: the best ones, and those that are running.",
)
@click.option("-v", "--verbose", is_flag=True, help="With MLflow runs, and warnings of the data.")
@force_option
@home_option
def show(space_or_study: str, home_path: Path, **options: Any) -> None:
    """List the trials of SPACE_OR_STUDY: outcome, best value, epoch of the best value, params.

    Params that are the same in all trials are named once, below; with --outcome or --top the table is all that is
    printed, without what is known of the study. It reads the journal only and works during a search.
    """
    from hpsearch.api.study import load
    from hpsearch.cli.study_json import as_dict
    from hpsearch.system.own_output import is_table, refuse_other

    chose_top = click.get_current_context().get_parameter_source("top") is ParameterSource.COMMANDLINE
    wanted = _Wanted(**options, is_part=chose_top or bool(options["outcomes"]))
    kind = wanted.checked_kind()
    if wanted.output is not None:
        refuse_other(wanted.output, is_table, force=wanted.force)
    study = load(space_or_study, home=home_path, curves=False)
    if kind == "table":
        _print(study, wanted)
    elif kind == "json":
        _write_json(as_dict(study), wanted.output)
    else:
        _write_table(study, kind, wanted)


@dataclass(frozen=True)
class _Wanted:
    """The options of `show`."""

    as_json: bool
    kind: str | None
    output: Path | None
    sort: str  # best, trial, or a column
    outcomes: tuple[str, ...]
    top: int
    verbose: bool
    force: bool
    is_part: bool  # some trials were asked for, and no more

    def checked_kind(self) -> str:
        """One of KINDS, by the options or the ending of the file; raises UsageError if they contradict each other."""
        ending = None if self.output is None else self.output.suffix.removeprefix(".").lower()
        kind = "json" if self.as_json else self.kind or (ending if ending in KINDS else None)
        if self.as_json and self.kind not in (None, "json"):
            raise click.UsageError(f"--json and --format {self.kind}: only one of the two is allowed")
        if self.output is not None and kind in (None, "table"):
            raise click.UsageError("-o needs --format csv, parquet or json, or a file with such an ending")
        if kind == "parquet" and self.output is None:
            raise click.UsageError("--format parquet needs a file: -o FILE")
        if kind == "json" and (self.outcomes or self.sort != "best"):
            raise click.UsageError("JSON has all trials by number: --outcome and --sort are for tables")
        return kind or "table"

    def sorted(self, study: Study) -> list[Trial]:
        """The trials with the wanted outcomes in the wanted order."""
        found = [trial for trial in study.trials if not self.outcomes or trial.outcome in self.outcomes]
        if self.sort == "best":
            return sorted(found, key=_order(study))
        return sorted_by(self.sort, found)

    def shown(self, study: Study) -> list[Trial]:
        """The best `top` of them, and those that are running."""
        found = self.sorted(study)
        chosen = {trial.number for trial in sorted(found, key=_order(study))[: self.top]}
        return [trial for trial in found if trial.number in chosen or trial.outcome is Outcome.RUNNING]


def _print(study: Study, wanted: _Wanted) -> None:
    from hpsearch.cli.study_table import print_study
    from hpsearch.displays.console import say

    shown = wanted.shown(study)
    print_study(study, shown, verbose=wanted.verbose, table_only=wanted.is_part)
    if left := len(wanted.sorted(study)) - len(shown):
        say(f"{left} more trials; --top {len(study.trials)} or --json lists all")


def _order(study: Study) -> Callable[[Trial], tuple[int, float, int]]:
    """A key that sorts the winner first, then by value those that can win, then the others."""
    history, sign = study.history, 1 if study.direction == "minimize" else -1
    can_win = {trial.number for trial in history.ranked(unfinished=True)}
    leader = None if study.best is None else study.best.number

    def key(trial: Trial) -> tuple[int, float, int]:
        place = 0 if trial.number == leader else 1 if trial.number in can_win else 2
        value = math.inf if trial.value is None or not math.isfinite(trial.value) else sign * trial.value
        return place if math.isfinite(value) else 3, value, trial.number

    return key


def sorted_by(column: str, trials: Sequence[Trial]) -> list[Trial]:
    """The trials by a column, those without a value of it last; `-COLUMN`: the largest first.

    A param or a metric may be named by its last part. Raises UserError for an unknown column.
    """
    name = column.removeprefix("-")
    rows = {trial.number: _columns(trial) for trial in trials}
    known = list(dict.fromkeys(key for row in rows.values() for key in row)) or [name]
    ends = [key for key in known if re.split(r"[./]", key)[-1] == name]
    found = name if name in known else ends[0] if len(ends) == 1 else None
    if found is None:
        near = difflib.get_close_matches(name, known, n=1)
        allowed = f"did you mean {near[0]}?" if near else f"allowed: best, {', '.join(known)}"
        raise UserError(f"--sort {name}: no such column; {allowed}")
    there = [trial for trial in trials if _is_there(rows[trial.number].get(found))]
    is_text = any(isinstance(rows[trial.number][found], str) for trial in there)

    def key(trial: Trial) -> Any:
        value = rows[trial.number][found]
        return str(value) if is_text else value

    return sorted(there, key=key, reverse=column.startswith("-")) + [trial for trial in trials if trial not in there]


def _is_there(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def _columns(trial: Trial) -> dict[str, Any]:
    """What trials can be sorted by: the metrics of a trial are those at its best evaluation."""
    at = {"epoch": trial.best.epoch or None} if trial.best else {}
    own = {"trial": trial.number, "outcome": str(trial.outcome), "value": trial.value, "seconds": trial.seconds or None}
    found = own | at | {"memory": trial.peak_memory or None} | unfolded(trial.params)
    return found | {
        name: value for name, value in (trial.best.metrics if trial.best else {}).items() if name not in found
    }


def _write_json(value: Any, output: Path | None) -> None:
    unicode = output is not None or (sys.stdout.encoding or "").lower().startswith("utf")
    text = json.dumps(value, indent=1, ensure_ascii=not unicode)
    click.echo(text) if output is None else _write(output, f"{text}\n".encode())


def _write_table(study: Study, kind: str, wanted: _Wanted) -> None:
    """Writes the trials as csv or parquet: the data frame of a loaded study."""
    frame = study.dataframe().loc[[trial.number for trial in wanted.sorted(study)]]
    mixed = [name for name in frame.columns if frame[name].map(type).nunique() > 1 and frame[name].dtype == object]
    frame = frame.astype(dict.fromkeys(mixed, "string"))  # a column of parquet has one type
    if kind == "csv" and wanted.output is None:
        click.echo(frame.to_csv(), nl=False)
    elif wanted.output is not None:
        _write(wanted.output, frame.to_csv().encode() if kind == "csv" else frame.to_parquet())


def _write(path: Path, content: bytes) -> None:
    """Writes a file and says so; raises UserError if that is not possible."""
    from hpsearch.displays.console import say
    from hpsearch.system.atomic import write_atomically

    try:
        write_atomically(path, content)
    except OSError as error:
        raise UserError(f"{path}: cannot write: {error.strerror}") from error
    say(f"{path}: written")
