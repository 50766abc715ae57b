"""One search: check, lock, prepare the data, open the study, start workers and views, search, export.

Each part is in its own file. The order here ensures that what the driver acknowledges is on the disk.
"""

from __future__ import annotations

import contextlib
import gc
import os
import socket
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from hpsearch.contract import WorkerSettings
from hpsearch.errors import StorageFailed, UserError
from hpsearch.events import Event, Notice
from hpsearch.final import best
from hpsearch.home.home import Home
from hpsearch.home.identity import check_space
from hpsearch.journal import pending
from hpsearch.journal.history import History
from hpsearch.journal.pause_file import PauseFile
from hpsearch.journal.study_lock import StudyLock
from hpsearch.journal.told import untold
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.journal.warm import WARMED
from hpsearch.launchers.launch import open_launcher
from hpsearch.launchers.messages import Launcher
from hpsearch.outcome import Outcome
from hpsearch.policies import choice
from hpsearch.policies.audited import AuditedPolicy
from hpsearch.policies.confirmed import ConfirmedPolicy
from hpsearch.policies.enqueued import EnqueuedPolicy
from hpsearch.policies.first_trials import FirstTrials
from hpsearch.policies.horizons import Horizons
from hpsearch.policies.loading import load
from hpsearch.policies.policy import Policy
from hpsearch.preflight.preparation import check, prepare
from hpsearch.search import warm_start
from hpsearch.search.allowance import spent, take_extension
from hpsearch.search.baselines.baselines import Baselines
from hpsearch.search.loop import Search, nothing_left
from hpsearch.search.requests import Requests
from hpsearch.search.study import Study, read_history
from hpsearch.space.experiment import Experiment
from hpsearch.space.resources import RayWorkers
from hpsearch.storage.checkpoints import Checkpoints
from hpsearch.storage.storage import Storage
from hpsearch.storage.study_storage import StudyStorage, upload_prepared
from hpsearch.system import failpoints
from hpsearch.system.atomic import make_folder, write_atomically
from hpsearch.system.file_lock import locked
from hpsearch.trainers import Prepared
from hpsearch.views import shipper, shipping
from hpsearch.views.mlflow import exported
from hpsearch.views.mlflow.store import run_ids

VIEWS = ("mlflow", "optuna")
PATIENCE = 60.0  # seconds to wait for the views at the end of a run
Say = Callable[[str], None]
Progress = Callable[[str, float], None]  # what is being prepared, and the share done (0 to 1)


@dataclass(frozen=True)
class Driver:
    """An open study with everything that its search needs; made and closed by `opened`."""

    experiment: Experiment
    home: Home
    folder: Path  # the study's
    study: Study
    workers: Launcher
    prepared: Prepared
    policy: ConfirmedPolicy | AuditedPolicy
    chosen: Policy | None  # the same without enqueued configs and the confirmation; None: an audit
    requests: Requests  # what people enqueue
    checkpoints: Checkpoints
    shipper: shipper.Shipper
    idle: bool  # nothing is left to train: the budget is spent, or the policy has no trial
    say: Say
    warnings: list[str]  # about the space and the data, which no earlier run has told

    def run(self, stopping: Callable[[], bool]) -> Generator[Event, None, None]:
        """Searches until the budget is spent or `stopping()`; records the driver's end, however it ends."""
        if self.idle and (line := nothing_left(self.study, self.policy)):
            yield Notice(line)
        if self.idle and self.study.history.stopped is not None:
            with contextlib.closing(self._baselines()) as baselines:  # the last run may have been stopped before them
                yield from baselines.await_results(stopping)
            return
        yield from map(Notice, self._first_trials())
        with contextlib.closing(self._baselines()) as baselines:
            self._record_start()
            with self._recording_the_end(stopping):
                if not self.idle:  # else the last driver died before it recorded its end
                    yield from self._search(stopping, baselines)
            self.shipper.hurry()
            if not stopping():  # whoever trains from it now gets the winner, not that of an earlier run
                self.export()
            yield from baselines.await_results(stopping)  # which is no searching, and spends no hours

    def _first_trials(self) -> Iterator[str]:
        """Lines about trial 0 and the configs of `search.first`, if hpsearch chooses them."""
        policy, history = self.chosen, self.study.history
        policy = policy.policy if isinstance(policy, Horizons) else policy
        if isinstance(policy, FirstTrials):
            if not history.trials and (line := policy.description(history)):
                yield line
            doubts = untold([*policy.doubts(history), *policy.repeated(history)], history.warnings)
            self.warnings.extend(doubts)
            yield from (f"warning: {line}" for line in doubts)

    def _search(self, stopping: Callable[[], bool], baselines: Baselines) -> Iterator[Event]:
        """Trains the trials; records the baselines that are measured meanwhile."""
        search = Search(
            self.study,
            self.workers,
            checkpoints=self.checkpoints,
            policy=self.policy,
            prepared=self.prepared.folders,
            requests=self.requests,
            pause=PauseFile(self.folder),
        )
        trials = cast("Generator[Event, None, None]", search.run(stopping))
        with contextlib.closing(trials) as events:
            for event in events:
                yield event
                yield from baselines.collect()

    def _baselines(self) -> Baselines:
        cache, base = self.home.cache.resolve(), self.experiment.base.resolve()
        prepared = self.prepared.folders
        return Baselines(self.study, WorkerSettings("cpu", threads=1, cache=cache, base=base, prepared=prepared))

    def export(self) -> Path | None:
        """Writes the study's best.yaml and returns its path; None if no trial has a value yet.

        The view adds the trial's MLflow run if it is not known yet.
        """
        if self.study.history.leader() is None:
            return None
        path, winner = self.folder / "best.yaml", choice.winner(self.study.history)
        run_id = run_ids(self.home.path, self.experiment.study).get(winner.number)
        with locked(exported.lock_of(self.folder)):
            best.write(self.study.history, path, base=self.experiment.base, run_id=run_id)
        failpoints.hit("best_exported")
        self._record_export(path, winner)
        return path

    def finish_views(self, patience: float = PATIENCE) -> dict[str, int]:
        """Waits for MLflow and the Optuna database; returns the number of events that each of them lacks."""
        return self.shipper.finish(patience)

    # ------------------------------------------------------------------------------------------------------ its journal

    def _record_start(self) -> None:
        self.study.record(
            "driver_started",
            pid=os.getpid(),
            host=socket.gethostname(),
            workers=len(self.workers.settings),
            device=self.workers.settings[0].device,
            searches=self.experiment.searches,
            budget=self.experiment.budget.model_dump(mode="json", exclude_none=True),
            confirm=self.experiment.search.confirm.model_dump(mode="json", exclude_none=True),
            **({"audits": self.experiment.audits} if self.experiment.audits else {}),
            **({"warnings": self.warnings} if self.warnings else {}),
            origin=self.study.history.origin.to_dict(),
        )

    @contextlib.contextmanager
    def _recording_the_end(self, stopping: Callable[[], bool]) -> Iterator[None]:
        reason = "failed"
        try:
            yield
            done = "failed" if self.study.history.is_fruitless else "finished"
            reason = "interrupted" if stopping() else done
        except (KeyboardInterrupt, GeneratorExit):
            reason = "interrupted"
            raise
        finally:
            with contextlib.suppress(StorageFailed):  # the search has raised it already
                self.study.record("driver_stopped", reason=reason)
                self.study.journal.sync()

    def _record_export(self, path: Path, winner: TrialHistory) -> None:
        """Records the export unless the journal has the same one."""
        before = self.study.history.exported
        if before is not None and before.is_of(winner):
            return
        if winner.outcome is not Outcome.UNFINISHED:  # its weights are not kept for others to read yet
            self._bring_samples(winner.number)
        self.study.record(
            "study_exported",
            path=str(path),
            ended=len(self.study.history.finished),
            trial=winner.number,
            outcome=winner.outcome,
            value=winner.value,
            best_evaluation=asdict(winner.best) if winner.best else None,
        )
        self.study.journal.sync()

    def _bring_samples(self, number: int) -> None:
        """Copies the winner's samples to where the views read them."""
        try:
            self.checkpoints.download_samples(number)
        except (StorageFailed, OSError) as error:
            self.say(f"warning: the samples of trial {number} are missing in MLflow: {error}")


# ----------------------------------------------------------------------------------------------------------- opening it


@contextlib.contextmanager
def opened(
    experiment: Experiment, home: Home, *, progress: Progress, say: Say = print, policy: Policy | None = None
) -> Iterator[Driver]:
    """Opens the experiment's study, ready to be searched; ends its workers and views after the block.

    progress: called with what is being prepared and the share done. say: called with warnings and notices, a line each,
    also from other threads. policy: None for the one that the space file names.

    Checks for every mistake of the user; raises UserError and its children, StudyBusy, StorageFailed.
    """
    shipping.check(home.path, experiment.tracking.uri)
    pending.refuse(home.path, experiment.study)
    folder = home.study(experiment.study)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_locked(folder, home, experiment.study))
        PauseFile(folder).withdraw()  # of an earlier driver: who runs a study wants it to run
        chosen = load(experiment) if policy is None and not experiment.audits else policy
        decides = _policy(experiment, chosen)
        progress("reading the journal", 0.0)
        history = read_history(folder)
        check_space(experiment, history)
        warm = warm_start.sources(experiment, home, history) if experiment.searches else []
        check(experiment, home)
        storage = _storage(experiment)
        name = experiment.trainer.name
        progress(_starting(experiment), 0.0)
        workers = stack.enter_context(open_launcher(experiment, home, folder, trainer=name))  # torch loads meanwhile
        prepared = prepare(experiment, home, progress, history=history)
        warnings = untold([*experiment.warnings, *prepared.warnings, *prepared.untested], history.warnings)
        for line in warnings:
            say(f"warning: {line}")
        stored = _stored(storage, prepared, progress)
        progress("opening the study", 0.0)
        study = stack.enter_context(_study(experiment, folder, prepared, history))
        _warm(study, warm, prepared, say)
        views = shipper.start(folder, home.path, experiment.tracking.uri, VIEWS, say=say)
        stack.callback(views.kill)
        checkpoints = stack.enter_context(_checkpoints(folder, study.history, storage, stored))
        take_extension(study)
        requests = Requests(study, folder)
        idle = spent(study, decides, workers=len(workers.settings)) and not requests.waiting()
        parts = (study, workers, prepared, decides, chosen, requests, checkpoints, views)
        yield Driver(experiment, home, folder, *parts, idle, say, warnings)


def _starting(experiment: Experiment) -> str:
    """What is done to have workers."""
    return "connecting to Ray" if isinstance(experiment.resources.launcher, RayWorkers) else "starting the workers"


def _policy(experiment: Experiment, chosen: Policy | None) -> ConfirmedPolicy | AuditedPolicy:
    """The policy of a run: of an audit, or the chosen one after enqueued configs, followed by a confirmation."""
    if experiment.audits or chosen is None:
        return AuditedPolicy(experiment)
    return ConfirmedPolicy(EnqueuedPolicy(chosen, experiment), experiment)


@contextlib.contextmanager
def _locked(folder: Path, home: Home, name: str) -> Iterator[None]:
    """Locks the study against other drivers; removes its folder if it was refused before it had a journal."""
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
    """Opens the storage that the experiment names; raises UserError with its place if no package can."""
    launcher = experiment.resources.launcher
    if not isinstance(launcher, RayWorkers) or launcher.storage is None:
        return None
    try:
        return Storage(launcher.storage)
    except UserError as error:
        raise UserError(f"{experiment.where('resources', 'launcher', 'storage')}: {error}") from None


def _warm(study: Study, sources: list[History], prepared: Prepared, say: Say) -> None:
    """Records what the study learns from other studies."""
    for source in sources:
        fields = warm_start.learnt(study.experiment, source, prepared.facts)
        study.record(WARMED, **fields)
        study.journal.sync()
        failpoints.hit("study_warmed")
        say(warm_start.said(study.experiment, fields))


def _stored(storage: Storage | None, prepared: Prepared, progress: Progress) -> dict[str, str]:
    """Copies the prepared data into the storage; returns their names there by the digest of data and tokenizer."""
    if storage is None:
        return {}
    return {key: upload_prepared(storage, folder, progress) for key, folder in prepared.folders.items()}


@contextlib.contextmanager
def _study(experiment: Experiment, folder: Path, prepared: Prepared, history: History) -> Iterator[Study]:
    """Creates or resumes the study, and copies its space file beside the journal."""
    study = Study.open(experiment, folder, prepared.facts, history=history)
    try:
        if experiment.searches:
            write_atomically(folder / "space.yaml", experiment.source.encode())
        yield study
    finally:
        study.journal.close()
        gc.unfreeze()  # read_history froze what it had read


@contextlib.contextmanager
def _checkpoints(
    folder: Path, history: History, storage: Storage | None, stored: dict[str, str]
) -> Iterator[Checkpoints]:
    """The trials' checkpoints, here and in the storage, without those that will not be read again."""
    with contextlib.ExitStack() as stack:
        study_storage = None if storage is None else StudyStorage(storage, history, stored)
        if study_storage is not None:
            stack.callback(study_storage.close)
        checkpoints = Checkpoints(folder.resolve() / "checkpoints", history, study_storage)
        checkpoints.tidy()
        yield checkpoints
