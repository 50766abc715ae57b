"""What a person sees of a search: a line for each trial that ends, a bar for each worker, the best at the end."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from hpsearch.caveats import at_chance, computed_differently, constant_objective
from hpsearch.cli.bars import Described
from hpsearch.cli.closing import closing, named
from hpsearch.cli.text import equals, measured, params, plain, quoted, spinner
from hpsearch.driver import Driver
from hpsearch.events import Event, Finished, Measured, Notice, Paused, Started
from hpsearch.home import Home
from hpsearch.journal.history import History, TrialHistory
from hpsearch.outcome import Outcome
from hpsearch.redaction import redact
from hpsearch.space.experiment import Experiment

SHOWN = 5  # trials in the closing table
PATIENCE_WHEN_STOPPED = 4.0  # seconds: who pressed Ctrl-C wants to leave


class Board:
    """The terminal of one `hpsearch run`."""

    def __init__(self, experiment: Experiment, home: Home, space: Path) -> None:
        self.experiment, self.home, self.space = experiment, home, space
        self.console = Console(highlight=False, soft_wrap=True)
        self._bars = Progress(
            Described(self.console),
            BarColumn(bar_width=20),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[value]}"),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
        )
        self._slots: dict[int, TaskID] = {}
        self._unsaved: set[int] = set()  # trials that were stopped and could not save their state then
        self._history: History | None = None
        self._constant = False  # it was said that the objective is

    def say(self, line: str) -> None:
        """One line above the bars."""
        self.console.print(plain(line))

    @contextlib.contextmanager
    def preparing(self) -> Iterator[Callable[[str, float], None]]:
        """A bar for the preparation of the data; gives the function that moves it."""
        turning = SpinnerColumn(spinner(self.console))
        columns = (turning, TextColumn("{task.description}"), BarColumn(bar_width=20), TimeElapsedColumn())
        quiet = not self.console.is_terminal
        with Progress(*columns, console=self.console, transient=True, disable=quiet) as progress:
            task = progress.add_task("checking", total=1.0)
            yield lambda what, share: progress.update(task, description=what, completed=share)

    def opened(self, driver: Driver) -> None:
        """What is searched, on what, and what is there already."""
        study = driver.study
        assert study is not None
        self._history = history = study.history
        budget = self.experiment.budget
        wanted = [f"{budget.trials} trials"] if budget.trials else []
        wanted += [f"{budget.hours:g} h"] if budget.hours else []
        ranges = ", ".join(self.experiment.space.params) or "nothing (one training)"
        self.say(
            f"study {history.study}: {' and '.join(wanted)}, {self.experiment.objective.metric} in {driver.folder}"
        )
        for line in driver.summary:
            self.say(f"  {line}")
        self.say(f"  searching {ranges}")
        self.say(f"  workers: {', '.join(f'{s.device} ({s.threads} thread)' for s in driver.settings)}")
        if history.trials:
            waiting = len(study.unfinished())
            self.say(f"  going on: trials finished: {len(history.finished)}, to be continued: {waiting}")

    def __enter__(self) -> Board:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def show(self, event: Event) -> None:
        """One thing that happened in the search."""
        if isinstance(event, Notice):
            self.say(event.line)
            return
        trial, slot = event.trial, event.slot
        if isinstance(event, Started):
            self._clear(slot)
            self._unsaved.discard(trial.number)
            name = f"trial {trial.number}" + (f" (attempt {event.attempt})" if event.attempt > 1 else "")
            self._slots[slot] = self._bars.add_task(f"{name}  {plain(params(trial))}", total=1.0, value="")
        elif isinstance(event, Measured):
            value = event.evaluation.metrics.get(self.experiment.objective.metric, math.nan)
            progress = event.evaluation.progress
            self._bars.update(self._slots[slot], completed=progress, value=measured(value))
        elif isinstance(event, Paused):
            self._clear(slot)
            self.say(f"trial {trial.number} paused: {event.reason}")
            self._unsaved |= set() if event.saved else {trial.number}
        elif isinstance(event, Finished):
            self._clear(slot)
            self.console.print(self._line(trial))
            self._say_if_constant()

    def conclude(self, driver: Driver) -> None:
        """The best trials, what the views lack, and the next commands."""
        assert driver.study is not None
        history = driver.study.history
        if not history.trials:
            return
        best = history.leader()
        self.console.print(best_table(history) if best is not None else counted(history))
        if best is not None and (line := equals(history, best)):
            self.say(line)
        with self.console.status("MLflow takes in the last of it", spinner=spinner(self.console)):
            exported, lacking = driver.export(), driver.finish_views()
        behind = ", ".join(f"{name} lacks {n} events" for name, n in lacking.items() if n)
        if behind:
            self.say(f"warning: {behind}; `hpsearch sync {self._name()}{self.home.option}` ships them")
        for line in closing(history, self.experiment, idle=driver.idle, again=self._command()):
            self.say(line)
        if exported is None:
            return
        self._say_if_constant()
        for line in [*at_chance(history), *computed_differently(history)]:
            self.say(f"warning: {line}")
        self.say("next:")
        self.say(f"  hpsearch ui{self.home.option}    compare the trials")
        command = f"hpsearch train {quoted(exported)}{self.home.option} -o model"
        self.say(f"  {command}    train the winner, test it, write the model")

    def interrupted(self, driver: Driver) -> None:
        """How to go on; MLflow hears of the stop if it listens."""
        saved = "everything is saved"
        if self._unsaved:
            trials = ", ".join(f"trial {number}" for number in sorted(self._unsaved))
            saved = f"{trials} will go on from the last checkpoint, all else is saved"
        self.say(f"stopped; {saved}. Go on with: {self._command()}")
        if driver.study is not None and (best := driver.study.history.leader()):
            self.say(
                f"best so far: {named(driver.study.history, best)}; "
                f"`hpsearch export {self._name()}{self.home.option}` writes its config"
            )
        driver.finish_views(PATIENCE_WHEN_STOPPED)

    def left_early(self) -> None:
        """What is left to do when a person would not wait for the views."""
        self.say(
            f"the search is over and saved; `hpsearch sync {self._name()}{self.home.option}` ships what MLflow lacks"
        )

    def _command(self) -> str:
        """What goes on with the study."""
        own = self.experiment.settings.study or self.space.stem
        study = "" if self._name() == own else f" --study {self._name()}"
        return f"hpsearch run {quoted(self.space)}{study}{self.home.option}"

    def _name(self) -> str:
        return self.experiment.study

    def _say_if_constant(self) -> None:
        """Once, as soon as it shows: whoever reads it need not wait for the end of the search."""
        line = None if self._constant or self._history is None else constant_objective(self._history)
        if line is not None:
            self._constant = True
            self.say(f"warning: {line}")

    def _clear(self, slot: int) -> None:
        if slot in self._slots:
            self._bars.remove_task(self._slots.pop(slot))

    def _line(self, trial: TrialHistory) -> str:
        outcome = f"[{trial.status.colour}]{trial.status}[/]"
        value = f" {self.experiment.objective.metric} {measured(trial.value)}" if trial.value is not None else ""
        at = f" at epoch {trial.best.epoch:.3g}" if trial.best else ""
        why = f": {plain(trial.reason)}" if trial.outcome in (Outcome.FAILED, Outcome.OUT_OF_MEMORY) else ""
        words = f"[dim]{plain(params(trial))}[/]"
        return f"trial {trial.number} finished: {outcome}{value}{at}, {trial.seconds:.0f} s  {words}{why}"


@contextlib.contextmanager
def warnings_said(say: Callable[[str], None]) -> Iterator[None]:
    """Meanwhile `say` gets what the package logs as a warning or worse."""

    class Said(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            say(f"warning: {redact(record.getMessage())}")

    handler, log = Said(logging.WARNING), logging.getLogger("hpsearch")
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


def counted(history: History) -> str:
    """How many trials ended in which way, and the time of the search."""
    outcomes: dict[str, int] = {}
    for trial in history.trials.values():
        outcome = trial.outcome or Outcome.UNFINISHED
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    counts = ", ".join(f"{n} {outcome}" for outcome, n in sorted(outcomes.items(), key=lambda item: -item[1]))
    return f"{history.study}: {counts}; {history.seconds / 60:.1f} minutes"


def best_table(history: History) -> Table:
    """The best trials, the winner first."""
    table = Table(title=counted(history), title_justify="left")
    for column in ("trial", history.metric, "epoch", "outcome", "params"):
        table.add_column(column)
    for trial in history.ranked(unfinished=True)[:SHOWN]:
        epoch = f"{trial.best.epoch:.3g}" if trial.best else ""
        table.add_row(str(trial.number), measured(trial.value or 0.0), epoch, trial.outcome, plain(params(trial)))
    return table
