"""`hpsearch check`: whether the trainer of a space keeps its contract, in words."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import click

from hpsearch.cli.options import Amount, device_option, home_option

if TYPE_CHECKING:
    from hpsearch.events import Event, Judged
    from hpsearch.preflight.checking.findings import Conformance

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

    with _Lines(silent=as_json) as lines, leaving():
        found = hpsearch.check(space, home=home_path, progress=lines.show, **options)
    if as_json:
        unicode = (sys.stdout.encoding or "").lower().startswith("utf")
        click.echo(json.dumps(found.to_dict(), indent=1, ensure_ascii=not unicode))
    else:
        lines.end(found)
    if not found.ok:
        click.get_current_context().exit(1)


class _Lines:
    """Prints what a check finds as soon as it is known, and what was not judged if it is interrupted."""

    def __init__(self, *, silent: bool) -> None:
        """silent: standard output belongs to JSON; warnings still go to standard error."""
        from hpsearch.displays.training import TrainingTerminal

        self._silent, self._parts, self._judged = silent, tuple[str, ...](), dict[str, bool | None]()
        self._terminal = TrainingTerminal() if sys.stdout.isatty() and not silent else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._terminal is not None:
            self._terminal.screen.clear()
        if kind is not None and issubclass(kind, KeyboardInterrupt | SystemExit) and self._parts:
            click.echo("\n".join(self._interrupted()), err=self._silent)

    def show(self, event: Event) -> None:
        """Prints a finding; how far the check is goes to a terminal alone."""
        from hpsearch.events import Judged, Judging, Notice
        from hpsearch.journal.branch_labels import unfolded

        if isinstance(event, Judging):
            self._parts = event.parts
            params = ", ".join(f"{name}={value}" for name, value in unfolded(event.params).items()) or "the only one"
            self._say(f"check of {event.study}: trainer {event.trainer} on {event.device}; config: {params}")
        elif isinstance(event, Judged):
            self._judged[event.name] = event.passed
            for line in _finding(event):
                self._say(line)
        elif self._terminal is not None:
            self._terminal.show(event)
        elif isinstance(event, Notice):
            click.echo(event.line, err=True)

    def end(self, found: Conformance) -> None:
        """Prints the parts that were not checked, by their reason, and what came of it all."""
        if self._terminal is not None:
            self._terminal.screen.clear()
        reasons: dict[str, list[str]] = {}
        for one in found.findings:
            if one.name not in self._judged:
                reasons.setdefault(one.line, []).append(one.name)
        for line, names in reasons.items():
            self._say(f"{'-':<{MARKS}}{line} ({', '.join(names)})")
        for note in found.notes:
            self._say(f"note: {note}")
        count, failed = len(found.findings), len(found.failed)
        said = f"{failed} of {count} parts of the contract fail" if failed else "nothing fails"
        self._say(f"{said}; {found.trainings} training{'s' * (found.trainings != 1)}, {found.seconds:.0f} s")

    def _interrupted(self) -> Iterator[str]:
        failed = [name for name, passed in self._judged.items() if passed is False]
        left = [name for name in self._parts if name not in self._judged]
        yield f"interrupted: {len(self._judged)} of {len(self._parts)} parts were judged, {len(failed)} of them fail"
        if left:
            yield f"not judged: {', '.join(left)}"

    def _say(self, line: str) -> None:
        """Prints a line at once, also into a pipe."""
        from hpsearch.displays.console import console, write
        from hpsearch.displays.text import plain

        if self._silent:
            return
        if self._terminal is not None:
            self._terminal.say(line)
            return
        write(console(), plain(line))
        sys.stdout.flush()


def _finding(one: Judged) -> Iterator[str]:
    mark = {True: "ok", False: "FAILS", None: "-"}[one.passed]
    yield f"{mark:<{MARKS}}{one.name:<{NAMES}}{one.line}"
    if one.not_promised:
        yield f"{'':<{MARKS}}not promised: {one.not_promised}"
        yield f"{'':<{MARKS}}mend it:      {one.mend}"
    for number, line in enumerate(one.output):
        yield f"{'':<{MARKS}}{'' if number else 'it printed:':<14}{line}"
