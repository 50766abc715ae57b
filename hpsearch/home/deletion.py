"""Deletes a study with all that belongs to it: files, MLflow runs, rows of the Optuna database, its tokenised data.

The first step moves the study's folder to HOME/.deleting: from then on it is no study for any command, and no new one
may take its name. The journal, which says where the rest is, goes last. So after a crash at any point the same command
deletes what is left.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from hpsearch.errors import HpsearchError, StorageFailed, StudyBusy, UserError
from hpsearch.home import caches
from hpsearch.home.home import Home, history_of
from hpsearch.home.listing import StudySummary, bytes_of, summary
from hpsearch.journal import pending
from hpsearch.journal.history import History
from hpsearch.journal.outline import outline
from hpsearch.journal.study_lock import StudyLock
from hpsearch.storage.storage import Storage
from hpsearch.storage.study_storage import StudyStorage
from hpsearch.system import failpoints
from hpsearch.system.atomic import make_folder, sync_folder
from hpsearch.system.file_lock import locked
from hpsearch.views import optuna
from hpsearch.views.follower import BUSY, Say, describe
from hpsearch.views.mlflow import removal

JOURNAL = "journal.jsonl"


@dataclass(frozen=True)
class Deletion:
    """What the deletion of a study takes away."""

    study: str
    trials: int
    bytes: int  # of its folder and its artifacts
    runs: int | None  # in MLflow; None: not known
    tracking: str | None  # the MLflow store; None: the home's own
    created: float | None  # the time of the study's creation; None: its journal is damaged
    begun: bool  # an earlier deletion was interrupted
    registered: Sequence[str] = ()  # models of it in MLflow's registry, whose files are among its artifacts


def planned(home: Home, name: str) -> Deletion:
    """What the deletion of a study would take away; changes nothing.

    Raises UserError for an unknown study and for a folder that is none, StudyBusy while it is running.
    """
    if (begun := pending.deletion(home.path, name)) is not None and not home.study(name).exists():
        return _plan(home, name, begun.folder, begun=True)
    found = summary(home, name)
    pending.refuse(home.path, name)
    if found is None:
        _refuse(home, name)
    if found.driver is not None:
        raise StudyBusy(
            f"study '{name}' is being run by {_named(found)}; stop it first (hpsearch stop {name}{home.option})"
        )
    if home.study(name).is_symlink():
        raise UserError(f"{home.study(name)}: is a link to another folder; remove the link yourself")
    return _plan(home, name, home.study(name), begun=False)


def refuse_registered(plan: Deletion, *, keep_mlflow: bool) -> None:
    """Raises UserError if a deletion would take the files of registered models, which may be served."""
    if plan.registered and not keep_mlflow and not plan.begun:
        raise UserError(
            f"study '{plan.study}': its final model is registered in MLflow ({', '.join(plan.registered)}), "
            "which needs the files here; delete that version in MLflow first, or keep MLflow's part (--keep-mlflow)"
        )


def delete(home: Home, name: str, *, keep_mlflow: bool = False, say: Say = lambda line: None) -> None:
    """Deletes a study, or what is left of it; keep_mlflow: its MLflow runs stay.

    Raises StudyBusy if it is running meanwhile, HpsearchError if something could not be deleted: what, and how to
    finish.
    """
    if (begun := pending.deletion(home.path, name)) is not None:
        _finish(home, _plan(home, name, begun.folder, begun=True), begun.folder, keep_mlflow=keep_mlflow, say=say)
    if not home.study(name).exists():
        return
    plan = planned(home, name)
    refuse_registered(plan, keep_mlflow=keep_mlflow)
    try:
        lock = StudyLock(home.study(name) / "lock", what=f"study '{name}'")
    except StudyBusy as error:
        raise StudyBusy(f"{error}; stop it first (hpsearch stop {name}{home.option})") from None
    try:
        _finish(home, plan, _begin(home, name), keep_mlflow=keep_mlflow, say=say)
    finally:
        lock.release()


# ------------------------------------------------------------------------------------------------------------ planning


def _plan(home: Home, name: str, folder: Path, *, begun: bool) -> Deletion:
    history = _history(folder / JOURNAL)
    tracking = None if history is None else (history.origin.experiment.get("tracking") or {}).get("uri")
    size = bytes_of(folder, home.path / "artifacts" / name)
    runs = removal.count(home.path, name) if tracking is None else None
    trials, created = (0, None) if history is None else (len(history.trials), history.created)
    models = removal.registered(home.path.resolve(), name)
    return Deletion(name, trials, size, runs, tracking, created, begun, models)


def _history(path: Path) -> History | None:
    """The history of a journal; None if it cannot be read."""
    with contextlib.suppress(HpsearchError, OSError, KeyError, TypeError, ValueError, AttributeError):
        return History.of(outline(path)) if path.exists() else None
    return None


def _named(found: StudySummary) -> str:
    """The process that runs a study."""
    driver = found.driver or {}
    return f"pid {driver['pid']} on host {driver.get('host')}" if "pid" in driver else "another process"


def _refuse(home: Home, name: str) -> NoReturn:
    """Raises UserError for a folder that is no study, or an unknown study."""
    if home.study(name).is_dir() and not home.journal(name).exists():
        raise UserError(f"{home.study(name)}: is no study: it has no {JOURNAL}, and other things; it is left alone")
    history_of(home, name, curves=False)
    raise UserError(f"no study '{name}' in {home.path}")


# ------------------------------------------------------------------------------------------------------------- deleting


def _begin(home: Home, name: str) -> Path:
    """Moves the study's folder to where no command takes it for a study; returns its place."""
    target = home.path / pending.DELETING / name
    try:
        make_folder(target.parent)
        with locked(home.study(name) / "views" / "lock", timeout=10, busy=BUSY):
            os.rename(home.study(name), target)
        sync_folder(target.parent)
        sync_folder(home.path)
    except OSError as error:
        raise StorageFailed(f"{home.study(name)}: cannot be deleted: {error.strerror}; nothing was changed") from None
    failpoints.hit("deletion_begun")
    return target


def _finish(home: Home, plan: Deletion, folder: Path, *, keep_mlflow: bool, say: Say) -> None:
    """Deletes all that is left of a study; tries each part, and raises HpsearchError if one was not possible."""
    history = _history(folder / JOURNAL)
    parts: list[tuple[str, Callable[[], None]]] = [
        ("its files", lambda: _delete_files(folder)),
        ("its checkpoints in the storage", lambda: _delete_stored(history)),
        ("its MLflow runs", lambda: None if keep_mlflow else _delete_runs(home, plan, say)),
        ("its rows in the Optuna database", lambda: _delete_rows(home, plan)),
        ("its tokenised data", lambda: _delete_data(home, plan.study, history)),
    ]
    failed = [line for what, part in parts if (line := _failure(what, part))]
    if failed:
        way = f"`hpsearch delete {plan.study}{home.option}` deletes the rest once that is mended"
        way += " (--keep-mlflow: without the runs)" if any("MLflow" in line for line in failed) else ""
        raise HpsearchError(f"study '{plan.study}' is deleted, but for {'; '.join(failed)}; {way}")
    _delete_tree(folder)
    with contextlib.suppress(OSError):
        folder.parent.rmdir()  # of the last deletion


def _failure(what: str, part: Callable[[], None]) -> str:
    """Runs a part of a deletion; returns what was not possible, or nothing."""
    try:
        part()
    except Exception as error:  # of whichever store
        return f"{what} ({error if isinstance(error, HpsearchError) else describe(error)})"
    return ""


def _delete_files(folder: Path) -> None:
    """Deletes the files of a study, all but the journal."""
    for path in sorted(folder.iterdir()):
        if path.name != JOURNAL:
            _delete_tree(path)
    failpoints.hit("files_deleted")


def _delete_stored(history: History | None) -> None:
    """Deletes the study's checkpoints from the storage that its workers used, if any."""
    launcher = None if history is None else (history.origin.experiment.get("resources") or {}).get("launcher")
    url = launcher.get("storage") if isinstance(launcher, dict) else None
    if url and history is not None:
        with contextlib.closing(StudyStorage(Storage(url), history, {})) as stored:
            stored.storage.remove_folder(stored.folder)


def _delete_runs(home: Home, plan: Deletion, say: Say) -> None:
    removal.remove(home.path.resolve(), plan.tracking, plan.study, plan.created, say=say)
    failpoints.hit("runs_deleted")


def _delete_rows(home: Home, plan: Deletion) -> None:
    optuna.remove(home.path.resolve(), plan.study, plan.created)
    failpoints.hit("rows_deleted")


def _delete_data(home: Home, name: str, history: History | None) -> None:
    """Deletes the tokenised data that only this study uses."""
    ours = None if history is None else caches.used(history)
    others = caches.used_by_others(home, without=[name])
    if ours is not None and others is not None:
        for path in caches.present(home):
            if path.name in ours - others:
                _delete_tree(path)


def _delete_tree(path: Path) -> None:
    """Deletes a file or a folder; a missing one is ignored."""
    with contextlib.suppress(FileNotFoundError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
