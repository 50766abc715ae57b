"""A search in a terminal: a line for each trial that ends, the live view below them, a table of the best at the end."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.table import Table

from hpsearch.displays.bars import glyphs
from hpsearch.displays.console import Column, console, table
from hpsearch.displays.lines import finished, finished_in, head, started, stopped
from hpsearch.displays.live.plan import Plan
from hpsearch.displays.live.state import LiveState
from hpsearch.displays.places import at, counted_by
from hpsearch.displays.screen import Screen, screen
from hpsearch.displays.text import (
    about_values,
    about_winner,
    audited,
    cell,
    confirmed,
    equals,
    error_file,
    plain,
    short_params,
)
from hpsearch.events import (
    Event,
    Finished,
    Interrupted,
    Left,
    Measured,
    Notice,
    OfPause,
    OfTrial,
    Opened,
    Paused,
    Preparing,
    Searched,
    SearchPaused,
    Shipped,
    Started,
    Watched,
)
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import number
from hpsearch.outcome import in_words
from hpsearch.output.digits import digits
from hpsearch.results.evidence.caveats import computed_differently, constant_objective
from hpsearch.space.experiment import Experiment

SHOWN = 5  # trials in the closing table
SHIPPING = "everything is saved; writing the rest to MLflow (Ctrl-C skips the wait)"


class SearchTerminal:
    """The terminal of one search; `show` receives its events."""

    def __init__(self) -> None:
        self.console = console()
        self.screen: Screen = screen(self.console)
        self.state: LiveState | None = None  # of the search; None before it has begun
        self._plan = Plan()
        self._experiment: Experiment | None = None
        self._history = History()
        self._folder: Path | None = None  # the study's, once it is open
        self._note = ""  # the latest notice
        self._said_constant = False  # warned that the objective is constant

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.screen.clear()

    def show(self, event: Event) -> None:
        """Shows one event."""
        if isinstance(event, Notice):
            self._notice(event)
        elif isinstance(event, Preparing):
            self.screen.status(event.what, event.share)
        elif isinstance(event, Opened):
            self._open(event)
        elif isinstance(event, Watched):
            self._watch(event)
        elif isinstance(event, OfTrial):
            self._show_trial(event)
        elif isinstance(event, OfPause):
            self._show_pause(event)
        elif isinstance(event, Searched):
            self.screen.clear()
            self._conclude(event)
        elif isinstance(event, Left):
            self.screen.clear()
            self._leave(event)
        elif isinstance(event, Shipped):
            self.screen.clear()
            self._ship(event)

    def say(self, line: str) -> None:
        """Prints one line above the live view."""
        self.screen.say(plain(line))

    # ---------------------------------------------------------------------------------------------------- opening

    def _open(self, event: Opened) -> None:
        """Prints the study, its data and workers, and the trials of earlier runs."""
        self._experiment, self._history = event.experiment, event.history
        self._folder = event.folder
        self._plan = Plan.of(event.experiment, workers=len(event.workers))
        self.screen.clear()
        for line in head(event):
            self.say(line)
        self._draw()

    def _watch(self, event: Watched) -> None:
        """Shows a study that another process searches."""
        self._history, self._plan = event.history, Plan.recorded(event.history)
        self._folder = event.folder
        self._draw()

    # ------------------------------------------------------------------------------------------------------- trials

    def _show_trial(self, event: OfTrial) -> None:
        if isinstance(event, Measured):
            self._measure(event)
            return
        if isinstance(event, Started):
            if not self._redraws:
                self.say(f"{started(event)}")
        elif isinstance(event, Paused | Interrupted):
            self.say(stopped(event))
        else:
            self._finish(event)
        self._draw()

    def _measure(self, event: Measured) -> None:
        """Draws an evaluation: as a change of one line, or anew if it is the best value so far."""
        value = event.evaluation.metrics.get(self._history.metric)
        if self.state is None or self.state.best is None or self._history.better(number(value), self.state.best.value):
            self._draw()
            return
        self.state = self.state.measured(event.trial.number, event.evaluation, at=time.time())
        self.screen.view(self.state)

    def _finish(self, event: Finished) -> None:
        """Prints how a trial ended: in a terminal within its width."""
        trial, history = event.trial, self._history
        see = "" if self._folder is None else error_file(self._folder, trial)
        if self._redraws:
            best = trial.counts and history.best() is trial
            line = finished_in(trial, self.console.width, history.default(), glyphs(self.console).cut, is_best=best)
        else:
            line = finished(trial, history.metric, see=see)
        self.screen.say(line)
        if see and self._redraws:  # beside the reason it would be cut off
            self.say(f"  see {see}")
        self._say_if_constant()

    def _show_pause(self, event: OfPause) -> None:
        if isinstance(event, SearchPaused):
            self.say(f"the search is paused; {self._resume()} resumes it")
        else:
            self.say("the search goes on")
        self._draw()

    def _resume(self) -> str:
        """The command that ends a pause."""
        return f"`hpsearch resume {self._history.study}`"

    def _notice(self, event: Notice) -> None:
        self._note = event.line
        self.say(event.line)
        if self.state is not None and not self.state.running:
            self._draw()  # which says what it waits for

    @property
    def _redraws(self) -> bool:
        return self.console.is_terminal and not self.console.is_dumb_terminal

    def _draw(self) -> None:
        """Draws the state of the search anew."""
        self.state = LiveState.of(self._history, self._plan, at=time.time(), note=self._note)
        self.screen.view(self.state)

    def _say_if_constant(self) -> None:
        """Warns once, during the search, that the objective never changes."""
        line = None if self._said_constant else constant_objective(self._history)
        if line is not None:
            self._said_constant = True
            self.say(f"warning: {line}")

    # --------------------------------------------------------------------------------------------------------- end

    def _conclude(self, event: Searched) -> None:
        """Prints the best trials, then a spinner until the views have caught up."""
        if event.stopped:
            self._stopped(event)
            self.screen.status(SHIPPING)
            return
        if not event.history.trials:
            return
        best = event.history.leader()
        if best is None:
            self.say(counted(event.history))
        else:
            self.console.print(best_table(event.history, self.console), soft_wrap=False)
        if best is not None and (line := equals(event.history, best)):
            self.say(line)
        for line in [*confirmed(event.history), *audited(event.history)]:
            self.say(line)
        self.screen.status(SHIPPING)

    def _stopped(self, event: Searched) -> None:
        self.say("stopped; everything is saved")

    def _leave(self, event: Left) -> None:
        """Says how a search that was watched has ended; overridden by the command line, which has commands to name."""
        self.say(f"study {event.history.study}: {event.state}")

    def _ship(self, event: Shipped) -> None:
        """Warns about views that lag and about results that may mislead."""
        self._warn_of_lag(event)
        self._advise(event)
        if event.exported is not None:
            self._say_if_constant()
            for line in [*about_winner(self._history), *about_values(self._history)]:
                self.say(line)
            for line in computed_differently(self._history):
                self.say(f"warning: {line}")

    def _warn_of_lag(self, event: Shipped) -> None:
        behind = ", ".join(f"{name} lacks {parts(n)}" for name, n in event.lacking.items() if n)
        if behind:
            self.say(f"warning: not everything could be written in time: {behind}; {self._sync()} writes the rest")

    def _sync(self) -> str:
        """The command that writes what the views lack."""
        return f"`hpsearch sync {self._history.study}`"

    def _advise(self, event: Shipped) -> None:
        """Says what to do if the budget was too small; overridden by the command line, which has options to name."""


def parts(n: int) -> str:
    """What a view lacks: events of the journal, or pictures that are to be drawn of them."""
    return f"{n} event{'s'[: n != 1]} or picture{'s'[: n != 1]}"


def counted(history: History) -> str:
    """Counts the trials by outcome, with the time of the search."""
    outcomes: dict[str, int] = {}
    for trial in history.trials.values():
        outcomes[trial.kind] = outcomes.get(trial.kind, 0) + 1
    counts = ", ".join(f"{n} {outcome}" for outcome, n in sorted(outcomes.items(), key=lambda item: -item[1]))
    return f"{history.study}: {counts}; {history.seconds / 60:.1f} minutes"


def best_table(history: History, to: Console) -> Table:
    """A table of the best trials, the winner first."""
    ranked = history.ranked(unfinished=True)[:SHOWN]
    place = counted_by([trial.best for trial in ranked])
    columns = [
        Column("trial"),
        Column(history.metric, short=history.metric.rpartition("/")[2]),
        *([Column(place, needed=1)] if place else []),
        Column("outcome", wraps=True, needed=2),
        Column("params", wraps=True),
    ]
    rows = []
    for trial in ranked:
        status = in_words(history.trials[trial.number].status, trial.ending)
        rows.append(
            [
                str(trial.number),
                digits(trial.value or 0.0),
                *([at(trial.best, place)] if place else []),
                status,
                cell(short_params(trial, history.default())),
            ]
        )
    return table(to, counted(history), columns, rows)
