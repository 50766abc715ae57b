"""TrainConfig: everything a training may depend on, checked and frozen.

It is what a trial samples, what MLflow logs, what is exported and what the final training reads.
"""

from __future__ import annotations

from pydantic import Field

from hpsearch.config import (
    EvaluationConfig,
    ModelConfig,
    Objective,
    Section,
    TokenizerConfig,
    TrainingConfig,
    digest,
)
from hpsearch.tasks import AnySet

__all__ = ["TrainConfig"]


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
