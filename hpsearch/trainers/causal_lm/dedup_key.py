"""Which configs are the same training: values without an effect are left out, defaults are filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hpsearch.config import TokenizerConfig
from hpsearch.training.config import ModelConfig, TrainingConfig, mlp_width

Values = dict[str, Any]
# Values, not models: a resume needs the key of each trial, and a model takes six times as long.
_TOKENIZER, _MODEL, _TRAINING = dict(TokenizerConfig()), dict(ModelConfig()), dict(TrainingConfig())


def dedup_key(config: Mapping[str, Mapping[str, Any]]) -> dict[str, Values]:
    """The values of tokenizer, model and training that have an effect."""
    return {
        "tokenizer": _of_tokenizer({**_TOKENIZER, **config.get("tokenizer", {})}),
        "model": _of_model({**_MODEL, **config.get("model", {})}),
        "training": of_training({**_TRAINING, **config.get("training", {})}),
    }


def _of_tokenizer(values: Values) -> Values:
    """`vocab_size` has an effect for BPE only."""
    return values if values["kind"] == "bpe" else {**values, "vocab_size": None}


def _of_model(values: Values) -> Values:
    """`n_kv_heads` and `mlp_width` have defaults that depend on other keys."""
    mlp_size = values["mlp_width"] or mlp_width(values["width"])
    return {**values, "n_kv_heads": values["n_kv_heads"] or values["n_heads"], "mlp_width": mlp_size}


def of_training(values: Values) -> Values:
    """`cooldown` and `min_lr` have an effect in some schedules only (see optimizer.learning_rate)."""
    wsd = values["schedule"] == "wsd"
    falls = values["schedule"] != "constant" and not (wsd and values["cooldown"] == 0)
    return {
        **values,
        "micro_batch_size": min(values["micro_batch_size"] or values["batch_size"], values["batch_size"]),
        "cooldown": values["cooldown"] if wsd else None,
        "min_lr": values["min_lr"] if falls else None,
    }
