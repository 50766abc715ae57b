"""TrainConfig: everything a training may depend on, checked and frozen.

It is what a trial samples, what MLflow logs, what is exported and what the final training reads. pydantic does the
checking: its errors carry the path of the value, which `space/experiment.py` turns into file:line:column.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import Field

from hpsearch.config.data import (
    ALIGNED,
    FORM,
    FUNCTION,
    Aligned,
    AnySet,
    ClassificationSet,
    Column,
    Files,
    Paths,
    Split,
    SplitNames,
    TextSet,
    TranslationSet,
    Truncate,
)
from hpsearch.config.model import ModelConfig, TokenizerConfig
from hpsearch.config.section import Section
from hpsearch.config.training import BleuTokenizer, EvaluationConfig, Objective, TrainingConfig

__all__ = [
    "ALIGNED",
    "FORM",
    "FUNCTION",
    "Aligned",
    "AnySet",
    "BleuTokenizer",
    "ClassificationSet",
    "Column",
    "EvaluationConfig",
    "Files",
    "ModelConfig",
    "Objective",
    "Paths",
    "Section",
    "Split",
    "SplitNames",
    "TextSet",
    "TokenizerConfig",
    "TrainConfig",
    "TrainingConfig",
    "TranslationSet",
    "Truncate",
    "digest",
]


class TrainConfig(Section):
    """One training, whole: equal configs on the same CPU give equal curves."""

    seed: int = Field(0, ge=0, lt=2**63)
    objective: Objective = Objective()
    data: dict[str, AnySet] = Field(min_length=1)
    tokenizer: TokenizerConfig = TokenizerConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    def digest(self) -> str:
        """A hash of the whole config, as it stands beside each checkpoint."""
        return digest(self.model_dump(mode="json"))

    def corpus_digest(self) -> str:
        """A hash of what the tokenised data depend on, beside the contents of the files."""
        found = self.model_dump(mode="json", include={"data", "tokenizer"})
        for data_set in found["data"].values():
            data_set.pop("weight", None)
        return digest(found)


def digest(value: Any) -> str:
    """The SHA-256 (hex) of a JSON-able value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
