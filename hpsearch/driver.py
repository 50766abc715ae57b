"""One `hpsearch run`: check, lock, prepare the data, open the study, start workers and views, search, export.

Every part is its own file; here they are put together, in the order that keeps what is acknowledged on the disk.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from hpsearch import best, failpoints
from hpsearch.atomic import make_folder, write_atomically
from hpsearch.errors import HpsearchError, StorageFailed, UserError
from hpsearch.events import Event
from hpsearch.home import Home
from hpsearch.identity import check_space
from hpsearch.launchers.devices import plan
from hpsearch.launchers.inline import InlineLauncher
from hpsearch.launchers.local import LocalLauncher
from hpsearch.launchers.messages import Launcher
from hpsearch.lock import StudyLock
from hpsearch.outcome import Outcome
from hpsearch.preparation import check, prepare
from hpsearch.search import Search, spent
from hpsearch.space.experiment import Experiment
from hpsearch.space.settings import RayWorkers
from hpsearch.storage.checkpoints import Checkpoints
from hpsearch.storage.keeping import Keeping, keep_prepared
from hpsearch.storage.storage import Storage
from hpsearch.study import Study, read_history
from hpsearch.views import shipper, shipping
from hpsearch.views.mlflow.store import run_ids

VIEWS = ("mlflow", "optuna")
PATIENCE = 60.0  # seconds that the end of a run waits for the views
Say = Callable[[str], None]


class Driver:
    """The process that owns a study while it is searched."""

    def __init__(self, experiment: Experiment, home: Home, *, say: Say = print) -> None:
        """`say` gets warnings and news, a line each."""
        self.experiment, self.home, self.say = experiment, home, say
        self.trainer = experiment.trainer.name
        self.folder = home.study(experiment.study)
        self._stack = contextlib.ExitStack()
        self.study: Study | None = None
        self.idle = False  # the study's budget was spent before this driver
        self._storage: Storage | None = None  # None: workers see the home
        self._stored: dict[str, str] = {}  # name of prepared data -> their folder in the storage

    def open(self, progress: Callable[[str, float], None]) -> Study:
        """Everything up to the first trial that can fail by the user's mistake."""
        shipping.check(self.home.path, self.experiment.tracking.uri)
        make_folder(self.folder)
        lock = StudyLock(self.folder / "lock", what=f"study '{self.experiment.study}'")
        self._stack.callback(lock.release)
        self._stack.callback(self._leave_no_empty_folder)
        history = read_history(self.folder)
        check_space(self.experiment, history)
        self._workers = self._launch()  # they import torch while the data are prepared
        self._prepared = prepare(self.experiment, self.home, progress, history=history)
        for warning in [*self.experiment.warnings, *self._prepared.warnings, *self._prepared.untested]:
            self.say(f"warning: {warning}")
        if self._storage is not None:
            prepared = self._prepared.folders.items()
            self._stored = {key: keep_prepared(self._storage, folder, progress) for key, folder in prepared}
        self.study = Study.open(self.experiment, self.folder, self._prepared.facts, history=history)
        self._stack.callback(self.study.journal.close)
        write_atomically(self.folder / "space.yaml", self.experiment.source.encode())
        return self.study

    @property
    def summary(self) -> list[str]:
        """What was read, a line a set."""
        return self._prepared.summary

    def run(self, stopping: Callable[[], bool]) -> Iterator[Event]:
        """Searches; when it ends, however it ends, the journal says so and no worker is left."""
        study = self._opened()
        self.shipper = shipper.start(self.folder, self.home.path, self.experiment.tracking.uri, VIEWS, say=self.say)
        self._stack.callback(self.shipper.kill)
        self._checkpoints = Checkpoints(self.folder.resolve() / "checkpoints", study.history, self._keeping(study))
        self._checkpoints.tidy()
        nothing_to_do = self.idle = spent(study)
        if nothing_to_do and study.history.stopped is not None:
            return
        search = Search(
            study,
            self._workers,
            checkpoints=self._checkpoints,
            prepared=self._prepared.folders,
            stopping=stopping,
        )
        study.record(
            "driver_started",
            pid=os.getpid(),
            host=socket.gethostname(),
            workers=len(self.settings),
            device=self.settings[0].device,
            origin=study.history.origin,
        )
        reason = "failed"
        try:
            if not nothing_to_do:  # else the driver before died at its end, and nothing says yet that it is over
                yield from search.run()
            reason = "interrupted" if stopping() else "finished"
        finally:
            with contextlib.suppress(StorageFailed):  # said already, if it is what ends the search
                study.record("driver_stopped", reason=reason)
                study.journal.sync()

    def export(self) -> Path | None:
        """Writes best.yaml of the study as it stands; None when no trial has a value yet."""
        study = self._opened()
        if study.history.leader() is None:
            return None
        path, winner = self.folder / "best.yaml", best.winner(study.history)
        best.write(study.history, path, base=self.experiment.base, run_id=self._run_id(winner.number))
        failpoints.hit("best_exported")
        said = {
            "trial": winner.number,
            "outcome": winner.outcome,
            "value": winner.value,
            "best_evaluation": asdict(winner.best) if winner.best else None,
        }
        exported = study.history.exported
        if exported is None or {key: exported.get(key, value) for key, value in said.items()} != said:
            if winner.outcome is not Outcome.UNFINISHED:  # its weights are not kept for others to read yet
                self._bring_samples(winner.number)
            study.record("study_exported", path=str(path), ended=len(study.history.finished), **said)
            study.journal.sync()
        return path

    def _bring_samples(self, number: int) -> None:
        """Has the winner's samples where the views read them."""
        try:
            self._checkpoints.bring_samples(number)
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

    def finish_views(self, patience: float = PATIENCE) -> dict[str, int]:
        """Waits for MLflow and the Optuna database to have all; gives the events that each lacks still."""
        return self.shipper.finish(patience)

    def close(self) -> None:
        """Ends workers and views, lets the next driver in."""
        self._stack.close()

    def _leave_no_empty_folder(self) -> None:
        """Removes the folder of a study that was refused before it began (its lock is still held)."""
        if not self.home.journal(self.experiment.study).exists():
            with contextlib.suppress(OSError):
                (self.folder / "lock").unlink()
                self.folder.rmdir()

    def _opened(self) -> Study:
        if self.study is None:
            raise HpsearchError("the study is not open")
        return self.study

    def _launch(self) -> Launcher:
        """Checks the data sets at a glance, then starts the workers."""
        check(self.experiment, self.home)
        wanted = self.experiment.resources.launcher
        launcher = self._on_ray(wanted) if isinstance(wanted, RayWorkers) else self._here(wanted.name)
        self._stack.callback(launcher.close)
        self.settings = launcher.settings
        return launcher

    def _keeping(self, study: Study) -> Keeping | None:
        """The study's part of the storage, where there is one."""
        if self._storage is None:
            return None
        keeping = Keeping(self._storage, study.history, self._stored)
        self._stack.callback(keeping.close)
        return keeping

    def _here(self, name: str) -> Launcher:
        """Workers on this machine."""
        cache, base = self.home.cache.resolve(), self.experiment.base.resolve()
        settings = plan(self.experiment.resources, cache=cache, base=base)
        if name == "inline":
            return InlineLauncher(settings[0], trainer=self.trainer)
        return LocalLauncher(settings, trainer=self.trainer, stall_timeout=self.experiment.search.stall_timeout)

    def _open_storage(self, url: str) -> Storage:
        """Raises UserError, with the place in the space file, where no package can open it."""
        try:
            return Storage(url)
        except UserError as error:
            raise UserError(f"{self.experiment.where('resources', 'launcher', 'storage')}: {error}") from None

    def _on_ray(self, wanted: RayWorkers) -> Launcher:
        """Workers on a Ray cluster, which is joined here."""
        from hpsearch.launchers.ray.cluster import Cluster  # Ray is an extra, and takes a second to import
        from hpsearch.launchers.ray.launcher import RayLauncher

        if wanted.storage is not None:
            self._storage = self._open_storage(wanted.storage)
        cluster = Cluster(wanted, self.experiment.resources)
        self._stack.callback(cluster.leave)
        return RayLauncher(
            cluster.plan(cache=self.home.cache.resolve(), base=self.experiment.base.resolve()),
            cluster,
            shared=self.folder.resolve(),
            trainer=self.trainer,
            stall_timeout=self.experiment.search.stall_timeout,
        )
