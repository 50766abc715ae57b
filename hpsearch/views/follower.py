"""A view and its place in the journal: what was acknowledged, what is lacking, whether it fails."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from hpsearch import failpoints
from hpsearch.error_lines import with_class
from hpsearch.journal import Entry, Tail, iterate
from hpsearch.views.sqlite import Found

Say = Callable[[str], None]
BUSY = "another hpsearch process is writing these views; wait until it has ended"  # for the locks of stores
CHUNK, SMALL_CHUNK = 1 << 18, 1 << 8  # bytes of the journal between two notes of how far a store has got


class View(Protocol):
    """A store that is written behind the journal."""

    name: str
    state: dict[str, Any]  # JSON: what it wants to remember beside its offset

    def prepare(self) -> None:
        """Makes the store where there is none and connects to it; may be called again."""

    def open(self, state: dict[str, Any]) -> int | None:
        """Goes on from `state`; gives the offset that the store itself has noted, None when it has lost the study."""

    def ship(self, events: list[Entry]) -> None:
        """Stores the events and returns when the store has acknowledged; the same events may come again."""

    def caught_up(self) -> bool:
        """Does what was put off until the view has the whole journal; whether there was something."""

    def note(self, offset: int) -> None:
        """Writes into the store how far into the journal it goes; store or file, whichever is behind is right."""

    def abandon(self) -> list[int]:
        """Ends what claims to be going on, because the study has no driver; gives the trials that did."""

    def gone(self) -> bool:
        """Whether the file of the store was deleted or replaced since it was opened."""

    def describe(self, error: Exception) -> str:
        """What the store raised, in one line without secrets, with what a person can set right."""

    def close(self) -> None:
        """Lets go of the store."""


class Follower:
    """One view of one study: reads the journal from the view's offset on and remembers what was acknowledged."""

    def __init__(self, view: View, study_folder: Path, *, say: Say, on_open: Callable[[], None] = lambda: None) -> None:
        self.view, self.failures = view, 0  # failures in a row
        self._journal, self._file = study_folder / "journal.jsonl", state_file(study_folder, view.name)
        self._say, self._on_open = say, on_open
        self._offset: int | None = None  # None: not open
        self._chunk = CHUNK
        self.undriven = False  # whether the study has no driver: each step ends what claims to be going on

    def step(self) -> bool:
        """Ships what there is; False when the view failed (it stays behind and is to be tried again)."""
        try:
            if self._offset is not None and self.view.gone():
                self._reset()
            if self._offset is None:
                self._open()
            self._ship()
            if self.undriven:
                self._abandon()
        except Exception as error:  # whatever a store or its library raises must not reach the driver
            self.failures += 1
            self._reset()  # the next try opens it again, from what was acknowledged
            self._chunk = SMALL_CHUNK  # a store that fails now and then gets a little further each time
            if self.failures == 1:
                self._say(
                    f"{self.view.name} does not take what is sent to it; training goes on, and it will be sent "
                    f"again later ({self.view.describe(error)})"
                )
            return False
        if self.failures:
            self.failures = 0
            self._say(f"{self.view.name} is back and has everything up to now")
        return True

    def at_end(self) -> bool:
        """Whether the view has every whole line of the journal."""
        return self._offset is not None and Tail(self._journal, self._offset).read()[1] == self._offset

    def start_anew(self) -> None:
        """Forgets what was acknowledged: all is shipped again."""
        self._reset()
        self.failures = 0
        self._file.unlink(missing_ok=True)

    def close(self) -> None:
        """Lets go of the view's store."""
        with contextlib.suppress(Exception):
            self.view.close()

    def _reset(self) -> None:
        self.close()
        self._offset = None

    def _open(self) -> None:
        saved = read_state(self._file)
        self.view.prepare()
        noted = self.view.open(saved["state"])
        offset = min(saved["offset"], noted or 0)
        if noted is None or not at_line_start(self._journal, offset):
            self.view.open({})
            offset = 0
        self._offset = offset
        self._on_open()

    def _abandon(self) -> None:
        trials = self.view.abandon()
        write_state(self._file, {"offset": self._offset, "state": self.view.state})
        if trials:
            numbers = ", ".join(map(str, trials))
            self._say(f"{self.view.name}: marked as interrupted, for no driver runs this study: trial {numbers}")

    def _ship(self) -> None:
        while True:
            events, offset = self._read()
            if offset == self._offset:
                if self.view.caught_up():
                    write_state(self._file, {"offset": offset, "state": self.view.state})
                return
            if events:
                self.view.ship(events)
            self.view.note(offset)
            failpoints.hit("batch_sent")
            write_state(self._file, {"offset": offset, "state": self.view.state})
            failpoints.hit("batch_noted")
            self._offset, self._chunk = offset, min(2 * self._chunk, CHUNK)

    def _read(self) -> tuple[list[Entry], int]:
        """The next events, durable in the journal: a store must not know what a power loss takes from the truth."""
        start, limit = self._offset or 0, self._chunk
        size = self._journal.stat().st_size
        events, offset = Tail(self._journal, start).read(limit)
        while offset == start and start + limit < size:  # a line may be longer
            limit *= 2
            events, offset = Tail(self._journal, start).read(limit)
        if offset != start:
            make_durable(self._journal)
        if start == 0 and events and events[0]["event"] != "study_created":
            events = [next(iterate(self._journal)), *events]  # its line is damaged; there are copies
        return events, offset


def once(say: Say) -> Say:
    """Passes on each message the first time only."""
    said: set[str] = set()

    def say_new(message: str) -> None:
        if message not in said:
            said.add(message)
            say(message)

    return say_new


def state_file(study_folder: Path, name: str) -> Path:
    """Where a view's place in the journal is kept."""
    return study_folder / "views" / f"{name}.json"


def read_state(path: Path) -> dict[str, Any]:
    """{"offset": bytes of the journal acknowledged, "state": what the view remembers}; a lost or damaged file is 0."""
    try:
        saved = json.loads(path.read_text())
        return {"offset": max(0, int(saved["offset"])), "state": dict(saved["state"])}
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return {"offset": 0, "state": {}}


def write_state(path: Path, saved: dict[str, Any]) -> None:
    """Replaces the state file in one move; it is not synced, for the store has noted the same."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.unlink(missing_ok=True)  # a link planted there is not followed
    try:
        temporary.write_text(json.dumps(saved))
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def lacking(study_folder: Path, name: str) -> int:
    """How many lines of the journal the view's store has not acknowledged."""
    offset = read_state(state_file(study_folder, name))["offset"]
    with contextlib.suppress(FileNotFoundError), (study_folder / "journal.jsonl").open("rb") as journal:
        journal.seek(offset)
        return sum(chunk.count(b"\n") for chunk in iter(lambda: journal.read(1 << 20), b""))
    return 0


def describe_loss(found: Found, file: Path, *, name: str, study: str) -> str | None:
    """One line about a database that was made anew although there had been one, and what brings all of it back."""
    states = file.parent.glob(f"*/views/{name}.json")
    shipped = {state.parents[1].name for state in states if read_state(state)["offset"]}
    if not found.made or not (found.aside or shipped):
        return None
    what = f"is damaged ({found.damage}) and was set aside as {found.aside.name}" if found.aside else "is gone or empty"
    line = f"{file} {what}; it is made anew" + (f" and gets study '{study}' again from its journal" if study else "")
    others = len(shipped - {study})
    if others:
        option = "" if file.parent == Path("mlruns").resolve() else f" --home {shlex.quote(str(file.parent))}"
        line += f"; {others} more stud{'y comes' if others == 1 else 'ies come'} back with: hpsearch repair{option}"
    return line


def at_line_start(path: Path, offset: int) -> bool:
    """Whether a line of the journal can begin there; not so where the journal is another, or shorter, than it was."""
    if offset == 0:
        return True
    with contextlib.suppress(FileNotFoundError), path.open("rb") as journal:
        journal.seek(offset - 1)
        return journal.read(1) == b"\n"
    return False


def make_durable(path: Path) -> None:
    """Returns when what was written to the file is on the disk, whoever wrote it."""
    if hasattr(os, "fdatasync"):
        with path.open("rb") as file:
            os.fdatasync(file.fileno())


def describe(error: BaseException) -> str:
    """An error in one short line, without the passwords and tokens that it may hold."""
    return with_class(_database_error(error) or error)[:300]


def _database_error(error: BaseException) -> BaseException | None:
    """What the database itself said, if it was one: Optuna calls a full disk "invalid data in the commit"."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(said := getattr(cause, "orig", None), BaseException):  # SQLAlchemy's name for it
            return said
        cause = cause.__cause__
    return None
