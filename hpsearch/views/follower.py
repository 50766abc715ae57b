"""A view and its place in the journal: what was acknowledged, what is lacking, whether it fails."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from hpsearch.errors import HpsearchError
from hpsearch.journal import Event, Tail

Say = Callable[[str], None]


class View(Protocol):
    """A store that is written behind the journal."""

    name: str
    state: dict[str, Any]  # JSON: what it wants to remember beside its offset

    def prepare(self) -> None:
        """Makes the store where there is none and connects to it; may be called again."""

    def open(self, state: dict[str, Any]) -> bool:
        """Goes on from `state`; False when the store no longer has what it says: then all is shipped anew."""

    def ship(self, events: list[Event]) -> None:
        """Stores the events and returns when the store has acknowledged; the same events may come again."""

    def close(self) -> None:
        """Lets go of the store."""


class Follower:
    """One view of one study: reads the journal from the view's offset on and remembers what was acknowledged."""

    def __init__(self, view: View, study_folder: Path, *, say: Say, on_open: Callable[[], None] = lambda: None) -> None:
        self.view, self.failures = view, 0  # failures in a row
        self._journal, self._file = study_folder / "journal.jsonl", state_file(study_folder, view.name)
        self._say, self._on_open = say, on_open
        self._offset: int | None = None  # None: not open

    def step(self) -> bool:
        """Ships what there is; False when the view failed (it stays behind and is to be tried again)."""
        try:
            if self._offset is None:
                self._open()
            self._ship()
        except Exception as error:  # whatever a store or its library raises must not reach the driver
            self.failures += 1
            self._offset = None  # the next try opens it again, from what was acknowledged
            if self.failures == 1:
                self._say(
                    f"{self.view.name} does not take what is sent to it; training goes on, and it will be sent "
                    f"again later ({describe(error)})"
                )
            return False
        if self.failures:
            self.failures = 0
            self._say(f"{self.view.name} is back and has everything up to now")
        return True

    def at_end(self) -> bool:
        """Whether the view has every whole line of the journal."""
        return self._offset is not None and not Tail(self._journal, self._offset).read(limit=1 << 20)[0]

    def close(self) -> None:
        """Lets go of the view's store."""
        with contextlib.suppress(Exception):
            self.view.close()

    def _open(self) -> None:
        saved = read_state(self._file)
        self.view.prepare()
        known = self.view.open(saved["state"])
        offset = int(saved["offset"])
        if not known or offset > file_size(self._journal):
            self.view.open({})
            offset = 0
        self._offset = offset
        self._on_open()

    def _ship(self) -> None:
        while True:
            events, offset = Tail(self._journal, self._offset or 0).read()
            if events:
                self.view.ship(events)
            if offset == self._offset:
                return
            write_state(self._file, {"offset": offset, "state": self.view.state})
            self._offset = offset


def state_file(study_folder: Path, name: str) -> Path:
    """Where a view's place in the journal is kept."""
    return study_folder / "views" / f"{name}.json"


def read_state(path: Path) -> dict[str, Any]:
    """{"offset": bytes of the journal acknowledged, "state": what the view remembers}; a lost or damaged file is 0."""
    try:
        saved = json.loads(path.read_text())
        return {"offset": int(saved["offset"]), "state": dict(saved["state"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {"offset": 0, "state": {}}


def write_state(path: Path, saved: dict[str, Any]) -> None:
    """Replaces the state file in one move."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(saved))
    os.replace(temporary, path)


def lacking(study_folder: Path, name: str) -> int:
    """How many lines of the journal the view's store has not acknowledged."""
    offset = read_state(state_file(study_folder, name))["offset"]
    with contextlib.suppress(FileNotFoundError), (study_folder / "journal.jsonl").open("rb") as journal:
        journal.seek(offset)
        return sum(chunk.count(b"\n") for chunk in iter(lambda: journal.read(1 << 20), b""))
    return 0


def file_size(path: Path) -> int:
    """Bytes; 0 for a file that is not there."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def describe(error: BaseException) -> str:
    """An error in one short line, without the passwords that URLs in it may carry."""
    lines = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return re.sub(r"(\w+://)[^/\s@]*@", r"\1***@", text)[:300]


@contextlib.contextmanager
def locked(path: Path, *, timeout: float | None) -> Iterator[None]:
    """Holds the lock file alone; HpsearchError when another process still holds it after `timeout` seconds."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("a+b") as file:
        deadline = None if timeout is None else time.monotonic() + timeout
        while not _try_lock(file.fileno()):
            if deadline is not None and time.monotonic() > deadline:
                raise HpsearchError(f"{path}: another hpsearch process is writing these views; wait until it has ended")
            time.sleep(0.05)
        yield  # closing the file gives the lock back


try:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

except ImportError:  # Windows
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        except OSError:
            return False
        return True
