"""A view's position in the journal: what its store has acknowledged, what it lacks, whether it fails."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from hpsearch.journal import Entry, Tail, iterate
from hpsearch.output.error_lines import with_class
from hpsearch.system import failpoints
from hpsearch.views.sqlite import Found

Say = Callable[[str], None]
BUSY = "another hpsearch process is writing these views; wait until it has ended"
# Bytes of the journal shipped between two notes of the offset: at most, at first, at least. A batch is to take less
# than TURN seconds of a core, since a thread of low priority ends it before another one goes on.
CHUNK, FIRST_CHUNK, SMALL_CHUNK = 1 << 18, 1 << 15, 1 << 8
TURN = 0.5
PICTURES_DUE, REPORT_DUE = "pictures_due", "report_due"  # in a view's state: a study's files to draw anew
DRAWN = {PICTURES_DUE: "the pictures", REPORT_DUE: "the report"}


class View(Protocol):
    """A store that is written behind the journal."""

    name: str

    @property
    def state(self) -> dict[str, Any]:
        """What the view keeps besides its offset, as JSON data."""

    def prepare(self) -> None:
        """Creates the store if it is missing, and connects to it; may be called again."""

    def open(self, state: dict[str, Any]) -> int | None:
        """Continues from `state`; returns the offset noted in the store, None if the store has lost the study."""

    def ship(self, events: list[Entry]) -> None:
        """Stores the events; returns when the store has acknowledged. The same events may be shipped again."""

    def caught_up(self) -> bool:
        """Does a part of what waits for the end of the journal, such as pictures; returns whether there was any."""

    def note(self, offset: int) -> None:
        """Writes the journal offset into the store; if the store and the state file disagree, the smaller one holds."""

    def abandon(self) -> list[int]:
        """Marks running trials as interrupted, since the study has no driver; returns these trials."""

    def gone(self) -> bool:
        """Whether the store's file was deleted or replaced since it was opened."""

    def describe(self, error: Exception) -> str:
        """The error in one line without secrets, with what a person can do about it."""

    def close(self) -> None:
        """Closes the store."""


class Follower:
    """Ships one study's journal to one view, from the view's offset on, and keeps what was acknowledged."""

    def __init__(
        self,
        view: View,
        study_folder: Path,
        *,
        say: Say,
        on_open: Callable[[], None] = lambda: None,
        leaving: Callable[[], bool] = lambda: False,
    ) -> None:
        """Prepares to ship.

        on_open: called once the store is open; leaving: whether a step is to end after its batch.
        """
        self.view, self.failures, self.leaving = view, 0, leaving  # failures: consecutive ones
        self._journal, self._file = study_folder / "journal.jsonl", state_file(study_folder, view.name)
        self._say, self._on_open = say, on_open
        self._offset: int | None = None  # None: not open
        self._chunk = FIRST_CHUNK
        self.undriven = False  # no driver runs the study: each step marks running trials as interrupted

    def step(self) -> bool:
        """Ships what the view lacks; returns False if the view failed and should be tried again."""
        try:
            if self._offset is not None and self.view.gone():
                self._reset()
            if self._offset is None:
                self._open()
            self._ship()
            if self.undriven:
                self._abandon()
        except Exception as error:  # no error of a store may reach the driver
            self.failures += 1
            self._reset()  # the next step opens the store again
            self._chunk = SMALL_CHUNK  # a store that fails now and then still gets further each time
            if self.failures == 1:
                self._say(
                    f"{self.view.name} cannot be written; training continues, and hpsearch retries "
                    f"({self.view.describe(error)})"
                )
            return False
        if self.failures:
            self.failures = 0
            self._say(f"{self.view.name} is up to date again")
        return True

    def at_end(self) -> bool:
        """Whether the view has every complete line of the journal."""
        return self._offset is not None and Tail(self._journal, self._offset).read()[1] == self._offset

    def restart(self) -> None:
        """Forgets what was acknowledged, so that the whole journal is shipped again."""
        self._reset()
        self.failures = 0
        self._file.unlink(missing_ok=True)

    def close(self) -> None:
        """Closes the view's store."""
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
            self._say(f"{self.view.name}: marked as interrupted, since the study is not running: trial {numbers}")

    def _ship(self) -> None:
        while True:
            began = time.thread_time()
            events, offset = self._read()
            if offset == self._offset:
                if not self.view.caught_up():
                    return
                write_state(self._file, {"offset": offset, "state": self.view.state})
                if self.leaving():
                    return
                continue
            if events:
                self.view.ship(events)
            self.view.note(offset)
            failpoints.hit("batch_sent")
            write_state(self._file, {"offset": offset, "state": self.view.state})
            failpoints.hit("batch_noted")
            self._offset = offset
            if self.leaving():
                return
            took = time.thread_time() - began
            if took < TURN / 2:
                self._chunk = min(2 * self._chunk, CHUNK)
            elif took > TURN:
                self._chunk = max(self._chunk // 2, SMALL_CHUNK)

    def _read(self) -> tuple[list[Entry], int]:
        """Returns the next events and their end, made durable first: no store may have what a power loss erases."""
        start, limit = self._offset or 0, self._chunk
        size = self._journal.stat().st_size
        events, offset = Tail(self._journal, start).read(limit)
        while offset == start and start + limit < size:  # a line may be longer
            limit *= 2
            events, offset = Tail(self._journal, start).read(limit)
        if offset != start:
            make_durable(self._journal)
        if start == 0 and events and events[0]["event"] != "study_created":
            events = [next(iterate(self._journal)), *events]  # the first line is damaged; the journal has copies of it
        return events, offset


def once(say: Say) -> Say:
    """Returns a function that passes on each message the first time only."""
    said: set[str] = set()

    def say_new(message: str) -> None:
        if message not in said:
            said.add(message)
            say(message)

    return say_new


def state_file(study_folder: Path, name: str) -> Path:
    """The file that keeps a view's position in the journal."""
    return study_folder / "views" / f"{name}.json"


def read_state(path: Path) -> dict[str, Any]:
    """Reads {"offset": acknowledged bytes of the journal, "state": ...}; a lost or damaged file counts as offset 0."""
    try:
        saved = json.loads(path.read_text())
        return {"offset": max(0, int(saved["offset"])), "state": dict(saved["state"])}
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return {"offset": 0, "state": {}}


def write_state(path: Path, saved: dict[str, Any]) -> None:
    """Replaces the state file atomically, without fsync: the store has noted the same offset."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.unlink(missing_ok=True)  # do not follow a link that somebody put there
    try:
        temporary.write_text(json.dumps(saved))
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def lacking(study_folder: Path, name: str) -> int:
    """Returns the number of journal lines that the view's store has not acknowledged, and of files still to draw."""
    return unsent(study_folder, name) + len(undrawn(study_folder, name))


def parts_lacking(study_folder: Path, name: str) -> str:
    """The same in words: "12 events, the pictures, the report"; empty if the store has everything."""
    lines = unsent(study_folder, name)
    events = [f"{lines:,} event{'s'[: lines != 1]}"] if lines else []
    return ", ".join([*events, *undrawn(study_folder, name)])


def undrawn(study_folder: Path, name: str) -> list[str]:
    """Names what is still to be drawn of events that the store has."""
    state = read_state(state_file(study_folder, name))["state"]
    return [what for key, what in DRAWN.items() if state.get(key)]


def unsent(study_folder: Path, name: str) -> int:
    """Returns the number of journal lines that the view's store has not acknowledged."""
    offset = read_state(state_file(study_folder, name))["offset"]
    with contextlib.suppress(FileNotFoundError), (study_folder / "journal.jsonl").open("rb") as journal:
        journal.seek(offset)
        return sum(chunk.count(b"\n") for chunk in iter(lambda: journal.read(1 << 20), b""))
    return 0


def describe_loss(found: Found, file: Path, *, name: str, study: str) -> str | None:
    """One line about a database that had to be created again, and how to restore it; None if nothing was lost."""
    states = file.parent.glob(f"*/views/{name}.json")
    shipped = {state.parents[1].name for state in states if read_state(state)["offset"]}
    if not found.made or not (found.aside or shipped):
        return None
    what = f"is damaged ({found.damage}) and was set aside as {found.aside.name}" if found.aside else "is gone or empty"
    line = f"{file} {what}; it is created again" + (f" and study '{study}' is written to it" if study else "")
    others = len(shipped - {study})
    if others:
        option = "" if file.parent == Path("mlruns").resolve() else f" --home {shlex.quote(str(file.parent))}"
        line += f"; to restore {others} more stud{'y' if others == 1 else 'ies'}: hpsearch repair{option}"
    return line


def at_line_start(path: Path, offset: int) -> bool:
    """Whether a line of the journal starts there; False if the journal was replaced or is shorter than before."""
    if offset == 0:
        return True
    with contextlib.suppress(FileNotFoundError), path.open("rb") as journal:
        journal.seek(offset - 1)
        return journal.read(1) == b"\n"
    return False


def make_durable(path: Path) -> None:
    """Returns when everything written to the file is on disk, whichever process wrote it."""
    if hasattr(os, "fdatasync"):
        with path.open("rb") as file:
            os.fdatasync(file.fileno())


def describe(error: BaseException) -> str:
    """Returns an error in one short line, without passwords and tokens."""
    return with_class(_database_error(error) or error)[:300]


def _database_error(error: BaseException) -> BaseException | None:
    """Returns the database's own error, if any: Optuna reports a full disk as "invalid data in the commit"."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(said := getattr(cause, "orig", None), BaseException):  # set by SQLAlchemy
            return said
        cause = cause.__cause__
    return None
