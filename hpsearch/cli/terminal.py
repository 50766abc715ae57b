"""What `hpsearch run` prints besides the search itself: the command that resumes it, and the next commands."""

from __future__ import annotations

from pathlib import Path

from hpsearch.cli.closing import closing, named
from hpsearch.displays.terminal import SearchTerminal
from hpsearch.displays.text import quoted
from hpsearch.events import Event, Interrupted, Paused, Searched, Shipped, Started
from hpsearch.home import Home


class RunTerminal(SearchTerminal):
    """The terminal of one `hpsearch run`."""

    def __init__(self, home: Home, space: Path) -> None:
        """`space` and `home` are used in the commands that it prints."""
        super().__init__()
        self.home, self.space = home, space
        self.searched: Searched | None = None  # set when the search has ended
        self._unsaved: set[int] = set()  # trials that stopped without saving their state

    def show(self, event: Event) -> None:
        """Shows one event."""
        if isinstance(event, Started):
            self._unsaved.discard(event.trial.number)
        elif isinstance(event, Paused | Interrupted) and not event.saved:
            self._unsaved.add(event.trial.number)
        elif isinstance(event, Searched):
            self.searched = event
        super().show(event)

    def left_early(self) -> None:
        """Says what is left to do when a person does not wait for MLflow."""
        self._live.close()
        self.say(f"the search has ended and is saved; {self._sync()} writes what MLflow lacks")

    def _stopped(self, event: Searched) -> None:
        saved = "everything is saved"
        if self._unsaved:
            trials = ", ".join(f"trial {number}" for number in sorted(self._unsaved))
            saved = f"{trials}: resumes from the last checkpoint; everything else is saved"
        self.say(f"stopped; {saved}. Resume with: {self._command()}")
        if best := event.history.leader():
            self.say(f"best so far: {named(event.history, best)}")
            self.say(f"to write its config: hpsearch export {self._name()}{self.home.option}")

    def _advise(self, event: Shipped) -> None:
        assert self.searched is not None
        assert self._experiment is not None
        for line in closing(self._history, self._experiment, idle=self.searched.idle, again=self._command()):
            self.say(line)

    def _ship(self, event: Shipped) -> None:
        super()._ship(event)
        if event.exported is None:
            return
        self.say("next:")
        self.say(f"  hpsearch ui{self.home.option}    compare the trials")
        command = f"hpsearch train {quoted(event.exported)}{self.home.option} -o model"
        self.say(f"  {command}    train the winner, test it, write the model")

    def _sync(self) -> str:
        return f"`hpsearch sync {self._name()}{self.home.option}`"

    def _command(self) -> str:
        """The command that resumes the study."""
        own = self._experiment.settings.study if self._experiment is not None else None
        study = "" if self._name() == (own or self.space.stem) else f" --study {self._name()}"
        return f"hpsearch run {quoted(self.space)}{study}{self.home.option}"

    def _name(self) -> str:
        return self._history.study
