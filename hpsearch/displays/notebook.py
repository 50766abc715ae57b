"""A search or a training in a notebook: one output, redrawn while it runs.

It uses IPython's own display, which every notebook has: rich and tqdm would need the ipywidgets package.
"""

from __future__ import annotations

import html
import sys
import time
from dataclasses import dataclass, replace
from typing import Any

from hpsearch.displays.lines import head, started, stopped, value
from hpsearch.displays.text import about_values, about_winner, measured, named, params
from hpsearch.displays.training import trained, training
from hpsearch.events import (
    Event,
    Interrupted,
    Left,
    Measured,
    Notice,
    OfPause,
    OfTrial,
    Opened,
    Paused,
    Preparing,
    Resumed,
    Searched,
    SearchPaused,
    Started,
    Stepped,
    Testing,
    Trained,
    Watched,
)
from hpsearch.journal.history import History
from hpsearch.output.printable import printable
from hpsearch.output.redaction import redact

REDRAW = 0.3  # seconds between two drawings; a new line is drawn at once
LINES = 10  # most recent lines shown below the bars


@dataclass(frozen=True)
class Bar:
    """A trial or a step of the work, its progress and its latest value."""

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
        self._bars = dict[int, Bar]()  # by trial; 0 outside of a search
        self._metric = ""
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
        rows = "".join(bar._repr_html_() for _, bar in sorted(self._bars.items()))
        lines = "<br>".join(escaped(line) for line in self._lines[-LINES:])
        return f"<b>{escaped(self._title)}</b><table>{rows}</table><small>{lines}</small>"

    def __repr__(self) -> str:
        bars = [f"{bar.name} {bar.share:.0%} {bar.value}" for _, bar in sorted(self._bars.items())]
        return printable(redact("\n".join([self._title, *bars, *self._lines[-LINES:]])), keep="\n")

    def _note(self, event: Event) -> None:
        if isinstance(event, Notice):
            self._lines.append(event.line)
        elif isinstance(event, Preparing):
            self._bars[0] = Bar(event.what, event.share)
        elif isinstance(event, Opened):
            self._open(event)
        elif isinstance(event, Watched):
            self._watch(event)
        elif isinstance(event, Left):
            self._bars.clear()
            best = event.history.leader()
            about = [] if best is None else [ended(event.history, stopped=False).partition("; ")[2]]
            self._lines += ["; ".join([f"study {event.history.study}: {event.state}", *about])]
            self._lines += about_winner(event.history)
        elif isinstance(event, Trained):
            self._bars[0] = Bar(training(event), event.share, trained(event))
        elif isinstance(event, Stepped):
            before = self._bars.get(0)
            self._bars[0] = Bar(training(event), event.share, before.value if before is not None else "")
        elif isinstance(event, Resumed):
            self._lines.append(event.line)
        elif isinstance(event, Testing):
            self._bars[0] = Bar("testing", 1.0)
        elif isinstance(event, Searched):
            self._bars.clear()
            self._lines.append(ended(event.history, stopped=event.stopped))
            self._lines += [*about_winner(event.history), *about_values(event.history)]
        elif isinstance(event, OfPause):
            is_paused = isinstance(event, SearchPaused)
            self._lines.append("the search is paused; the devices are free" if is_paused else "the search goes on")
        elif isinstance(event, OfTrial):
            self._note_trial(event)

    def _open(self, event: Opened) -> None:
        self._bars.clear()
        self._metric = event.history.metric
        self._title = f"{event.history.study}: {self._metric}, {event.history.direction}"
        self._lines += head(event)

    def _watch(self, event: Watched) -> None:
        """Shows a study that another process searches, with a bar for each trial in training."""
        history = event.history
        self._bars.clear()
        self._metric = history.metric
        self._title = f"{history.study}: {history.metric}, {history.direction} ({event.state})"
        for trial in history.everything.values():
            if trial.running:
                last = max((one.progress for one in trial.evaluations.values()), default=0.0)
                self._bars[trial.number] = Bar(named(trial), last)

    def _note_trial(self, event: OfTrial) -> None:
        trial = event.trial
        if isinstance(event, Measured):
            shown = value(event, self._metric)
            bar = self._bars.get(trial.number) or Bar(named(trial))
            self._bars[trial.number] = replace(bar, share=event.evaluation.progress, value=shown)
            return
        self._bars.pop(trial.number, None)
        if isinstance(event, Started):
            self._bars[trial.number] = Bar(started(event))
        elif isinstance(event, Paused | Interrupted):
            self._lines.append(stopped(event))
        else:
            last = f" {self._metric} {measured(trial.value)}" if trial.value is not None else ""
            self._lines.append(f"{named(trial)} finished: {trial.outcome}{last}  {params(trial)}")

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
    return f"{how}; best: trial {best.number}, {history.metric} {measured(best.value)}"


def escaped(text: str) -> str:
    """Escapes text for HTML."""
    return html.escape(printable(redact(text)))
