"""The weights that a search has kept of its winner, written as a model directory without another training."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hpsearch.atomic import write_json
from hpsearch.contract import CHECKPOINTS
from hpsearch.data.corpus import Corpus
from hpsearch.errors import CheckpointDamaged, UserError
from hpsearch.home import Home
from hpsearch.journal.history import History, TrialHistory
from hpsearch.outcome import Outcome
from hpsearch.preparation import prepare
from hpsearch.space.experiment import Experiment
from hpsearch.space.settings import RayWorkers
from hpsearch.storage.storage import Storage
from hpsearch.storage.study_storage import StudyStorage
from hpsearch.training.config import TrainConfig

AGAIN = "hpsearch train makes the model anew"


def refuse_filled(folder: Path) -> None:
    """Raises UserError when a model cannot be written to the folder: it is there, and not empty."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder}: is not empty; choose another folder with --model")


def prepared_corpus(exported: Experiment, home: Home) -> Path:
    """The folder of the data that the exported trial was trained on, tokenised; they are prepared if they are missing.

    Raises UserError when the data are other ones now: the model's tokenizer could be another, too.
    """

    def check(facts: Mapping[str, Any]) -> None:
        if exported.provenance.get("data_fingerprint") != facts["fingerprint"]:
            number = exported.provenance.get("trial")
            raise UserError(f"the data, or how they are prepared, are not those of trial {number}: {AGAIN}")

    return next(iter(prepare(exported, home, lambda what, share: None, known=check).folders.values()))


def write_model(history: History, trial: TrialHistory, folder: Path, *, study: Path, corpus: Path) -> None:
    """Writes the weights of the trial's best evaluation to `folder`, with its config and metrics, whole or not at all.

    `study`: the study's folder; `corpus`: that of the prepared data, whose tokenizer the model has.
    Raises UserError when the weights are gone or not of that evaluation, StorageFailed.
    """
    refuse_filled(folder)
    config = TrainConfig.model_validate(trial.config)
    with _files(history, trial, study) as files:
        best = _best(files, trial, config)
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _export(config, best["weights"], Corpus.map(corpus).tokenizer, staging)
        write_json(staging / "hpsearch.json", config.model_dump(mode="json"))
        write_json(staging / "metrics.json", validated(best["evaluation"]["metrics"]))
        staging.chmod(0o755)
        staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def validated(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics of the validation split."""
    return {name: value for name, value in metrics.items() if name.startswith("val/")}


@contextlib.contextmanager
def _files(history: History, trial: TrialHistory, study: Path) -> Iterator[Path]:
    """A folder with the trial's checkpoints: its own, or a temporary copy of what a storage has."""
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
    """The URL of the storage that the study's trials keep their checkpoints in."""
    launcher = Experiment.load(study / "space.yaml").resources.launcher
    return launcher.storage if isinstance(launcher, RayWorkers) else None


def _names(trial: TrialHistory) -> tuple[str, ...]:
    return CHECKPOINTS if trial.outcome is Outcome.UNFINISHED else ("best.pt",)


def _best(files: Path, trial: TrialHistory, config: TrainConfig) -> dict[str, Any]:
    """`weights` and `evaluation` of the trial's best evaluation; raises UserError when no file has them."""
    from hpsearch.training import checkpoint  # torch: seconds

    state_of_it = ", which is unfinished," if trial.outcome is Outcome.UNFINISHED else ""
    for path in (files / name for name in _names(trial)):
        try:
            state = checkpoint.load(path, config_hash=config.digest())
        except FileNotFoundError:
            continue
        except CheckpointDamaged as error:
            raise UserError(f"{error}; {AGAIN}") from error
        found = state["best"] if "best" in state else {**state, "weights": state["model"]}
        if found is not None and trial.best is not None and found["evaluation"]["index"] == trial.best.index:
            return dict(found)
    raise UserError(f"the weights of trial {trial.number}{state_of_it} at its best evaluation are not kept; {AGAIN}")


def _export(config: TrainConfig, weights: Mapping[str, Any], tokenizer: Any, folder: Path) -> None:
    """Writes weights as the model directory of our trainer."""
    from hpsearch.training.export import save_pretrained
    from hpsearch.training.model import Llama

    model = Llama(config.model, vocab_size=tokenizer.vocab_size)
    model.load_state_dict(weights)
    save_pretrained(model, tokenizer, folder)
