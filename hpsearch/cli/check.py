"""`hpsearch check`: whether the trainer of a space keeps its contract, in words."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hpsearch.cli.options import Amount, device_option, home_option

if TYPE_CHECKING:
    from hpsearch.preflight.checking.findings import Conformance, Finding

MARKS = 7  # characters of the longest mark, and spaces
NAMES = 13  # the same of names


@click.command(
    short_help="Does the trainer of SPACE resume, stop, honour its seed?",
    epilog="""\b
Examples:
  hpsearch check space.yaml
  hpsearch check space.yaml --quick               three trainings: undisturbed, paused, resumed
  hpsearch check space.yaml --trial-seconds 60    for trainings whose first evaluations come late""",
)
@click.argument("space", type=click.Path(path_type=Path))
@click.option("--quick", is_flag=True, help="Only three trainings: undisturbed, paused, resumed.")
@click.option(
    "--trial-seconds",
    type=Amount(),
    default=20.0,
    show_default=True,
    help="Seconds of each training, from its first evaluation on.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON of all that was found, for programs.")
@device_option
@home_option
def check(space: Path, as_json: bool, home_path: Path, **options: Any) -> None:
    """Train a small config of SPACE a few times: does its trainer, function or program keep the contract?

    It is trained alone, with another seed, twice at once, paused and resumed, killed and resumed, in real workers and a
    temporary folder. Nothing enters a study or MLflow. Each line says what was seen; where something fails, what a
    study will not promise and how to mend it (docs/own_training.md). Exit code 1 if anything fails.
    """
    import hpsearch
    from hpsearch.cli.signals import leaving

    with leaving():
        found = hpsearch.check(space, home=home_path, progress=not as_json and sys.stdout.isatty(), **options)
    if as_json:
        unicode = (sys.stdout.encoding or "").lower().startswith("utf")
        click.echo(json.dumps(found.to_dict(), indent=1, ensure_ascii=not unicode))
    else:
        _print(found)
    if not found.ok:
        click.get_current_context().exit(1)


def _print(found: Conformance) -> None:
    from hpsearch.displays.console import console, write
    from hpsearch.displays.text import plain

    to = console()
    for line in _lines(found):
        write(to, plain(line))


def _lines(found: Conformance) -> Iterator[str]:
    from hpsearch.journal.branch_labels import unfolded

    params = ", ".join(f"{name}={value}" for name, value in unfolded(found.params).items()) or "the only one"
    yield f"check of {found.study}: trainer {found.trainer} on {found.device}; config: {params}"
    for one in found.findings:
        yield from _finding(one)
    yield from (f"note: {line}" for line in found.notes)
    count, failed = len(found.findings), len(found.failed)
    said = f"{failed} of {count} parts of the contract fail" if failed else "nothing fails"
    yield f"{said}; {found.trainings} training{'s' * (found.trainings != 1)}, {found.seconds:.0f} s"


def _finding(one: Finding) -> Iterator[str]:
    yield f"{one.mark:<{MARKS}}{one.name:<{NAMES}}{one.line}"
    if one.not_promised:
        yield f"{'':<{MARKS}}not promised: {one.not_promised}"
        yield f"{'':<{MARKS}}mend it:      {one.mend}"
