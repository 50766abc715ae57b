"""The final training: trains a config without ranges as its trial was trained, tests it once and exports it.

Its state lies in OUTPUT/checkpoints: begun.json (what is trained), a folder for each seed, and the lock. When the model
is whole it is moved beside OUTPUT, which then has nothing but the model, and removed once MLflow has the model.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hpsearch.config import Config
from hpsearch.contract import WorkerSettings
from hpsearch.document.document import dotted
from hpsearch.errors import TrainingFailed, UserError
from hpsearch.final.seed import SeedTraining
from hpsearch.home.identity import changes, data_changes, described, shown
from hpsearch.journal.study_lock import StudyLock
from hpsearch.system import failpoints
from hpsearch.system.atomic import write_atomically, write_json
from hpsearch.trainers import TestResult, Trainer, config_file

CHECKPOINTS = "checkpoints"
SHOWN = 3  # changed values in an error


class FinalTraining:
    """A final training of one or more seeds, and its output folder; a second one on the same folder resumes it."""

    signatures: Mapping[str, str] = MappingProxyType({})  # how the test's metrics were computed

    def __init__(
        self,
        config: Config,
        folder: Path,
        settings: WorkerSettings,
        *,
        trainer: Trainer,
        data: Mapping[str, Any] | None = None,
        seeds: Sequence[int] = (),
    ) -> None:
        """`data`: the fingerprints of the data; `seeds`: further ones that are trained after the config's own.

        Raises UserError if the folder contains a finished model, other files or a training of another config or on
        other data; StudyBusy if it is in use.
        """
        self.config, self.folder, self.trainer = config, folder, trainer
        state = self._state = folder / CHECKPOINTS
        self._aside, self._removed = (_beside(folder, name) for name in (CHECKPOINTS, "finished"))
        self._refuse_other()
        found = self._aside if self._aside.exists() and not state.exists() else state
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            found.mkdir(exist_ok=True, mode=0o700)
        except OSError as error:
            raise UserError(f"{folder}: cannot make the folder: {error.strerror}") from error
        self._lock: StudyLock | None = StudyLock(found / "lock", what=f"the final training in {folder}")
        if found is self._aside:
            os.replace(found, state)
        try:
            self._check_begun(config.model_dump(mode="json"), data)
        except UserError:
            self.close()
            raise
        all_seeds = (config.seed, *seeds)
        self.trainings = [
            SeedTraining(
                config.model_copy(update={"seed": seed}), state / f"seed-{seed}", settings, trainer, n, len(all_seeds)
            )
            for n, seed in enumerate(all_seeds, start=1)
        ]

    def _refuse_other(self) -> None:
        """Raises UserError if the folder has a finished model, or files that are not of a final training."""
        folder = self.folder
        shutil.rmtree(self._removed, ignore_errors=True)
        if self._aside.exists() or (self._state / "lock").exists():
            return  # maybe stopped while the model was being written
        if (folder / "metrics.json").exists():
            raise UserError(f"{folder}: holds a finished training (metrics.json); choose another output folder")
        if folder.exists() and any(entry.name != CHECKPOINTS for entry in folder.iterdir()):
            raise UserError(f"{folder}: is not empty; choose another output folder")

    def _check_begun(self, config: Mapping[str, Any], data: Mapping[str, Any] | None) -> None:
        """Notes what is trained; raises UserError if the training to resume is of another config or other data."""
        noted = self._state / "begun.json"
        kept = ("fingerprint", "contents", "models")
        facts = None if data is None else {key: data[key] for key in kept if key in data}
        if not noted.exists():
            write_json(noted, {"config": config, "data": facts, "time": time.time()})
            return
        begun = json.loads(noted.read_text(encoding="utf-8"))
        if found := list(changes(begun["config"], json.loads(json.dumps(config)))):
            lines = [f"{dotted(keys)}: {shown(old)} -> {shown(new)}" for keys, old, new in found]
            more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
            raise UserError(
                f"{self.folder}: its training was begun with another config ({', '.join(lines[:SHOWN])}{more}); "
                "undo, or choose another output folder"
            )
        if facts and begun["data"] and (found := data_changes(begun["data"], facts)):
            raise UserError(
                f"{self.folder}: its training was begun on other data; undo, or choose another output folder:\n"
                + described(found)
            )

    @property
    def stopped(self) -> bool:
        """Whether a training was stopped before its end."""
        return any(training.stopped for training in self.trainings)

    @property
    def chosen(self) -> SeedTraining:
        """The training whose model is written: of those that have one the best on validation, of equal ones the first.

        Without validation data the first one. Raises TrainingFailed if none has a model.
        """
        found = [training for training in self.trainings if training.best is not None]
        if not found:
            raise TrainingFailed(f"{self.trainings[0].why_fruitless}: there is no model to test")
        objective, best = self.config.objective, found[0]
        for training in [] if self.config.trains_on_valid else found[1:]:
            if objective.better(training.validated[objective.metric], best.validated[objective.metric]):
                best = training
        return best

    def test(self, noting: Callable[[Mapping[str, float]], None] = lambda metrics: None) -> dict[str, float]:
        """Tests each training and exports the chosen one; writes metrics.json last; returns its metrics.

        noting: called with the first test's metrics as soon as they are known.
        These are test/... if the trainer has a test, and val/... of the best evaluation. Raises TrainingFailed if no
        evaluation was finite.
        """
        chosen = self.chosen
        tested = chosen.test()
        noting(tested.metrics)
        for training in self.trainings:
            if training is not chosen and training.best is not None:
                training.test()
        self._write(chosen, tested)
        return chosen.metrics

    def _write(self, chosen: SeedTraining, tested: TestResult) -> None:
        self.signatures = tested.signatures
        for name, found in {"samples": tested.samples, "signatures": tested.signatures}.items():
            if found:
                write_json(self.folder / f"{name}.json", found)
        chosen.export(self.folder)
        failpoints.hit("model_exported")
        config = json.dumps(config_file(self.trainer, chosen.config), indent=1)
        write_atomically(self.folder / "hpsearch.json", config.encode())
        write_json(self.folder / "metrics.json", chosen.metrics)

    def set_aside(self) -> None:
        """Moves the state out of the model's folder, the files of which go to MLflow.

        It is removed at once if it cannot lie beside the folder, as where that is a disk of its own.
        """
        try:
            os.replace(self._state, self._aside)
        except OSError:
            shutil.rmtree(self._state, ignore_errors=True)
        failpoints.hit("model_whole")

    def clear(self) -> None:
        """Removes the state of a training whose model is whole, and in MLflow."""
        with contextlib.suppress(FileNotFoundError):
            os.replace(self._aside, self._removed)  # at once: a state of which a part is gone cannot be resumed
        failpoints.hit("training_cleared")
        shutil.rmtree(self._removed, ignore_errors=True)
        self.close()

    def close(self) -> None:
        """Releases the lock of the folder, as the end of the process does."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def _beside(folder: Path, what: str) -> Path:
    whole = folder.absolute()
    return whole.with_name(f".{whole.name}.{what}")
