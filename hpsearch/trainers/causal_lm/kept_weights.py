"""Writes the weights that a search kept as a model directory, without another training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hpsearch.contract import CHECKPOINTS, Handle
from hpsearch.training import checkpoint
from hpsearch.training.config import TrainConfig
from hpsearch.training.corpus import open_corpus
from hpsearch.training.export import save_pretrained
from hpsearch.training.model import Llama


def export(config: TrainConfig, handle: Handle, folder: Path, *, index: int) -> dict[str, float] | None:
    """Writes the weights of the evaluation; returns its metrics, or None if they are not kept.

    Raises CheckpointDamaged.
    """
    best = _kept(config, handle.folder, index)
    if best is None:
        return None
    tokenizer = open_corpus(config, handle.settings).tokenizer
    model = Llama(config.model, vocab_size=tokenizer.vocab_size)
    model.load_state_dict(best["weights"])
    save_pretrained(model, tokenizer, folder)
    return dict(best["evaluation"]["metrics"])


def _kept(config: TrainConfig, files: Path, index: int) -> dict[str, Any] | None:
    """`weights` and `evaluation`, from best.pt of a finished trial or from the checkpoint of an unfinished one."""
    for path in (files / name for name in ("best.pt", *CHECKPOINTS)):
        try:
            state = checkpoint.load(path, config_hash=config.digest())
        except FileNotFoundError:
            continue
        found = state["best"] if "best" in state else {**state, "weights": state["model"]}
        if found is not None and found["evaluation"]["index"] == index:
            return dict(found)
    return None
