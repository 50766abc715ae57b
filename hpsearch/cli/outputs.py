"""What a search prints: the terminal's own (--quiet: little of it), or with --json an object a line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import click

from hpsearch.cli.closing import named
from hpsearch.displays.console import say
from hpsearch.displays.json_lines import JsonLines, result
from hpsearch.displays.text import quoted
from hpsearch.events import Event, Left, Notice, Opened, Searched, Shipped, Watched
from hpsearch.journal.history import History
from hpsearch.output.printable import printable
from hpsearch.output.redaction import redact


class Output(AbstractContextManager["Output"], Protocol):
    """Prints the events of a search."""

    searched: Searched | None  # set when the search has ended

    def show(self, event: Event) -> None:
        """Shows one event."""

    def left_early(self) -> None:
        """A person did not wait for MLflow."""

    def ended(self, code: int) -> None:
        """The command ends with this exit code."""


def output(terminal: Callable[[], Any], *, quiet: bool, as_json: bool) -> Any:
    """The output that the options choose; raises UsageError for both."""
    if quiet and as_json:
        raise click.UsageError("--quiet and --json exclude each other")
    return JsonRun() if as_json else QuietRun() if quiet else terminal()


class Silent:
    """An output that draws nothing."""

    def __init__(self) -> None:
        self.searched: Searched | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        pass

    def left_early(self) -> None:
        """Nothing is said."""

    def ended(self, code: int) -> None:
        """Nothing is said."""


class QuietRun(Silent):
    """Warnings on standard error, and the winner with its file."""

    def show(self, event: Event) -> None:
        """Prints a warning, or the winner."""
        if isinstance(event, Notice) and event.line.startswith("warning: "):
            click.echo(printable(redact(event.line)), err=True)
        elif isinstance(event, Searched):
            self.searched = event
            if event.stopped:
                click.echo("stopped; everything is saved", err=True)
        elif isinstance(event, Shipped) and self.searched is not None:
            best = self.searched.history.leader()
            if best is not None:
                where = "" if event.exported is None else f": {quoted(event.exported)}"
                say(f"best: {named(self.searched.history, best)}{where}")


class JsonRun(Silent):
    """Each event as an object; the last one is the result."""

    def __init__(self) -> None:
        super().__init__()
        self.lines = JsonLines(sys.stdout)
        self._history: History | None = None
        self._folder: Path | None = None
        self._exported: Path | None = None
        self._lacking: dict[str, int] = {}

    def show(self, event: Event) -> None:
        """Writes an event."""
        if isinstance(event, Opened | Watched | Left):
            self._history, self._folder = event.history, event.folder
        elif isinstance(event, Searched):
            self.searched = event
        elif isinstance(event, Shipped):
            self._exported, self._lacking = event.exported, event.lacking
        self.lines.show(event)

    def ended(self, code: int) -> None:
        """Writes the result: the best trial, its value, the files."""
        found = {} if self._history is None else result(self._history)
        stopped = self.searched is not None and self.searched.stopped
        self.lines.write("result", exit_code=code, stopped=stopped, **found, files=self._files(), lacking=self._lacking)

    def _files(self) -> dict[str, str | None]:
        folder = self._folder
        if folder is None:
            return {}
        best = self._exported or (folder / "best.yaml" if (folder / "best.yaml").exists() else None)
        return {
            "folder": str(folder),
            "journal": str(folder / "journal.jsonl"),
            "space": str(folder / "space.yaml"),
            "best": None if best is None else str(best),
        }
