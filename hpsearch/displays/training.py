"""A final training in a terminal: the data, one bar, and a spinner during the test."""

from __future__ import annotations

import contextlib
import math
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from hpsearch.displays.text import measured, plain, spinner
from hpsearch.events import Event, Notice, Prepared, Preparing, Testing, Trained


class TrainingTerminal:
    """The terminal of one final training; `show` receives its events."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[value]}"),
            TimeElapsedColumn(),
        )
        self._bars = Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal)
        self._bar = self._bars.add_task("", total=1.0, value="")
        self._live = contextlib.ExitStack()  # the bar or the spinner on the screen

    def __enter__(self) -> Self:
        self._live.enter_context(self._bars)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._live.close()

    def show(self, event: Event) -> None:
        """Shows one event."""
        if isinstance(event, Notice):
            self.say(event.line)
        elif isinstance(event, Preparing):
            self._bars.update(self._bar, description=event.what, completed=event.share)
        elif isinstance(event, Prepared):
            for line in event.data:
                self.say(line)
            self._bars.update(self._bar, description="training", completed=0.0)
        elif isinstance(event, Trained):
            value = measured(event.evaluation.metrics.get(event.metric, math.nan))
            self._bars.update(self._bar, completed=event.share, value=f"{event.metric} {value}")
        elif isinstance(event, Testing):
            self._live.close()
            self._live.enter_context(self.console.status("testing", spinner=spinner(self.console)))

    def say(self, line: str) -> None:
        """Prints one line above the bar."""
        self.console.print(plain(line))
