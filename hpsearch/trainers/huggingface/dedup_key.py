"""Which configs are the same fine-tuning: values without an effect are left out, defaults are filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hpsearch.trainers.causal_lm.dedup_key import of_training
from hpsearch.trainers.huggingface.config import FineTuningConfig, PretrainedConfig

OF = {"lora": ("lora_rank", "lora_alpha", "lora_dropout", "lora_targets"), "last_layers": ("last_layers",), "full": ()}
_MODEL = {name: one.get_default() for name, one in PretrainedConfig.model_fields.items()}
_TRAINING = dict(FineTuningConfig())


def dedup_key(config: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The values of model, config and training that have an effect."""
    model = {**_MODEL, **config.get("model", {})}
    idle = {key for tuning, keys in OF.items() if tuning != model["tuning"] for key in keys}
    return {
        "model": {key: None if key in idle else value for key, value in model.items()},
        "config": dict(config.get("config", {})),
        "training": of_training({**_TRAINING, **config.get("training", {})}),
    }
