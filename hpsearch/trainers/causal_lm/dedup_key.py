"""Which configs are the same training: values without an effect are left out, defaults are filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hpsearch.config import TokenizerConfig
from hpsearch.training.config import ModelConfig, TrainingConfig


def dedup_key(config: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The values of tokenizer, model and training that have an effect."""
    return {
        "tokenizer": _of_tokenizer(TokenizerConfig.model_construct(**config.get("tokenizer", {}))),
        "model": _of_model(ModelConfig.model_construct(**config.get("model", {}))),
        "training": _of_training(TrainingConfig.model_construct(**config.get("training", {}))),
    }


def _of_tokenizer(config: TokenizerConfig) -> dict[str, Any]:
    """`vocab_size` has an effect for BPE only."""
    return dict(config) | ({} if config.kind == "bpe" else {"vocab_size": None})


def _of_model(config: ModelConfig) -> dict[str, Any]:
    """`n_kv_heads` and `mlp_width` have defaults that depend on other keys."""
    return dict(config) | {"n_kv_heads": config.n_kv_heads or config.n_heads, "mlp_width": config.mlp_size}


def _of_training(config: TrainingConfig) -> dict[str, Any]:
    """`cooldown` and `min_lr` have an effect in some schedules only (see optimizer.learning_rate)."""
    micro = min(config.micro_batch_size or config.batch_size, config.batch_size)
    wsd = config.schedule == "wsd"
    falls = config.schedule != "constant" and not (wsd and config.cooldown == 0)
    return dict(config) | {
        "micro_batch_size": micro,
        "cooldown": config.cooldown if wsd else None,
        "min_lr": config.min_lr if falls else None,
    }
