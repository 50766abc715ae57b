"""The final training: trains a config without ranges as its trial was trained, tests it once and exports it."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hpsearch.atomic import write_atomically, write_json
from hpsearch.config import Config
from hpsearch.contract import Command, Evaluation, Handle, WorkerSettings
from hpsearch.errors import TrainingFailed, UserError
from hpsearch.identity import data_changes, described
from hpsearch.study_lock import StudyLock
from hpsearch.trainers import Trainer, config_file, reporting_errors
from hpsearch.trainers.evaluations import evaluations

CHECKPOINTS = "checkpoints"


class FinalTraining:
    """A final training and its output folder; a second one on the same folder resumes the first."""

    stopped = False  # before its end
    signatures: Mapping[str, str] = MappingProxyType({})  # how the test's metrics were computed

    def __init__(
        self,
        config: Config,
        folder: Path,
        settings: WorkerSettings,
        *,
        trainer: Trainer,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        """`data`: the fingerprints of the data, which are written to the folder.

        Raises UserError if the folder contains a finished model, other files or a training started on other data;
        StudyBusy if it is in use.
        """
        self.config, self.folder, self.settings, self.trainer = config, folder, settings, trainer
        self.best: Evaluation | None = None  # so far
        self.measured: list[float] = []  # values of the objective
        if (folder / "metrics.json").exists():
            raise UserError(f"{folder}: holds a finished training (metrics.json); choose another output folder")
        ours = (folder / CHECKPOINTS / "lock").exists()  # stopped while the model was being written
        if not ours and folder.exists() and any(entry.name != CHECKPOINTS for entry in folder.iterdir()):
            raise UserError(f"{folder}: is not empty; choose another output folder")
        try:
            (folder / CHECKPOINTS).mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise UserError(f"{folder}: cannot make the folder: {error.strerror}") from error
        self._lock: StudyLock | None = StudyLock(folder / CHECKPOINTS / "lock", what=f"the final training in {folder}")
        if data is not None:
            self._check_data(data)

    def _check_data(self, data: Mapping[str, Any]) -> None:
        """Raises UserError if the training to resume was started on other data."""
        noted, facts = self.folder / CHECKPOINTS / "data.json", {key: data[key] for key in ("fingerprint", "contents")}
        if not noted.exists():
            write_json(noted, facts)
        elif found := data_changes(json.loads(noted.read_text(encoding="utf-8")), facts):
            self.close()
            raise UserError(
                f"{self.folder}: its training was begun on other data; undo, or choose another output folder:\n"
                + described(found)
            )

    def run(self, stopping: Callable[[], bool]) -> Iterator[Evaluation]:
        """Trains; once `stopping()` is true, saves the state and ends (`stopped` is then True)."""

        def command() -> Command:
            self.stopped = stopping()
            return Command.PAUSE if self.stopped else Command.CONTINUE

        with self._reporting_errors("train"):
            for evaluation in evaluations(self.trainer, self.config, self._handle(command)):
                self._note(evaluation)
                yield evaluation

    def test(self, noting: Callable[[Mapping[str, float]], None] = lambda metrics: None) -> dict[str, float]:
        """Tests and exports the training, writes metrics.json, deletes the checkpoints; returns the metrics.

        noting: called with the test's metrics as soon as they are known.
        These are test/... if the trainer has a test, and val/... of the best evaluation. Raises TrainingFailed if no
        evaluation was finite.
        """
        if self.best is None:
            metric = self.config.objective.metric
            raise TrainingFailed(f"no evaluation of {metric} was finite: there is no model to test")
        with self._reporting_errors("test"):
            tested = self.trainer.test(self.config, self._handle())
        noting(tested.metrics)
        self.signatures = tested.signatures
        for name, found in {"samples": tested.samples, "signatures": tested.signatures}.items():
            if found:
                write_json(self.folder / f"{name}.json", found)
        validated = {name: value for name, value in self.best.metrics.items() if name.startswith("val/")}
        metrics = {name: float(value) for name, value in (validated | tested.metrics).items()}
        with self._reporting_errors("export"):
            self.trainer.export(self.config, self._handle(), self.folder)
        config = json.dumps(config_file(self.trainer, self.config), indent=1)
        write_atomically(self.folder / "hpsearch.json", config.encode())
        write_json(self.folder / "metrics.json", metrics)
        shutil.rmtree(self.folder / CHECKPOINTS, ignore_errors=True)
        self.close()
        return metrics

    def _handle(self, command: Callable[[], Command] = lambda: Command.CONTINUE) -> Handle:
        return Handle(self.settings, self.folder / CHECKPOINTS, command)

    def _reporting_errors(self, doing: str) -> AbstractContextManager[None]:
        base, log = self.settings.base, self.folder / CHECKPOINTS / "error.txt"
        return reporting_errors(self.trainer, doing, base=base, log=log)

    def _note(self, evaluation: Evaluation) -> None:
        """Keeps the evaluation with the best finite value of the objective."""
        objective = self.config.objective
        value = evaluation.metrics.get(objective.metric, math.nan)
        self.measured.append(value)
        if math.isfinite(value) and (self.best is None or objective.better(value, self.best.metrics[objective.metric])):
            self.best = evaluation

    def close(self) -> None:
        """Releases the lock of the folder, as the end of the process does."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None
