"""The events of a search that another process runs, read from its journal as it grows. Nothing is written.

An idle turn costs one `stat` of the journal; a busy one reads what is new, without training points.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from hpsearch.events import (
    Event,
    Finished,
    Interrupted,
    Left,
    Measured,
    Notice,
    Paused,
    SearchPaused,
    SearchResumed,
    Started,
    Watched,
)
from hpsearch.journal import Entry, Tail
from hpsearch.journal.history import History
from hpsearch.journal.outline import outlined
from hpsearch.journal.request import ENQUEUED, REFUSED, named
from hpsearch.journal.study_lock import is_locked
from hpsearch.policies.budget.spending import figure
from hpsearch.system.process import hostname

POLL_SECONDS = 0.5  # between two looks at the journal
SILENCE_SECONDS = 3600  # of a journal, after which a driver on another machine counts as gone
SAVED = "its checkpoint is saved"  # in the reason of an interruption


class State(StrEnum):
    """Whether a study is searched, and how its latest search ended."""

    RUNNING = "running"
    STARTING = "starting"  # its driver prepares the data
    FINISHING = "finishing"  # the search has ended; its driver waits for the baselines, or for MLflow
    PAUSED = "paused"  # by a person; its driver waits
    ELSEWHERE = "running elsewhere"  # on another machine, by the journal: its lock is not seen here
    FINISHED = "finished"
    STOPPED = "stopped"  # by a person
    FAILED = "failed"
    INTERRUPTED = "interrupted"  # its driver is gone without a word

    @property
    def goes_on(self) -> bool:
        """Whether a process searches the study."""
        return self in (State.RUNNING, State.STARTING, State.PAUSED, State.ELSEWHERE)


_ENDS = {"finished": State.FINISHED, "interrupted": State.STOPPED, "failed": State.FAILED}


def ended(stopped: str | None) -> State:
    """How a search ended that the journal says has stopped."""
    return _ENDS.get(stopped or "", State.STOPPED)


def state_of(history: History, folder: Path) -> State:
    """Returns whether the study in a folder is searched: the lock of the operating system says so, then the journal."""
    if is_locked(folder / "lock"):
        if history.stopped is not None or not history.driver:
            return State.FINISHING if _is_the_same_driver(history, folder) else State.STARTING
        return State.PAUSED if history.on_hold else State.RUNNING
    if history.stopped is not None:
        return ended(history.stopped)
    is_foreign = history.driver.get("host", hostname()) != hostname()
    is_recent = time.time() - history.last < SILENCE_SECONDS
    return State.ELSEWHERE if is_foreign and is_recent else State.INTERRUPTED


def _is_the_same_driver(history: History, folder: Path) -> bool:
    """Whether the lock was taken before the latest end of a search: by the driver of that search, not by the next."""
    with contextlib.suppress(OSError):
        return history.stopped is not None and os.stat(folder / "lock").st_mtime <= history.last
    return False


class Follower:
    """One study's history, kept up with its journal."""

    def __init__(self, folder: Path) -> None:
        """Reads the journal in the study's folder."""
        self.folder, self.path = folder, folder / "journal.jsonl"
        self.history, self._tail = self._begin()
        self._has_ended = False  # its driver has recorded its end, and may still hold the lock

    def new(self) -> Iterator[Event]:
        """Adds what is new in the journal to the history; yields it as events."""
        size = self._size()
        if size < self._tail.offset:  # another journal, or a torn end was cut off
            self.history, self._tail = self._begin()
            yield Watched(self.history, self.folder, self.state())
        while size > self._tail.offset:
            before = self._tail.offset
            for entry in self._tail.read()[0]:
                yield from self._add(entry)
            if self._tail.offset == before:
                return  # the last line is being written

    def state(self) -> State:
        """Whether the study is searched."""
        if self._has_ended and self.history.stopped is not None:
            return ended(self.history.stopped)
        return state_of(self.history, self.folder)

    def _begin(self) -> tuple[History, Tail]:
        entries, tail = outlined(self.path)
        history = History.of(entries)
        history.trials, history.repeats = dict(sorted(history.trials.items())), dict(sorted(history.repeats.items()))
        return history, tail

    def _size(self) -> int:
        try:
            return os.stat(self.path).st_size
        except FileNotFoundError:
            return 0

    def _add(self, entry: Entry) -> Iterator[Event]:
        """Adds an entry of the journal to the history, and yields what a display shows of it."""
        history, number = self.history, entry.get("trial")
        known = None if number is None else history.everything.get(number)
        had = 0 if known is None else len(known.measured)
        history.add(entry)
        self._has_ended = entry["event"] == "driver_stopped" or (self._has_ended and number is None)
        if entry["event"] == "driver_started":
            self._has_ended = False
            yield Watched(history, self.folder, State.RUNNING)
        elif entry["event"] == "evaluation" and number is not None:
            trial = history.trial(number)
            if len(trial.measured) > had:
                raw = entry["evaluation"]
                known_by = trial.branches if raw.get("branch") else trial.evaluations
                yield Measured(trial, 0, known_by[raw["index"]])
        elif (make := _EVENTS.get(entry["event"])) is not None:
            yield make(history, entry)


def follow(
    folder: Path, *, stopping: Callable[[], bool], wait: Callable[[float], None] = time.sleep
) -> Iterator[Event]:
    """Yields Watched, then the events of the study's search while it runs, then Left; ends early once `stopping()`."""
    follower = Follower(folder)
    yield Watched(follower.history, folder, follower.state())
    while not stopping():
        yield from follower.new()
        if not follower.state().goes_on:
            yield from follower.new()  # what it wrote before it let go of the lock
            break
        wait(POLL_SECONDS)
    else:
        return
    yield Left(follower.history, folder, follower.state())


def _interrupted(history: History, entry: Entry) -> Event:
    reason = entry.get("reason") or ""
    return Interrupted(history.trial(entry["trial"]), 0, reason, saved=SAVED in reason)


def _extended(history: History, entry: Entry) -> Event:
    limits: Mapping[str, Any] = entry["limits"]
    return Notice(f"the budget is extended: {', '.join(f'{name} {figure(to)}' for name, to in limits.items())}")


_EVENTS: Mapping[str, Callable[[History, Entry], Event]] = {
    "trial_started": lambda history, e: Started(history.trial(e["trial"]), e.get("worker", 0), e.get("attempt", 1)),
    "trial_finished": lambda history, e: Finished(history.trial(e["trial"]), 0),
    "trial_paused": lambda history, e: Paused(
        history.trial(e["trial"]), 0, e.get("reason") or "", saved=bool(e.get("saved"))
    ),
    "trial_interrupted": _interrupted,
    "search_paused": lambda history, e: SearchPaused(history),
    "search_resumed": lambda history, e: SearchResumed(history),
    "budget_extended": _extended,
    ENQUEUED: lambda history, e: Notice(f"enqueued: {named(e['params'])}"),
    REFUSED: lambda history, e: Notice(f"warning: an enqueued config is refused: {e.get('reason', '')}"),
}
