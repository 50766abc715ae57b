"""A search in a terminal: a line per trial that ends, a bar per worker, a table of the best trials at the end."""

from __future__ import annotations

import contextlib
import math
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from hpsearch.caveats import at_chance, computed_differently, constant_objective
from hpsearch.displays.bars import DescriptionColumn
from hpsearch.displays.text import equals, measured, params, plain, spinner
from hpsearch.events import (
    Event,
    Interrupted,
    Measured,
    Notice,
    OfTrial,
    Opened,
    Paused,
    Preparing,
    Searched,
    Shipped,
    Started,
)
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.outcome import Outcome
from hpsearch.space.experiment import Experiment

SHOWN = 5  # trials in the closing table


class SearchTerminal:
    """The terminal of one search; `show` receives its events."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self._live = contextlib.ExitStack()  # the bars or the spinner on the screen
        self._bars, self._preparing = self._trial_bars(), self._preparing_bar()
        self._slots: dict[int, TaskID] = {}
        self._experiment: Experiment | None = None
        self._history = History()
        self._said_constant = False  # warned that the objective is constant

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._live.close()

    def show(self, event: Event) -> None:
        """Shows one event."""
        if isinstance(event, Notice):
            self.say(event.line)
        elif isinstance(event, Preparing):
            self._prepare(event)
        elif isinstance(event, Opened):
            self._live.close()
            self._open(event)
            self._live.enter_context(self._bars)
        elif isinstance(event, Searched):
            self._live.close()
            self._conclude(event)
        elif isinstance(event, Shipped):
            self._live.close()
            self._ship(event)
        elif isinstance(event, OfTrial):
            self._show_trial(event)

    def say(self, line: str) -> None:
        """Prints one line above the bars."""
        self.console.print(plain(line))

    # ---------------------------------------------------------------------------------------------------- opening

    def _prepare(self, event: Preparing) -> None:
        if not self._preparing.task_ids:
            self._preparing.add_task(event.what, total=1.0)
            self._live.enter_context(self._preparing)
        self._preparing.update(self._preparing.task_ids[0], description=event.what, completed=event.share)

    def _open(self, event: Opened) -> None:
        """Prints the study, its data and workers, and the trials of earlier runs."""
        self._experiment, self._history = event.experiment, event.history
        budget = event.experiment.budget
        wanted = [f"{budget.trials} trials"] if budget.trials else []
        wanted += [f"{budget.hours:g} h"] if budget.hours else []
        ranges = ", ".join(event.experiment.space.params) or "nothing (one training)"
        goal = f"{event.history.direction} {event.experiment.objective.metric}"
        self.say(f"study {event.history.study} in {event.folder}: {' and '.join(wanted)}, {goal}")
        for line in event.data:
            self.say(f"  {line}")
        self.say(f"  searching {ranges}")
        workers = (f"{s.device} ({s.threads} thread{'s' * (s.threads > 1)})" for s in event.workers)
        self.say(f"  workers: {', '.join(workers)}")
        if event.history.trials:
            finished, paused = event.history.finished, sum(trial.paused for trial in event.history.trials.values())
            self.say(f"  resuming: {len(finished)} finished, {event.waiting} interrupted, {paused} paused")

    # ------------------------------------------------------------------------------------------------------- trials

    def _show_trial(self, event: OfTrial) -> None:
        trial, slot = event.trial, event.slot
        if isinstance(event, Measured):
            value = event.evaluation.metrics.get(self._history.metric, math.nan)
            self._bars.update(self._slots[slot], completed=event.evaluation.progress, value=measured(value))
            return
        if slot in self._slots:
            self._bars.remove_task(self._slots.pop(slot))
        if isinstance(event, Started):
            name = f"trial {trial.number}" + (f" (attempt {event.attempt})" if event.attempt > 1 else "")
            self._slots[slot] = self._bars.add_task(f"{name}  {plain(params(trial))}", total=1.0, value="")
        elif isinstance(event, Paused | Interrupted):
            self.say(f"trial {trial.number} {type(event).__name__.lower()}: {event.reason}")
        else:
            self.console.print(self._line(trial))
            self._say_if_constant()

    def _line(self, trial: TrialHistory) -> str:
        """Says how a trial ended, in one line."""
        outcome = f"[{trial.status.colour}]{trial.status}[/]"
        value = f" {self._history.metric} {measured(trial.value)}" if trial.value is not None else ""
        at = f" at epoch {trial.best.epoch:.3g}" if trial.best and trial.best.epoch else ""
        why = f": {plain(trial.reason)}" if trial.outcome in (Outcome.FAILED, Outcome.OUT_OF_MEMORY) else ""
        words = f"[dim]{plain(params(trial))}[/]"
        return f"trial {trial.number} finished: {outcome}{value}{at}, {trial.seconds:.0f} s  {words}{why}"

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
            return
        if not event.history.trials:
            return
        best = event.history.leader()
        self.console.print(best_table(event.history) if best is not None else counted(event.history))
        if best is not None and (line := equals(event.history, best)):
            self.say(line)
        self._live.enter_context(self.console.status("writing the rest to MLflow", spinner=spinner(self.console)))

    def _stopped(self, event: Searched) -> None:
        self.say("stopped; everything is saved")

    def _ship(self, event: Shipped) -> None:
        """Warns about views that lag and about results that may mislead."""
        behind = ", ".join(f"{name} lacks {n} events" for name, n in event.lacking.items() if n)
        if behind:
            self.say(f"warning: {behind}; {self._sync()} writes them")
        self._advise(event)
        if event.exported is not None:
            self._say_if_constant()
            for line in [*at_chance(self._history), *computed_differently(self._history)]:
                self.say(f"warning: {line}")

    def _sync(self) -> str:
        """The command that writes what the views lack."""
        return f"`hpsearch sync {self._history.study}`"

    def _advise(self, event: Shipped) -> None:
        """Says what to do if the budget was too small; overridden by the command line, which has options to name."""

    # --------------------------------------------------------------------------------------------------------- bars

    def _trial_bars(self) -> Progress:
        return Progress(
            DescriptionColumn(self.console),
            BarColumn(bar_width=20),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[value]}"),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
        )

    def _preparing_bar(self) -> Progress:
        columns = (
            SpinnerColumn(spinner(self.console)),
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TimeElapsedColumn(),
        )
        return Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal)


def counted(history: History) -> str:
    """Counts the trials by outcome, with the time of the search."""
    outcomes: dict[str, int] = {}
    for trial in history.trials.values():
        outcomes[trial.status] = outcomes.get(trial.status, 0) + 1
    counts = ", ".join(f"{n} {outcome}" for outcome, n in sorted(outcomes.items(), key=lambda item: -item[1]))
    return f"{history.study}: {counts}; {history.seconds / 60:.1f} minutes"


def best_table(history: History) -> Table:
    """A table of the best trials, the winner first."""
    table = Table(title=counted(history), title_justify="left")
    for column in ("trial", history.metric, "epoch", "outcome", "params"):
        table.add_column(column)
    for trial in history.ranked(unfinished=True)[:SHOWN]:
        epoch = f"{trial.best.epoch:.3g}" if trial.best and trial.best.epoch else ""
        status = history.trials[trial.number].status
        table.add_row(str(trial.number), measured(trial.value or 0.0), epoch, status, plain(params(trial)))
    return table
