"""What a final training prints: lines, with --quiet the last ones alone, with --json an object a line."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hpsearch.cli.outputs import Silent
from hpsearch.displays.console import say
from hpsearch.displays.json_lines import JsonLines
from hpsearch.displays.screen import EVERY
from hpsearch.displays.training import TrainingTerminal
from hpsearch.events import Event, Notice, Stepped
from hpsearch.output.printable import printable
from hpsearch.output.redaction import redact

if TYPE_CHECKING:
    from hpsearch.api.train import FinalResult
    from hpsearch.space.experiment import Experiment


def training_output(*, quiet: bool, as_json: bool) -> Any:
    """The output that the options choose; raises UsageError for both."""
    if quiet and as_json:
        raise click.UsageError("--quiet and --json exclude each other")
    return JsonTraining() if as_json else QuietTraining() if quiet else LineTraining()


class LineTraining(TrainingTerminal):
    """The terminal of `hpsearch train`."""

    def stopped(self, again: str, *, code: int) -> None:
        """Names the command that resumes; code: the exit code."""
        self.say(f"stopped; everything is saved. Resume with: {again}")

    def done(self, experiment: Experiment, result: FinalResult, output: Path, *, lines: Iterable[str]) -> None:
        """Prints the lines about the result."""
        for line in lines:
            self.say(line)


class QuietTraining(Silent):
    """Warnings on standard error, then the result."""

    def show(self, event: Event) -> None:
        """Prints a warning."""
        if isinstance(event, Notice) and event.line.startswith("warning: "):
            click.echo(printable(redact(event.line)), err=True)

    def stopped(self, again: str, *, code: int) -> None:
        """Names the command that resumes; code: the exit code."""
        click.echo(printable(redact(f"stopped; everything is saved. Resume with: {again}")), err=True)

    def done(self, experiment: Experiment, result: FinalResult, output: Path, *, lines: Iterable[str]) -> None:
        """Prints the lines about the result."""
        for line in lines:
            say(line)


class JsonTraining(Silent):
    """Each event as an object; the last one is the result."""

    def __init__(self) -> None:
        super().__init__()
        self.lines = JsonLines(sys.stdout)
        self._stepped = time.monotonic()

    def show(self, event: Event) -> None:
        """Writes an event; of those between two evaluations one each EVERY seconds."""
        if isinstance(event, Stepped):
            if time.monotonic() - self._stepped < EVERY:
                return
            self._stepped = time.monotonic()
        self.lines.show(event)

    def stopped(self, again: str, *, code: int) -> None:
        """Writes the result of a training that was stopped."""
        self.lines.write("result", exit_code=code, stopped=True, resume=again)

    def done(self, experiment: Experiment, result: FinalResult, output: Path, *, lines: Iterable[str]) -> None:
        """Writes the result."""
        metric = experiment.objective.metric
        found = {"metric": metric, "value": result.metrics.get(metric), "metrics": result.metrics}
        said: dict[str, Any] = {
            "signatures": dict(result.signatures),
            "untested": result.untested,
            "looks": result.looks,
        }
        gap = None if result.gap is None else result.gap.to_dict()
        seeds = None if result.seeds is None else result.seeds.to_dict()
        said |= {"data": result.data, "seed": result.seed, "seeds": seeds}
        files = {"files": {"folder": str(output)}, "reproduction": result.reproduction, "optimism": gap}
        self.lines.write("result", exit_code=0, stopped=False, **found, **said, **files)
