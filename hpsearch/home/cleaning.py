"""Deletes what a home keeps and nothing needs: checkpoints of ended trials, tokenised data, half-written files.

Of a study are kept: the checkpoints of all trials that have not ended, which `run`, `extend` and `audit` resume; the
best weights that `export --model` can be asked for, of the winner and of the trial that --cheapest takes, and, until
fresh seeds have decided, of the KEEP_BEST best trials, since a confirmation may make any of them the winner; and the
tracebacks of failures. Every run of a study deletes most of the rest by itself: what remains is what a kill has left,
and the weights that a confirmation has decided against.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hpsearch.contract import CHECKPOINTS
from hpsearch.errors import JournalDamaged, StudyBusy, UserError
from hpsearch.home import caches
from hpsearch.home.home import Home, history_of
from hpsearch.home.listing import bytes_of
from hpsearch.journal import pending
from hpsearch.journal.history import FIRST_REPEAT, History
from hpsearch.journal.study_lock import StudyLock
from hpsearch.outcome import Outcome
from hpsearch.policies import choice
from hpsearch.storage.checkpoints import ERROR, KEEP_BEST, TEMPORARY

CACHE = ""  # in place of a study's name: what is of no study
LITTER = ("*.tmp", ".*.tmp")  # half-written files of killed processes


@dataclass(frozen=True)
class Cleaned:
    """What was deleted of a study, or would be; of the tokenised data that no study uses, with an empty name."""

    study: str
    paths: tuple[Path, ...]
    bytes: int
    note: str = ""  # why nothing was looked at: the study is running


def clean(home: Home, names: Iterable[str] = (), *, dry_run: bool = False) -> list[Cleaned]:
    """Deletes what is not needed of the studies with these names, or of the whole home; dry_run: deletes nothing.

    A running study is not touched, which its `note` says. Raises UserError for an unknown study, OSError.
    """
    chosen = list(dict.fromkeys(names))
    for name in chosen:
        if not home.journal(name).exists():
            history_of(home, name)  # raises
    wanted = chosen or sorted(path.parent.name for path in home.path.glob("[!.]*/journal.jsonl"))
    found = [_study(home, name, dry_run=dry_run) for name in wanted]
    return found if chosen else [*found, _cache(home, dry_run=dry_run)]


def needless(home: Home, name: str, history: History) -> Iterator[Path]:
    """The files and folders of a study that nothing needs."""
    folder = home.study(name)
    for pattern in LITTER:
        yield from sorted(folder.glob(pattern))
    weights = kept_weights(history)
    for trial_folder in sorted((folder / "checkpoints").glob("[0-9]*")):
        number = int(trial_folder.name) if trial_folder.name.isdecimal() else -1
        trial = history.everything.get(number)
        if trial is not None and trial.outcome is None:
            yield from _half_written(trial_folder)
        elif trial is None or not (number in weights or _has_failed(trial.outcome)):
            yield trial_folder
        else:
            yield from _of_ended(trial_folder, weights=number in weights, failed=_has_failed(trial.outcome))


def kept_weights(history: History) -> set[int]:
    """The ended trials whose best weights may be asked for."""
    kept = {history.leader().number} if history.leader() is not None else set[int]()  # type: ignore[union-attr]
    with contextlib.suppress(UserError):  # no trial has a value, or nothing is known of the seed noise
        kept.add(choice.cheapest(history).trial.number)
    if history.confirmation is None:
        kept |= {trial.number for trial in history.ranked()[:KEEP_BEST]}
    return {number for number in kept if number < FIRST_REPEAT}


# ------------------------------------------------------------------------------------------------------------- inwards


def _study(home: Home, name: str, *, dry_run: bool) -> Cleaned:
    pending.refuse(home.path, name)
    try:
        lock = StudyLock(home.study(name) / "lock", what=f"study '{name}'")
    except StudyBusy as error:
        return Cleaned(name, (), 0, note=f"{error}: not touched")
    try:
        return _deleted(name, needless(home, name, history_of(home, name, curves=False)), dry_run=dry_run)
    except JournalDamaged as error:
        return Cleaned(name, (), 0, note=f"{error}: not touched")
    finally:
        lock.release()


def _cache(home: Home, *, dry_run: bool) -> Cleaned:
    """The tokenised data that no study of the home uses."""
    used = caches.used_by_others(home)
    if used is None:
        return Cleaned(CACHE, (), 0, note="it cannot be told which of them the studies use: not touched")
    paths = (path for path in caches.present(home) if path.name not in used and not caches.is_fresh(path))
    return _deleted(CACHE, paths, dry_run=dry_run)


def _deleted(name: str, paths: Iterable[Path], *, dry_run: bool) -> Cleaned:
    found = tuple(dict.fromkeys(paths))
    size = sum(bytes_of(path) if path.is_dir() else path.lstat().st_size for path in found)
    for path in () if dry_run else found:
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    return Cleaned(name, found, size)


def _of_ended(folder: Path, *, weights: bool, failed: bool) -> Iterator[Path]:
    """The files of an ended trial that nothing needs."""
    for path in sorted(folder.iterdir()):
        is_temporary = any(path.match(pattern) for pattern in TEMPORARY)
        is_error = path.name == ERROR and not failed
        if is_temporary or is_error or not (weights or path.name == ERROR):
            yield path


def _half_written(folder: Path) -> Iterator[Path]:
    """What a killed worker has left in the folder of a trial that will resume."""
    yield from (path for path in sorted(folder.glob(".*.tmp")) if path.name not in CHECKPOINTS)


def _has_failed(outcome: Outcome | None) -> bool:
    return outcome in (Outcome.FAILED, Outcome.OUT_OF_MEMORY)
