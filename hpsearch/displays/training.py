"""A final training in a terminal: the data, one bar, and a spinner during the test."""

from __future__ import annotations

import math
from types import TracebackType
from typing import Self

from hpsearch.displays.console import console
from hpsearch.displays.screen import Screen, screen
from hpsearch.displays.text import measured, plain
from hpsearch.events import Event, Notice, Prepared, Preparing, Testing, Trained


class TrainingTerminal:
    """The terminal of one final training; `show` receives its events."""

    def __init__(self) -> None:
        self.console = console()
        self.screen: Screen = screen(self.console)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.screen.clear()

    def show(self, event: Event) -> None:
        """Shows one event."""
        if isinstance(event, Notice):
            self.say(event.line)
        elif isinstance(event, Preparing):
            self.screen.status(event.what, event.share)
        elif isinstance(event, Prepared):
            for line in event.data:
                self.say(line)
            self.screen.status("training")
        elif isinstance(event, Trained):
            value = measured(event.evaluation.metrics.get(event.metric, math.nan))
            self.screen.status("training", event.share, value=f"{event.metric} {value}")
        elif isinstance(event, Testing):
            self.screen.status("testing")

    def say(self, line: str) -> None:
        """Prints one line above the bar."""
        self.screen.say(plain(line))
