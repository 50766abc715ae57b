"""What `hpsearch run` prints besides the search itself: the command that resumes it, and the next commands."""

from __future__ import annotations

from pathlib import Path

from hpsearch.cli.closing import closing, more_of, named
from hpsearch.displays.live.following import State, ended
from hpsearch.displays.terminal import SearchTerminal, best_table
from hpsearch.displays.text import about_winner, confirmed, quoted
from hpsearch.events import Event, Interrupted, Left, Paused, Searched, Shipped, Started, Watched
from hpsearch.home.home import Home
from hpsearch.policies.budget.spending import ended_by, extended, said
from hpsearch.policies.finalists import not_confirmed


class RunTerminal(SearchTerminal):
    """The terminal of one `hpsearch run`."""

    def __init__(self, home: Home, space: Path) -> None:
        """`space` and `home` are used in the commands that it prints."""
        super().__init__()
        self.home, self.space = home, space
        self.searched: Searched | None = None  # set when the search has ended
        self._unsaved: dict[int, str] = {}  # number -> name of trials that stopped without saving their state

    def show(self, event: Event) -> None:
        """Shows one event."""
        if isinstance(event, Started):
            self._unsaved.pop(event.trial.number, None)
        elif isinstance(event, Paused | Interrupted) and not event.saved:
            self._unsaved[event.trial.number] = event.trial.name
        elif isinstance(event, Searched):
            self.searched = event
        super().show(event)

    def left_early(self) -> None:
        """Says what is left to do when a person does not wait for MLflow."""
        self.screen.clear()
        self.say(f"the search has ended and is saved; {self._sync()} writes what MLflow lacks")

    def ended(self, code: int) -> None:
        """Everything is said already; code: the exit code."""

    def _resume(self) -> str:
        return f"`hpsearch resume {self._name()}{self.home.option}`"

    def _stopped(self, event: Searched) -> None:
        saved = "everything is saved"
        if self._unsaved:
            trials = ", ".join(name for _, name in sorted(self._unsaved.items()))
            saved = f"{trials}: resumes from the last checkpoint; everything else is saved"
        self.say(f"stopped; {saved}. Resume with: {self._command()}")
        if self._experiment is not None and self._experiment.searches:
            self.say(f"spent so far: {said(extended(self._experiment.budget, event.history), event.history)}")
        if best := event.history.leader():
            self.say(f"best so far: {named(event.history, best)}")
            self.say(f"to write its config: hpsearch export {self._name()}{self.home.option}")

    def _advise(self, event: Shipped) -> None:
        assert self._experiment is not None
        for line in closing(self._history, self._experiment, more=self._extend()):
            self.say(line)
        if (line := not_confirmed(self._history, self._experiment.search.confirm)) and self._history.best() is not None:
            self.say(f"{line}; hpsearch confirm {self._name()}{self.home.option} does it")

    def _ship(self, event: Shipped) -> None:
        super()._ship(event)
        if event.exported is None:
            return
        self.say("next:")
        if any(event.lacking.values()):
            self.say(f"  {self._sync().strip('`')}    write what MLflow lacks")
        self.say(f"  hpsearch ui{self.home.option}    compare the trials")
        command = f"hpsearch train {quoted(event.exported)}{self.home.option} -o model"
        self.say(f"  {command}    train the winner, test it, write the model")

    def _sync(self) -> str:
        return f"`hpsearch sync {self._name()}{self.home.option}`"

    def _command(self) -> str:
        """The command that resumes the study."""
        study = "" if self._is_own() else f" --study {self._name()}"
        return f"hpsearch run {quoted(self.space)}{study}{self.home.option}"

    def _extend(self) -> str:
        """The command that extends the study, without its options."""
        return f"hpsearch extend {quoted(self.space) if self._is_own() else self._name()}{self.home.option}"

    def _is_own(self) -> bool:
        """Whether the study has the name that the space file gives it."""
        own = self._experiment.settings.study if self._experiment is not None else None
        return self._name() == (own or self.space.stem)

    def _name(self) -> str:
        return self._history.study


class ExtendTerminal(RunTerminal):
    """The terminal of one `hpsearch extend`; without an option, the command adds nothing and resumes."""

    def _command(self) -> str:
        return f"hpsearch extend {quoted(self.space)}{self.home.option}"

    def _extend(self) -> str:
        return self._command()


class AuditTerminal(RunTerminal):
    """The terminal of one `hpsearch audit`."""

    def __init__(self, home: Home, space: Path, *, again: str) -> None:
        """`again`: the arguments of the command that resumes."""
        super().__init__(home, space)
        self._again = again

    def _ship(self, event: Shipped) -> None:
        self._warn_of_lag(event)

    def _command(self) -> str:
        return f"hpsearch audit {self._again}{self.home.option}"


class ConfirmTerminal(RunTerminal):
    """The terminal of one `hpsearch confirm`."""

    def __init__(self, home: Home, space: Path, *, again: str) -> None:
        """`again`: the arguments of the command that resumes."""
        super().__init__(home, space)
        self._again = again

    def _command(self) -> str:
        return f"hpsearch confirm {self._again}{self.home.option}"


class WatchTerminal(SearchTerminal):
    """The terminal of one `hpsearch watch`."""

    def __init__(self, home: Home, study: str) -> None:
        """`study`: its name or its space file, for the commands that it prints."""
        super().__init__()
        self.home, self._study = home, study
        self.searched: Searched | None = None

    def left_early(self) -> None:
        """Says that the search goes on."""
        self.screen.clear()
        if self.state is not None:
            self.say(f"the search goes on; hpsearch watch {self._study}{self.home.option} shows it again")

    def ended(self, code: int) -> None:
        """Everything is said already; code: the exit code."""

    def _watch(self, event: Watched) -> None:
        if self.state is None:
            goal = f"{event.history.direction} {event.history.metric}"
            self.say(f"study {event.history.study} in {event.folder}: {event.state}, {goal}")
        super()._watch(event)

    def _leave(self, event: Left) -> None:
        """Prints the best trials, how the search ended, and the command that resumes it."""
        history = event.history
        if history.leader() is not None:
            self.console.print(best_table(history, self.console), soft_wrap=False)
        for line in [*confirmed(history), *about_winner(history)]:
            self.say(line)
        state = State(event.state)
        self.say(f"study {history.study} {left(state, history.stopped)}{self._again(state)}")

    def _again(self, state: State) -> str:
        if state.goes_on:
            return f"; hpsearch watch {self._study}{self.home.option} shows it"
        if state is State.FINISHED or (state is State.FINISHING and ended(self._history.stopped) is State.FINISHED):
            limits = ended_by(self._history)
            spent = f" (spent: {', '.join(map(str, limits))})" if limits else ""
            options = more_of(limits) or "--trials N"
            return f"{spent}; more of it: hpsearch extend {self._history.study}{self.home.option} {options}"
        named = f"run {self._study}" if Path(self._study).suffix in (".yaml", ".yml") else f"extend {self._study}"
        return f"; it resumes with: hpsearch {named}{self.home.option}"

    def _resume(self) -> str:
        return f"`hpsearch resume {self._history.study}{self.home.option}`"


def left(state: State, stopped: str | None) -> str:
    """Says how a study was left; `stopped`: how its latest search ended, as the journal has it."""
    if state is State.FINISHING:
        return f"{left(ended(stopped), stopped)} (its process still writes what comes last)"
    return _LEFT[state]


_LEFT = {
    State.RUNNING: "is searched again",
    State.STARTING: "is searched again",
    State.PAUSED: "is searched again, and is paused",
    State.ELSEWHERE: "is searched on another machine",
    State.FINISHED: "has finished",
    State.STOPPED: "was stopped",
    State.FAILED: "ended with an error",
    State.INTERRUPTED: "is not running: the process that searched it is gone",
}
