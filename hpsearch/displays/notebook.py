"""A search or a training in a notebook: one output, redrawn while it runs.

It uses IPython's own display, which every notebook has: rich and tqdm would need the ipywidgets package.
"""

from __future__ import annotations

import html
import sys
import time
from dataclasses import dataclass
from typing import Any

from hpsearch.displays.bars import UNICODE
from hpsearch.displays.frame import Frame, rows
from hpsearch.displays.lines import head, stopped
from hpsearch.displays.live.plan import Plan
from hpsearch.displays.live.state import LiveState
from hpsearch.displays.text import about_values, about_winner, named, params
from hpsearch.displays.training import trained, training
from hpsearch.events import (
    Event,
    Finished,
    Interrupted,
    Left,
    Notice,
    OfPause,
    OfTrial,
    Opened,
    Paused,
    Preparing,
    Resumed,
    Searched,
    SearchPaused,
    Stepped,
    Testing,
    Trained,
    Watched,
)
from hpsearch.journal.history import History
from hpsearch.output.digits import digits
from hpsearch.output.printable import printable
from hpsearch.output.redaction import redact

REDRAW = 0.3  # seconds between two drawings; a new line is drawn at once
LINES = 10  # most recent lines shown below the bars
WIDTH, HEIGHT = 110, 24  # characters and lines of the state of a search, which is that of a terminal


@dataclass(frozen=True)
class Bar:
    """A step of the work or a final training, its progress and its latest value."""

    name: str
    share: float = 0.0
    value: str = ""

    def _repr_html_(self) -> str:
        share = f"<progress max='1' value='{self.share:.3f}'></progress> {self.share:.0%}"
        return f"<tr><td>{escaped(self.name)}</td><td>{share}</td><td>{escaped(self.value)}</td></tr>"


class Notebook:
    """One output of the cell that is running; `show` receives events."""

    def __init__(self) -> None:
        self._title, self._lines = "", list[str]()
        self._bar: Bar | None = None  # outside of a search
        self._search: tuple[History, Plan] | None = None  # that is going on
        self._handle: Any = None
        self._drawn = 0.0

    def show(self, event: Event) -> None:
        """Adds one event, and draws."""
        said = len(self._lines)
        self._note(event)
        now = time.monotonic()
        if now - self._drawn > REDRAW or len(self._lines) > said:
            self._drawn = now
            self._draw()

    def _repr_html_(self) -> str:
        live = "\n".join(map(escaped, self._live()))
        shown = f"<pre>{live}</pre>" if live else f"<table>{self._bar._repr_html_() if self._bar else ''}</table>"
        lines = "<br>".join(escaped(line) for line in self._lines[-LINES:])
        return f"<b>{escaped(self._title)}</b>{shown}<small>{lines}</small>"

    def __repr__(self) -> str:
        bars = [f"{bar.name} {bar.share:.0%} {bar.value}" for bar in filter(None, [self._bar])]
        shown = [self._title, *bars, *self._live(), *self._lines[-LINES:]]
        return printable(redact("\n".join(shown)), keep="\n")

    def _live(self) -> list[str]:
        """The state of the search now, as a terminal shows it; nothing outside of one."""
        if self._search is None:
            return []
        state = LiveState.of(*self._search, at=time.time(), note=self._lines[-1] if self._lines else "")
        frame = Frame(WIDTH, HEIGHT, UNICODE, state.at)
        return [row.plain.rstrip() for row in rows(state, frame) if row.plain.strip()]

    def _note(self, event: Event) -> None:
        if isinstance(event, Notice):
            self._lines.append(event.line)
        elif isinstance(event, Preparing):
            self._bar = Bar(event.what, event.share)
        elif isinstance(event, Opened):
            self._open(event)
        elif isinstance(event, Watched):
            self._watch(event)
        elif isinstance(event, Left):
            self._search = None
            best = event.history.leader()
            about = [] if best is None else [ended(event.history, stopped=False).partition("; ")[2]]
            self._lines += ["; ".join([f"study {event.history.study}: {event.state}", *about])]
            self._lines += about_winner(event.history)
        elif isinstance(event, Trained):
            self._bar = Bar(training(event), event.share, trained(event))
        elif isinstance(event, Stepped):
            self._bar = Bar(training(event), event.share, self._bar.value if self._bar is not None else "")
        elif isinstance(event, Resumed):
            self._lines.append(event.line)
        elif isinstance(event, Testing):
            self._bar = Bar("testing", 1.0)
        elif isinstance(event, Searched):
            self._search = None
            self._lines.append(ended(event.history, stopped=event.stopped))
            self._lines += [*about_winner(event.history), *about_values(event.history)]
        elif isinstance(event, OfPause):
            is_paused = isinstance(event, SearchPaused)
            self._lines.append("the search is paused; the devices are free" if is_paused else "the search goes on")
        elif isinstance(event, OfTrial):
            self._note_trial(event)

    def _open(self, event: Opened) -> None:
        self._bar = None
        self._search = event.history, Plan.of(event.experiment, workers=len(event.workers))
        self._title = f"{event.history.study}: {event.history.metric}, {event.history.direction}"
        self._lines += head(event)

    def _watch(self, event: Watched) -> None:
        """Shows a study that another process searches, as a terminal does."""
        history = event.history
        self._bar = None
        self._search = history, Plan.recorded(history)
        self._title = f"{history.study}: {history.metric}, {history.direction} ({event.state})"

    def _note_trial(self, event: OfTrial) -> None:
        """Notes how a trial has ended; the state of the search has all else."""
        if isinstance(event, Paused | Interrupted):
            self._lines.append(stopped(event))
        elif isinstance(event, Finished):
            trial = event.trial
            last = f" {self._metric} {digits(trial.value)}" if trial.value is not None else ""
            self._lines.append(f"{named(trial)} finished: {trial.outcome}{last}  {params(trial)}")

    @property
    def _metric(self) -> str:
        return "" if self._search is None else self._search[0].metric

    def _draw(self) -> None:
        if self._handle is None:
            self._handle = sys.modules["IPython.display"].display(self, display_id=True)
        else:
            self._handle.update(self)


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


def ended(history: History, *, stopped: bool) -> str:
    """Says how a search ended, in one line."""
    best, how = history.leader(), "stopped; everything is saved" if stopped else "done"
    if best is None or best.value is None:
        return f"{how}; no trial has a value yet"
    return f"{how}; best: trial {best.number}, {history.metric} {digits(best.value)}"


def escaped(text: str) -> str:
    """Escapes text for HTML."""
    return html.escape(printable(redact(text)))
