"""Writes the weights that a search kept of its winner as a model directory, without another training."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hpsearch.contract import CHECKPOINTS, Handle, WorkerSettings
from hpsearch.document.document import read
from hpsearch.errors import CheckpointDamaged, UserError
from hpsearch.home.home import Home
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.outcome import Outcome
from hpsearch.preflight.preparation import prepare
from hpsearch.serving.models.card import Facts, write_card
from hpsearch.space.experiment import Experiment
from hpsearch.storage.storage import Storage
from hpsearch.storage.study_storage import StudyStorage
from hpsearch.system.atomic import write_json
from hpsearch.trainers import Trainer, config_file, load, reporting_errors, trainer_name

AGAIN = "hpsearch train makes the model anew"


def refuse_filled(folder: Path) -> None:
    """Raises UserError if the folder exists and is not empty."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder}: is not empty; choose another folder")


def setting_of(exported: Experiment, home: Home) -> WorkerSettings:
    """The settings for exporting the trial; prepares its data if they are missing in the cache.

    Raises UserError if the data changed: their tokenizer could be another one.
    """

    def check(facts: Mapping[str, Any]) -> None:
        if exported.provenance.get("data_fingerprint") != facts["fingerprint"]:
            number = exported.provenance.get("trial")
            raise UserError(f"the data, or how they are prepared, are not those of trial {number}: {AGAIN}")

    folders = prepare(exported, home, lambda what, share: None, known=check).folders
    return WorkerSettings(device="cpu", threads=1, cache=home.cache, base=exported.base, prepared=folders)


def write_model(history: History, trial: TrialHistory, folder: Path, *, study: Path, setting: WorkerSettings) -> None:
    """Writes the weights, config and metrics of the trial's best evaluation to `folder`, all or nothing.

    `study`: the study's folder; `setting`: has the prepared data. Raises UserError if the weights of that evaluation
    are not kept, StorageFailed.
    """
    refuse_filled(folder)
    trainer = load(trainer_name(history.origin), setting.base)
    config = trainer.config.model_validate(trial.config)
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        reporting = reporting_errors(trainer, "export_kept", base=setting.base, log=study / "error.txt")
        with _files(history, trial, study) as files, reporting:
            metrics = _exported(trainer, trial, Handle(setting, files), staging)
        write_json(staging / "hpsearch.json", config_file(trainer, config))
        write_json(staging / "metrics.json", validated(metrics))
        known = {"study": history.study, "trial": trial.number, "trials": len(history.trials)}
        contents = history.origin.data.get("contents") or {}
        write_card(staging, Facts(history.study, validated(metrics), {}, contents, known), shown=folder)
        staging.chmod(0o755)
        staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _exported(trainer: Trainer, trial: TrialHistory, handle: Handle, folder: Path) -> dict[str, float]:
    """Lets the trainer write the weights of the trial's best evaluation; returns its metrics."""
    index = trial.best.index if trial.best is not None else 0
    config = trainer.config.model_validate(trial.config)
    try:
        metrics = trainer.export_kept(config, handle, folder, index=index)
    except CheckpointDamaged as error:
        raise UserError(f"{error}; {AGAIN}") from error
    if metrics is None:
        state_of_it = ", which has not ended," if trial.outcome is Outcome.UNFINISHED else ""
        where = f"trial {trial.number}{state_of_it} at its best evaluation"
        raise UserError(f"the weights of {where} are not kept; {AGAIN}")
    if not isinstance(metrics, Mapping):
        raise TypeError(f"returned {type(metrics).__name__}; allowed: a mapping of metrics or None")
    return {str(name): float(value) for name, value in metrics.items()}


def validated(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics of the validation split."""
    return {name: value for name, value in metrics.items() if name.startswith("val/")}


@contextlib.contextmanager
def _files(history: History, trial: TrialHistory, study: Path) -> Iterator[Path]:
    """A folder with the trial's checkpoints: its own, or a temporary copy from the storage."""
    url = _storage(study)
    if url is None:
        yield study / "checkpoints" / f"{trial.number:04d}"
        return
    study_storage = StudyStorage(Storage(url), history, {})
    try:
        with tempfile.TemporaryDirectory() as folder:
            for name in _names(trial):
                study_storage.download(trial.number, name, Path(folder) / name)
            yield Path(folder)
    finally:
        study_storage.close()


def _storage(study: Path) -> str | None:
    """The URL of the storage for the study's checkpoints, or None."""
    resources = read(study / "space.yaml").value.get("resources") or {}
    launcher = resources.get("launcher")
    return launcher.get("storage") if isinstance(launcher, dict) else None


def _names(trial: TrialHistory) -> tuple[str, ...]:
    return CHECKPOINTS if trial.outcome is Outcome.UNFINISHED else ("best.pt",)
