"""The page of `hpsearch watch --html`: the study's report, written again as its trials end."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from hpsearch.api.report import report
from hpsearch.errors import UserError
from hpsearch.events import Event, Finished, Left, Notice, OfPause, Watched

LEAST_SECONDS = 10  # between two drawings, which take a second for 200 trials, and between two looks of a browser


class WatchedPage:
    """A report that follows a search: drawn at the start, as trials end, and at the end."""

    def __init__(self, path: Path, study: str, *, home: Path, say: Callable[[Event], None]) -> None:
        """`say` receives a Notice if the page cannot be written any more."""
        self._path, self._study, self._home, self._say = path, study, home, say
        self._drawn: float | None = None  # when it was last, of the monotonic clock

    def show(self, event: Event) -> None:
        """Draws the page if the event changes it; raises UserError if it cannot be written the first time."""
        is_due = self._drawn is None or time.monotonic() - self._drawn >= LEAST_SECONDS
        if isinstance(event, Watched | Left | OfPause) or (isinstance(event, Finished) and is_due):
            self._draw()

    def _draw(self) -> None:
        try:
            report(self._study, self._path, home=self._home, refresh=LEAST_SECONDS)
        except UserError as error:
            if self._drawn is None:
                raise
            self._say(Notice(f"warning: {error}"))
        self._drawn = time.monotonic()
