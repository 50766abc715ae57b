"""One search: check, lock, prepare the data, open the study, start workers and views, search, export.

Every part is its own file; here they are put together, in the order that keeps what is acknowledged on the disk.
"""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hpsearch import best, failpoints
from hpsearch.atomic import make_folder, write_atomically
from hpsearch.errors import StorageFailed, UserError
from hpsearch.events import Event
from hpsearch.home import Home
from hpsearch.identity import check_space
from hpsearch.journal.history import History, TrialHistory
from hpsearch.launchers.launch import open_launcher
from hpsearch.launchers.messages import Launcher
from hpsearch.outcome import Outcome
from hpsearch.policies.loading import load
from hpsearch.policies.policy import Policy
from hpsearch.preparation import check, prepare
from hpsearch.search import Search, spent
from hpsearch.space.experiment import Experiment
from hpsearch.space.settings import RayWorkers
from hpsearch.storage.checkpoints import Checkpoints
from hpsearch.storage.storage import Storage
from hpsearch.storage.study_storage import StudyStorage, upload_prepared
from hpsearch.study import Study, read_history
from hpsearch.study_lock import StudyLock
from hpsearch.trainers import Prepared
from hpsearch.views import shipper, shipping
from hpsearch.views.mlflow.store import run_ids

VIEWS = ("mlflow", "optuna")
PATIENCE = 60.0  # seconds that the end of a run waits for the views
Say = Callable[[str], None]
Progress = Callable[[str, float], None]  # what is being prepared, and the share that is done


@dataclass(frozen=True)
class Driver:
    """An opened study with everything that a search of it needs; `opened` makes one, and closes it."""

    experiment: Experiment
    home: Home
    folder: Path  # the study's
    study: Study
    workers: Launcher
    prepared: Prepared
    policy: Policy
    checkpoints: Checkpoints
    shipper: shipper.Shipper
    idle: bool  # the study's budget was spent before
    say: Say

    def run(self, stopping: Callable[[], bool]) -> Generator[Event, None, None]:
        """Searches until the budget is spent or `stopping` says so; the journal has its end, however it ends."""
        if self.idle and self.study.history.stopped is not None:
            return
        self._record_start()
        with self._recording_the_end(stopping):
            if not self.idle:  # else the driver before died at its end, and nothing says yet that the search is over
                yield from Search(
                    self.study,
                    self.workers,
                    checkpoints=self.checkpoints,
                    policy=self.policy,
                    prepared=self.prepared.folders,
                ).run(stopping)

    def export(self) -> Path | None:
        """Writes best.yaml of the study as it stands; None when no trial has a value yet."""
        if self.study.history.leader() is None:
            return None
        path, winner = self.folder / "best.yaml", best.winner(self.study.history)
        best.write(self.study.history, path, base=self.experiment.base, run_id=self._run_id(winner.number))
        failpoints.hit("best_exported")
        self._record_export(path, winner)
        return path

    def finish_views(self, patience: float = PATIENCE) -> dict[str, int]:
        """Waits for MLflow and the Optuna database; returns the number of events that each still lacks."""
        return self.shipper.finish(patience)

    # ------------------------------------------------------------------------------------------------------ its journal

    def _record_start(self) -> None:
        self.study.record(
            "driver_started",
            pid=os.getpid(),
            host=socket.gethostname(),
            workers=len(self.workers.settings),
            device=self.workers.settings[0].device,
            origin=self.study.history.origin,
        )

    @contextlib.contextmanager
    def _recording_the_end(self, stopping: Callable[[], bool]) -> Iterator[None]:
        reason = "failed"
        try:
            yield
            reason = "interrupted" if stopping() else "finished"
        except (KeyboardInterrupt, GeneratorExit):
            reason = "interrupted"
            raise
        finally:
            with contextlib.suppress(StorageFailed):  # said already, if it is what ends the search
                self.study.record("driver_stopped", reason=reason)
                self.study.journal.sync()

    def _record_export(self, path: Path, winner: TrialHistory) -> None:
        """Records the export, unless the journal has this very one."""
        said: dict[str, Any] = {
            "trial": winner.number,
            "outcome": winner.outcome,
            "value": winner.value,
            "best_evaluation": asdict(winner.best) if winner.best else None,
        }
        exported = self.study.history.exported
        if exported is not None and {key: exported.get(key, value) for key, value in said.items()} == said:
            return
        if winner.outcome is not Outcome.UNFINISHED:  # its weights are not kept for others to read yet
            self._bring_samples(winner.number)
        self.study.record("study_exported", path=str(path), ended=len(self.study.history.finished), **said)
        self.study.journal.sync()

    def _bring_samples(self, number: int) -> None:
        """Puts the winner's samples where the views read them."""
        try:
            self.checkpoints.download_samples(number)
        except (StorageFailed, OSError) as error:
            self.say(f"warning: the samples of trial {number} are not there for MLflow: {error}")

    def _run_id(self, number: int, patience: float = 10.0) -> str | None:
        """The MLflow run of a trial; waits a little for a view that is behind."""
        deadline = time.monotonic() + patience
        while (found := run_ids(self.home.path, self.experiment.study).get(number)) is None:
            if time.monotonic() > deadline or not self.shipper.lag().get("mlflow"):
                break
            time.sleep(0.1)
        return found


# ----------------------------------------------------------------------------------------------------------- opening it


@contextlib.contextmanager
def opened(
    experiment: Experiment, home: Home, *, progress: Progress, say: Say = print, policy: Policy | None = None
) -> Iterator[Driver]:
    """The experiment's study, ready to be searched; after the block its workers and views have ended.

    progress: gets what is being prepared and the share done; say: gets warnings and news, a line each, also from other
    threads; policy: decides (default: the one that the space file names).

    Everything that can fail by the user's mistake is checked here: raises UserError and its children, StudyBusy,
    StorageFailed.
    """
    shipping.check(home.path, experiment.tracking.uri)
    folder = home.study(experiment.study)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_locked(folder, home, experiment.study))
        policy = load(experiment) if policy is None else policy
        history = read_history(folder)
        check_space(experiment, history)
        check(experiment, home)
        storage = _storage(experiment)
        name = experiment.trainer.name
        workers = stack.enter_context(open_launcher(experiment, home, folder, trainer=name))  # torch loads meanwhile
        prepared = prepare(experiment, home, progress, history=history)
        _warn(experiment, prepared, say)
        stored = _stored(storage, prepared, progress)
        study = stack.enter_context(_study(experiment, folder, prepared, history))
        views = shipper.start(folder, home.path, experiment.tracking.uri, VIEWS, say=say)
        stack.callback(views.kill)
        checkpoints = stack.enter_context(_checkpoints(folder, study.history, storage, stored))
        idle = spent(study, policy)
        yield Driver(experiment, home, folder, study, workers, prepared, policy, checkpoints, views, idle, say)


@contextlib.contextmanager
def _locked(folder: Path, home: Home, name: str) -> Iterator[None]:
    """Keeps other drivers off the study; the folder of a study that was refused before it began is removed."""
    make_folder(folder)
    lock = StudyLock(folder / "lock", what=f"study '{name}'")
    try:
        yield
    finally:
        if not home.journal(name).exists():
            with contextlib.suppress(OSError):
                (folder / "lock").unlink()
                folder.rmdir()
        lock.release()


def _storage(experiment: Experiment) -> Storage | None:
    """The storage that the experiment names; UserError with its place where no package can open it."""
    launcher = experiment.resources.launcher
    if not isinstance(launcher, RayWorkers) or launcher.storage is None:
        return None
    try:
        return Storage(launcher.storage)
    except UserError as error:
        raise UserError(f"{experiment.where('resources', 'launcher', 'storage')}: {error}") from None


def _warn(experiment: Experiment, prepared: Prepared, say: Say) -> None:
    for warning in [*experiment.warnings, *prepared.warnings, *prepared.untested]:
        say(f"warning: {warning}")


def _stored(storage: Storage | None, prepared: Prepared, progress: Progress) -> dict[str, str]:
    """Copies the prepared data into the storage; their names there, by the digest of data and tokenizer."""
    if storage is None:
        return {}
    return {key: upload_prepared(storage, folder, progress) for key, folder in prepared.folders.items()}


@contextlib.contextmanager
def _study(experiment: Experiment, folder: Path, prepared: Prepared, history: History) -> Iterator[Study]:
    """Creates or resumes the study; its space file lies beside the journal."""
    study = Study.open(experiment, folder, prepared.facts, history=history)
    try:
        write_atomically(folder / "space.yaml", experiment.source.encode())
        yield study
    finally:
        study.journal.close()
        gc.unfreeze()  # the study froze what it had read


@contextlib.contextmanager
def _checkpoints(
    folder: Path, history: History, storage: Storage | None, stored: dict[str, str]
) -> Iterator[Checkpoints]:
    """The trials' checkpoints, here and in the storage; those that nobody will read again are removed."""
    with contextlib.ExitStack() as stack:
        study_storage = None if storage is None else StudyStorage(storage, history, stored)
        if study_storage is not None:
            stack.callback(study_storage.close)
        checkpoints = Checkpoints(folder.resolve() / "checkpoints", history, study_storage)
        checkpoints.tidy()
        yield checkpoints
