"""TrainConfig: everything a training may depend on, checked and frozen.

It is what a trial samples, what MLflow logs, what is exported and what the final training reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from hpsearch.config import (
    Config,
    EvaluationConfig,
    ModelConfig,
    TokenizerConfig,
    TrainingConfig,
    digest,
)
from hpsearch.tasks import AnySet

__all__ = ["TrainConfig"]


class TrainConfig(Config):
    """One training of a language model: equal configs on the same CPU give equal curves."""

    data: dict[str, AnySet] = Field(min_length=1)
    tokenizer: TokenizerConfig = TokenizerConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    @classmethod
    def identity_of(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """All but where the data lie: their contents have fingerprints of their own."""
        data = {
            name: {key: value for key, value in data_set.items() if key not in ("files", "dataset")}
            for name, data_set in values["data"].items()
        }
        return {**values, "data": data}

    def corpus_digest(self) -> str:
        """A hash of what the tokenised data depend on, beside the contents of the files."""
        found = self.model_dump(mode="json", include={"data", "tokenizer"})
        for data_set in found["data"].values():
            data_set.pop("weight", None)
        return digest(found)
