"""The studies of a home at a glance: what state each one is in, how far it has come, what it takes on the disk.

Nothing is written and no lock is held. A folder that is no study is passed over; one whose journal cannot be read is
listed as damaged, so that it hides no other.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hpsearch.displays.live.following import state_of
from hpsearch.document.document import read
from hpsearch.errors import ConfigError, HpsearchError, UserError
from hpsearch.home.home import Home, elsewhere
from hpsearch.journal.confirmation import finite
from hpsearch.journal.history import History
from hpsearch.journal.outline import outline
from hpsearch.journal.pending import Pending, deletions, renaming
from hpsearch.journal.study_lock import holder
from hpsearch.policies.budget.spending import ended_by

OWN = ("lock", "views", "error.txt")  # what a folder may hold of a study that has no journal yet


@dataclass(frozen=True)
class StudySummary:
    """A study at a glance, as it was when it was listed.

    state: a stopped study was stopped by a person, of an interrupted one the driver died; `hpsearch run` resumes both,
    and one that failed. A paused one waits for `hpsearch resume`. Of a half deleted or renamed one `reason` says how to
    finish that.
    """

    name: str
    folder: Path
    state: str  # as live.following.State has it; or empty, damaged, deleting, renaming
    last: float  # time of the latest event, unix seconds
    bytes: int  # of its folder and its artifacts
    created: float | None = None  # unix seconds
    metric: str | None = None  # the objective
    direction: str | None = None  # minimize or maximize
    best: float | None = None  # the winner's value so far: with fresh seeds its mean, else its best value
    best_trial: int | None = None
    confirmed: bool = False  # whether `best` is a mean over fresh seeds
    fresh_seeds: int = 0  # of the winner
    done: int = 0  # trials that have ended or are paused
    trials: int = 0  # that have begun
    total: int | None = None  # trials of the budget; None: it does not limit them
    ended_by: tuple[str, ...] = ()  # limits of the budget that ended a finished study: trials, hours, ...
    driver: Mapping[str, Any] | None = None  # of a running study: pid, host, since
    reason: str = ""  # why it is damaged, or what finishes its deletion

    def to_dict(self) -> dict[str, Any]:
        """Returns JSON-able data."""
        return asdict(self) | {"folder": str(self.folder), "driver": None if self.driver is None else dict(self.driver)}


def studies(home: Home) -> list[StudySummary]:
    """The studies of a home, the one with the latest event first; raises UserError if there is no such folder."""
    try:
        with os.scandir(home.path) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir())
    except FileNotFoundError:
        other = elsewhere(home, "mlflow.db")
        hint = f"; there is one in {other}: --home {other}" if other else ""
        raise UserError(f"home {home.path}: no such folder{hint}") from None
    except OSError as error:
        raise UserError(f"home {home.path}: cannot be read: {error.strerror}") from None
    found = [one for name in names if (one := summary(home, name)) is not None]
    found += [_deleting(home, one) for one in deletions(home.path)]
    return sorted(found, key=lambda one: (-one.last, one.name))


def summary(home: Home, name: str) -> StudySummary | None:
    """A study at a glance; None for a folder that is none."""
    folder = home.study(name)
    driver = holder(folder / "lock")
    try:
        if not home.journal(name).exists():
            return _without_journal(home, name, driver) if driver is not None or _is_ours(folder) else None
        history = History.of(outline(home.journal(name)))
    except (HpsearchError, OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        return _damaged(home, name, driver, error)
    return _summary(home, name, history, driver)


def bytes_of(*folders: Path) -> int:
    """The bytes of all files in some folders; those that cannot be read count nothing. Links are not followed."""
    return sum(size for folder in folders for size in _sizes(folder))


def trials_of(history: History, folder: Path) -> int | None:
    """The trials that the study's budget allows; None if it does not limit them.

    That is the budget of the latest run (a confirmation has none), and what `hpsearch extend` has added. Earlier
    versions did not record it: it is then that of the latest space file, which is copied into the folder.
    """
    recorded = history.allowed
    limit = (history.origin.experiment.get("budget") or {} if recorded is None else recorded).get("trials")
    with contextlib.suppress(OSError, ConfigError, AttributeError):
        copy = folder / "space.yaml"
        if recorded is None and history.origin.source and copy.read_text("utf-8") != history.origin.source:
            limit = (read(copy).value.get("budget") or {}).get("trials", limit)
    added = history.extension.get("trials", 0)
    return max(int(limit), int(added)) if isinstance(limit, int) else None


# ------------------------------------------------------------------------------------------------------------- inwards


def _summary(home: Home, name: str, history: History, driver: Mapping[str, Any] | None) -> StudySummary:
    leader, confirmed, folder = history.leader(), history.confirmation, home.study(name)
    mean = None if confirmed is None else finite(confirmed.winner.mean)
    value = leader.value if leader is not None and mean is None else mean
    total, state = trials_of(history, folder), _state(home, name, history)
    return StudySummary(
        name=name,
        folder=folder,
        state=state,
        last=history.last,
        bytes=_bytes(home, name),
        created=history.created,
        metric=history.metric,
        direction=history.direction,
        best=value if value is not None and math.isfinite(value) else None,
        best_trial=None if leader is None else leader.number,
        confirmed=mean is not None,
        fresh_seeds=0 if confirmed is None else len(confirmed.winner.values),
        done=history.ended,
        trials=history.configs,
        total=None if total is None else max(total, history.configs),
        ended_by=tuple(one.name for one in ended_by(history)) if state == "finished" else (),
        driver=driver,
    )


def _state(home: Home, name: str, history: History) -> str:
    if renaming(home.study(name)) is not None:
        return "renaming"
    state = state_of(history, home.study(name))
    return state if history.trials or state.goes_on else "empty"


def _without_journal(home: Home, name: str, driver: Mapping[str, Any] | None) -> StudySummary:
    """A study that is being opened, or was never begun."""
    state = "empty" if driver is None else "running"
    return StudySummary(name, home.study(name), state, _changed(home.study(name)), _bytes(home, name), driver=driver)


def _damaged(home: Home, name: str, driver: Mapping[str, Any] | None, error: Exception) -> StudySummary:
    if isinstance(error, OSError):
        reason = f"{home.journal(name)}: cannot be read: {error.strerror}"
    else:
        known = isinstance(error, HpsearchError)
        reason = str(error) if known else f"{home.journal(name)}: not as any hpsearch writes it ({error!r})"
    last = _changed(home.journal(name))
    return StudySummary(name, home.study(name), "damaged", last, _bytes(home, name), driver=driver, reason=reason)


def _deleting(home: Home, one: Pending) -> StudySummary:
    """A study whose deletion has not ended."""
    name = one.folder.name
    size = bytes_of(one.folder, home.path / "artifacts" / name)
    reason = f"{one.command(home.option)} finishes its deletion"
    return StudySummary(name, one.folder, one.state, _changed(one.folder), size, reason=reason)


def _is_ours(folder: Path) -> bool:
    """Whether a folder without a journal holds nothing but what hpsearch writes before it."""
    with contextlib.suppress(OSError):
        names = set(os.listdir(folder))
        return "lock" in names and names <= set(OWN)
    return False


def _bytes(home: Home, name: str) -> int:
    return bytes_of(home.study(name), home.path / "artifacts" / name)


def _changed(path: Path) -> float:
    with contextlib.suppress(OSError):
        return path.stat().st_mtime
    return 0.0


def _sizes(folder: Path) -> Iterator[int]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    yield from _sizes(Path(entry.path))
                else:
                    yield entry.stat(follow_symlinks=False).st_size
