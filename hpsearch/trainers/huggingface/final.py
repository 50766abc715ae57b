"""The end of a fine-tuning: tests the best weights, and writes them as a model directory of transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from hpsearch.contract import CHECKPOINTS, Handle
from hpsearch.errors import TrainingFailed
from hpsearch.trainers.causal_lm.kept_weights import kept
from hpsearch.trainers.huggingface.config import FineTuneConfig
from hpsearch.trainers.huggingface.network import Network
from hpsearch.trainers.huggingface.parts import FineTuning
from hpsearch.trainers.values import TestResult
from hpsearch.training import checkpoint
from hpsearch.training.corpus import state_digest
from hpsearch.training.device import prepare_device


def test(config: FineTuneConfig, handle: Handle) -> TestResult:
    """Returns test/... metrics of the best weights (if the data have a test split), and val/... of their evaluation.

    Raises TrainingFailed if no evaluation was finite.
    """
    tuning, network, state = _best(config, handle)
    metrics = {name: value for name, value in state["evaluation"]["metrics"].items() if name.startswith("val/")}
    evaluator = tuning.evaluator("test", sample=None, precision=state["precision"])
    if evaluator is None:
        return TestResult(metrics)
    measured = evaluator.measure(network)
    tested = {f"test/{name}": value for name, value in measured.metrics.items()}
    return TestResult(tested | metrics, measured.signatures, measured.samples)


def export(config: FineTuneConfig, handle: Handle, folder: Path) -> None:
    """Writes the best weights, merged, with the tokenizer."""
    tuning, network, _ = _best(config, handle)
    network.save_pretrained(folder, tuning.tokenizer)


def export_kept(config: FineTuneConfig, handle: Handle, folder: Path, *, index: int) -> dict[str, float] | None:
    """Writes the weights of the evaluation; returns its metrics, or None if they are not kept.

    Raises CheckpointDamaged.
    """
    tuning = FineTuning.of(config, handle.settings, torch.device("cpu"))
    digests = {"best.pt": config.digest()} | dict.fromkeys(CHECKPOINTS, state_digest(config, tuning.corpus))
    best = kept(handle.folder, digests, index)
    if best is None:
        return None
    network = tuning.network()
    network.load_state_dict(best["weights"])
    network.save_pretrained(folder, tuning.tokenizer)
    return dict(best["evaluation"]["metrics"])


def _best(config: FineTuneConfig, handle: Handle) -> tuple[FineTuning, Network, dict[str, Any]]:
    """The fine-tuning, its network with the best weights, and the contents of best.pt."""
    path = handle.folder / "best.pt"
    if not path.exists():
        raise TrainingFailed(f"no evaluation of {config.objective.metric} was finite: there is no model to test")
    device = prepare_device(handle.settings)
    tuning = FineTuning.of(config, handle.settings, device)
    state = checkpoint.load(path, config_hash=config.digest(), device=device)
    network = tuning.network()
    network.load_state_dict(state["model"])
    return tuning, network, state
