"""The end of a final training: tests the best weights and writes them as a model directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hpsearch.contract import Handle
from hpsearch.data.corpus import Corpus
from hpsearch.errors import TrainingFailed
from hpsearch.trainers.values import TestResult
from hpsearch.training import checkpoint
from hpsearch.training.batches import rows_of
from hpsearch.training.config import TrainConfig
from hpsearch.training.corpus import open_corpus, own_tokenizer
from hpsearch.training.device import prepare_device
from hpsearch.training.evaluation import Evaluator
from hpsearch.training.export import save_model
from hpsearch.training.model import Llama
from hpsearch.training.uses import uses_of


def test(config: TrainConfig, handle: Handle) -> TestResult:
    """Returns test/... metrics of the best weights (if the data have a test split), and val/... of their evaluation.

    Raises TrainingFailed if no evaluation was finite.
    """
    model, corpus, state = _best(config, handle)
    metrics = {name: value for name, value in state["evaluation"]["metrics"].items() if name.startswith("val/")}
    rows = rows_of(corpus, "test", config, prepare_device(handle.settings))
    if not rows:
        return TestResult(metrics)
    measured = Evaluator(corpus, rows, config, sample=None, precision=state["precision"]).measure(model)
    tested = {f"test/{name}": value for name, value in measured.metrics.items()}
    return TestResult(tested | metrics, measured.signatures, measured.samples)


def export(config: TrainConfig, handle: Handle, folder: Path) -> None:
    """Writes the best weights and the tokenizer in the format of transformers."""
    model, corpus, _ = _best(config, handle)
    save_model(model, own_tokenizer(corpus), folder, uses_of(config, corpus))


def _best(config: TrainConfig, handle: Handle) -> tuple[Llama, Corpus, dict[str, Any]]:
    """The model with its best weights, the corpus, and the contents of best.pt."""
    path = handle.folder / "best.pt"
    if not path.exists():
        raise TrainingFailed(f"no evaluation of {config.objective.metric} was finite: there is no model to test")
    device = prepare_device(handle.settings)
    corpus = open_corpus(config, handle.settings)
    state = checkpoint.load(path, config_hash=config.digest(), device=device)
    model = Llama(config.model, vocab_size=corpus.tokenizer.vocab_size).to(device)
    model.load_state_dict(state["model"])
    return model, corpus, state
