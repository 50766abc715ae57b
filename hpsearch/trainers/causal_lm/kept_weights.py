"""Writes the weights that a search kept as a model directory, without another training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpsearch.contract import CHECKPOINTS, Handle
from hpsearch.training import checkpoint
from hpsearch.training.config import TrainConfig
from hpsearch.training.corpus import open_corpus, own_tokenizer, state_digest
from hpsearch.training.export import save_model
from hpsearch.training.model import Llama
from hpsearch.training.uses import uses_of


def export(config: TrainConfig, handle: Handle, folder: Path, *, index: int) -> dict[str, float] | None:
    """Writes the weights of the evaluation; returns its metrics, or None if they are not kept.

    Raises CheckpointDamaged.
    """
    corpus = open_corpus(config, handle.settings)
    digests = {"best.pt": config.digest()} | dict.fromkeys(CHECKPOINTS, state_digest(config, corpus))
    best = kept(handle.folder, digests, index)
    if best is None:
        return None
    tokenizer = own_tokenizer(corpus)
    model = Llama(config.model, vocab_size=tokenizer.vocab_size)
    model.load_state_dict(best["weights"])
    save_model(model, tokenizer, folder, uses_of(config, corpus))
    return dict(best["evaluation"]["metrics"])


def kept(files: Path, digests: Mapping[str, str], index: int) -> dict[str, Any] | None:
    """`weights` and `evaluation`, from best.pt of a finished trial or from the checkpoint of an unfinished one."""
    for name, config_hash in digests.items():
        try:
            state = checkpoint.load(files / name, config_hash=config_hash)
        except FileNotFoundError:
            continue
        found = state["best"] if "best" in state else {**state, "weights": state["model"]}
        if found is not None and found["evaluation"]["index"] == index:
            return dict(found)
    return None
