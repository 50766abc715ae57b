"""The final training: a config without ranges, trained as its trial was, tested once, written as a model directory."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hpsearch.atomic import write_atomically, write_json
from hpsearch.contract import Command, Evaluation, Handle, WorkerSettings
from hpsearch.errors import TrainingFailed, UserError
from hpsearch.identity import data_changes, described
from hpsearch.lock import StudyLock
from hpsearch.training.config import TrainConfig

CHECKPOINTS = "checkpoints"


class FinalTraining:
    """One final training and the folder it fills; made again on the same folder, it goes on where it was stopped."""

    stopped = False  # it was stopped before its end
    signatures: Mapping[str, str] = MappingProxyType({})  # how the test's BLEU and chrF were computed

    def __init__(
        self, config: TrainConfig, folder: Path, setting: WorkerSettings, *, data: Mapping[str, Any] | None = None
    ) -> None:
        """`data`: the fingerprints of what it trains on, noted in the folder.

        Raises UserError when the folder holds a finished model, something else or a training that was begun on other
        data, StudyBusy when it is in use.
        """
        self.config, self.folder, self.setting = config, folder, setting
        if (folder / "metrics.json").exists():
            raise UserError(f"{folder}: holds a finished training (metrics.json); choose another folder with -o")
        ours = (folder / CHECKPOINTS / "best.pt").exists()  # stopped while the model was being written
        if not ours and folder.exists() and any(entry.name != CHECKPOINTS for entry in folder.iterdir()):
            raise UserError(f"{folder}: is not empty; choose another folder with -o")
        try:
            (folder / CHECKPOINTS).mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise UserError(f"{folder}: cannot make the folder: {error.strerror}") from error
        self._lock: StudyLock | None = StudyLock(folder / CHECKPOINTS / "lock", what=f"the final training in {folder}")
        if data is not None:
            self._check_data(data)

    def _check_data(self, data: Mapping[str, Any]) -> None:
        """Raises UserError where the training that goes on here was begun on other data."""
        noted, facts = self.folder / CHECKPOINTS / "data.json", {key: data[key] for key in ("fingerprint", "contents")}
        if not noted.exists():
            write_json(noted, facts)
        elif found := data_changes(json.loads(noted.read_text(encoding="utf-8")), facts):
            self.close()
            raise UserError(
                f"{self.folder}: its training was begun on other data; undo, or choose another folder with -o:\n"
                + described(found)
            )

    def run(self, stopping: Callable[[], bool]) -> Iterator[Evaluation]:
        """Trains; told to stop, it saves its state and ends early (`stopped` is then True)."""
        from hpsearch.training.loop import train  # torch: seconds

        def command() -> Command:
            self.stopped = stopping()
            return Command.PAUSE if self.stopped else Command.CONTINUE

        yield from train(self.config, Handle(self.setting, self.folder / CHECKPOINTS, command))

    def test(self) -> dict[str, float]:
        """Measures the best weights on the test split (once: there is no way back), writes the model and metrics.json.

        Gives the metrics: test/... where there is a test split, and val/... of the best evaluation.
        Raises TrainingFailed when no evaluation was finite.
        """
        from hpsearch.training import checkpoint
        from hpsearch.training.batches import rows_of
        from hpsearch.training.corpus import open_corpus
        from hpsearch.training.device import prepare_device
        from hpsearch.training.evaluation import Evaluator
        from hpsearch.training.export import save_pretrained
        from hpsearch.training.model import Llama

        device = prepare_device(self.setting)
        corpus = open_corpus(self.config, self.setting)
        path = self.folder / CHECKPOINTS / "best.pt"
        if not path.exists():
            metric = self.config.objective.metric
            raise TrainingFailed(f"no evaluation of {metric} was finite: there is no model to test")
        state = checkpoint.load(path, config_hash=self.config.digest(), device=device)
        model = Llama(self.config.model, vocab_size=corpus.tokenizer.vocab_size).to(device)
        model.load_state_dict(state["model"])
        metrics: dict[str, Any] = {}
        rows = rows_of(corpus, "test", self.config, device)
        if rows:
            precision = state["precision"]
            measured = Evaluator(corpus, rows, self.config, sample=None, precision=precision).measure(model)
            metrics |= {f"test/{name}": value for name, value in measured.metrics.items()}
            self.signatures = measured.signatures
            for name, found in {"samples": measured.samples, "signatures": measured.signatures}.items():
                if found:
                    write_json(self.folder / f"{name}.json", found)
        metrics |= {k: v for k, v in state["evaluation"]["metrics"].items() if k.startswith("val/")}
        save_pretrained(model, corpus.tokenizer, self.folder)
        config = json.dumps(self.config.model_dump(mode="json"), indent=1)
        write_atomically(self.folder / "hpsearch.json", config.encode())
        write_json(self.folder / "metrics.json", metrics)
        shutil.rmtree(self.folder / CHECKPOINTS, ignore_errors=True)
        self.close()
        return metrics

    def close(self) -> None:
        """Lets another training of this folder in; so does the end of the process."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None
