"""`hpsearch plan`: what a study will take, before it runs, and warnings about its space."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hpsearch.cli.options import Amount, budget_options, home_option, resources_options

if TYPE_CHECKING:
    from rich.console import Console

    from hpsearch.events import Event, Show
    from hpsearch.preflight.planning.outlook import Outlook
    from hpsearch.preflight.planning.plan import Measured, Memory, Plan

MORE = 4  # random configs that are listed beside the named ones
LIMITS = {
    "trials": "budget.trials",
    "hours": "budget.hours",
    "device_hours": "budget.device_hours",
    "money": "budget.money",
    "space": "the last config of the space",
}


@click.command(
    short_help="Measure corners of SPACE: time, memory, money; warnings.",
    epilog="""\b
Examples:
  hpsearch plan search_spaces/quickstart.yaml
  hpsearch plan space.yaml --quick            only the data and the warnings
  hpsearch plan space.yaml --json | jq .pruned.seconds""",
)
@click.argument("space", type=click.Path(path_type=Path))
@click.option("--quick", is_flag=True, help="Measure nothing: only the data and the warnings.")
@click.option("--seconds", type=Amount(), default=60.0, show_default=True, help="Time for measuring, at most.")
@click.option("--json", "as_json", is_flag=True, help="JSON of the whole plan, for programs.")
@budget_options("of the study")
@resources_options
@home_option
def plan(space: Path, as_json: bool, home_path: Path, **options: Any) -> None:
    """Measure a few steps of the corners of SPACE: does it fit, how long is a trial, when does the study end?

    It trains the default config, the smallest, the largest and the longest one, and some between, for a few seconds
    each, on the data and the device of the study, and warns of what is unwise in the space. It makes no study and no
    MLflow run. Ctrl-C ends it at once.
    """
    import hpsearch
    from hpsearch.cli.signals import leaving

    progress: bool | Show = not as_json
    if progress and not sys.stdout.isatty():
        progress = _Lines().show
    with leaving():
        found = hpsearch.plan(space, home=home_path, progress=progress, **options)
    if as_json:
        unicode = (sys.stdout.encoding or "").lower().startswith("utf")
        click.echo(json.dumps(found.to_dict(), indent=1, ensure_ascii=not unicode))
    else:
        _print(found)


class _Lines:
    """What a plan does, for an output that is no terminal: a line for each step."""

    def __init__(self) -> None:
        self._said = ""

    def show(self, event: Event) -> None:
        """Prints what is done now, and warnings."""
        from hpsearch.displays.console import say
        from hpsearch.events import Notice, Preparing

        line = event.what if isinstance(event, Preparing) else event.line if isinstance(event, Notice) else ""
        if line and line != self._said:
            say(line)
            self._said = line


def _print(found: Plan) -> None:
    from hpsearch.displays.console import console, write
    from hpsearch.displays.text import plain

    to = console()
    for line in _head(found):
        write(to, plain(line))
    if found.measured:
        _print_measured(found, to)
    for line in _lines(found):
        write(to, plain(line))
    if found.whole is not None:
        _print_outlook(found, to)
    for line in found.notes:
        write(to, plain(f"note: {line}"))
    for line in found.warnings:
        write(to, plain(f"warning: {line}"))
    if not found.warnings:
        write(to, "no warnings")


def _head(found: Plan) -> Iterator[str]:
    each = f"{found.threads} thread{'s' * (found.threads > 1)}"
    workers = f"{found.workers} worker{'s' * (found.workers > 1)} on {found.device} ({each} each)"
    yield f"plan of {found.study}: {' and '.join(found.budget)}; {workers}"
    yield from (f"  {line}" for line in found.data)


def _print_measured(found: Plan, to: Console) -> None:
    """A table of what was measured; of the random configs only the first."""
    from hpsearch.displays.console import Column, table

    named = [one for one in found.measured if one.name or one.failure]
    random = [one for one in found.measured if not (one.name or one.failure)]
    rows = [_row(one, found.telling) for one in [*named, *random[:MORE]]]
    columns = [
        Column("config", wraps=True),
        Column("a trial"),
        Column("memory", needed=1),
        Column("params that count", short="params", wraps=True),
    ]
    count = sum(not one.failure for one in found.measured)
    lost = f", {len(found.measured) - count} not" * (count < len(found.measured))
    starting = f" ({_time(found.start)} of them to start)" * (found.start > found.spent / 2)
    few = f"; {len(rows)} of them are shown" * (len(rows) < len(found.measured))
    title = f"{count} config{'s' * (count != 1)} measured in {_time(found.spent)}{starting}{lost}{few}"
    to.print(table(to, title, columns, rows), soft_wrap=False)


def _row(one: Measured, names: tuple[str, ...]) -> list[str]:
    from hpsearch.displays.text import cell, shown
    from hpsearch.journal.branch_labels import unfolded

    whole, told = unfolded(one.params), unfolded({key: value for key, value in one.params.items() if key in names})
    words = " ".join(f"{name}={shown(whole[name])}" for name in told if name in whole)
    seconds = "-" if one.seconds is None else _time(one.seconds)
    memory = "" if one.memory is None else _bytes(one.memory)
    failed = f": {one.failure}" if one.failure else ""
    return [cell((one.name or "random") + failed), seconds, memory, cell(words)]


def _lines(found: Plan) -> Iterator[str]:
    trial = found.trial
    if trial is None:
        if found.measured:
            yield "nothing could be measured, so nothing can be said of the time"
        return
    parts = f"{trial.training:.0%} steps, {trial.evaluating:.0%} evaluations"
    yield f"a trial: {_time(trial.mean)} on average, 10% to 90% {_time(trial.low)} to {_time(trial.high)}; {parts}"
    stopped = "" if found.share in (None, 1.0) else f", with {found.share:.0%} of a training each (pruner)"
    yield f"  trials an hour: {found.trials_per_hour:.3g}{stopped}; the first one starts after {_time(found.start)}"
    if found.memory is not None:
        yield _memory(found.memory)
    if found.disk:
        yield f"disk: {_bytes(found.disk)} of checkpoints at most, {_bytes(found.kept)} stay"


def _memory(memory: Memory) -> str:
    if not memory.available:
        return f"memory: {_bytes(memory.peak)} at most"
    together = f", {memory.at_once} at once {_bytes(memory.together)}" if memory.at_once > 1 else ""
    verdict = "fits" if memory.fits else f"{memory.never:.0%} of the configs never fit"
    return f"memory: {_bytes(memory.peak)} at most{together}, of {_bytes(memory.available)}: {verdict}"


def _print_outlook(found: Plan, to: Console) -> None:
    """A table of the study without and with its pruner."""
    from hpsearch.displays.console import Column, table, write
    from hpsearch.displays.text import plain

    kinds = [("nothing pruned", found.whole), ("with the pruner", found.pruned)]
    rows = [_studied(name, one) for name, one in kinds if one is not None]
    money = [Column("money")] if found.whole is not None and found.whole.money is not None else []
    columns = [
        Column("the study"),
        Column("trials"),
        Column("confirmed", short="conf."),
        Column("takes"),
        Column("10% to 90%", wraps=True, needed=2),
        Column("ends at"),
        Column("device-hours", short="dev. h"),
        *money,
        Column("limit", wraps=True, needed=1),
    ]
    to.print(table(to, "the whole study, if it starts now", columns, rows), soft_wrap=False)
    share = f"{found.share:.2f} of its training, " if found.share is not None else ""
    write(to, plain(f"  a trial with the pruner: {share}{found.share_from}"))


def _studied(name: str, one: Outlook) -> list[str]:
    end = time.localtime(time.time() + one.seconds)
    day = "" if one.seconds < 12 * 3600 else "%a " if one.seconds < 6 * 86400 else "%Y-%m-%d "
    money = [] if one.money is None else [f"{one.money:.3g}"]
    confirmed = str(one.confirmed) if one.confirmed else "no"
    spread = f"{_time(one.earliest)} to {_time(one.latest)}"
    takes = [_time(one.seconds), spread, time.strftime(f"{day}%H:%M", end)]
    return [name, str(one.trials), confirmed, *takes, f"{one.device_hours:.3g}", *money, LIMITS[one.limit]]


def _time(seconds: float) -> str:
    """A duration in three digits at most: 0.8 s, 42 s, 4.5 min, 3.2 h, 12 days."""
    for size, unit in ((86400.0 * 2, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / (86400 if unit == 'days' else size):.3g} {unit}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


def _bytes(size: int) -> str:
    return f"{size / 2**30:.2g} GiB" if size >= 2**29 else f"{size / 2**20:.0f} MiB"
