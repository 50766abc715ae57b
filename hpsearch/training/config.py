"""TrainConfig: everything that a training of a language model depends on.

A trial samples it, MLflow logs it, best.yaml contains it and the final training reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from hpsearch.config import Config, Section, TokenizerConfig, digest
from hpsearch.tasks import AnySet, EvaluationConfig


class ModelConfig(Section):
    """A Llama-kind causal transformer (RMSNorm, rotary positions, SwiGLU)."""

    n_layers: int = Field(4, ge=1, le=256)
    width: int = Field(128, ge=8, le=32768)
    n_heads: int = Field(4, ge=1, le=256)
    n_kv_heads: int | None = Field(None, ge=1)  # grouped-query attention; None: as many as n_heads
    mlp_width: int | None = Field(None, ge=8)  # None: 8/3 of the width, rounded up to a multiple of 32
    context: int = Field(128, ge=8, le=1_048_576)  # tokens
    dropout: float = Field(0.0, ge=0, lt=1)
    tied_embeddings: bool = True
    rope_theta: float = Field(10_000.0, gt=0)

    @model_validator(mode="after")
    def _heads_divide(self) -> ModelConfig:
        if self.width % self.n_heads:
            raise ValueError(f"n_heads {self.n_heads} does not divide width {self.width}")
        if (self.width // self.n_heads) % 2:
            raise ValueError(f"width {self.width} / n_heads {self.n_heads} is odd: rotary positions need an even head")
        if self.n_kv_heads is not None and self.n_heads % self.n_kv_heads:
            raise ValueError(f"n_kv_heads {self.n_kv_heads} does not divide n_heads {self.n_heads}")
        return self

    @property
    def mlp_size(self) -> int:
        """The hidden width of the MLP (SwiGLU paper, arXiv 2002.05202: two thirds of 4 x width)."""
        return self.mlp_width or -(-(8 * self.width // 3) // 32) * 32


class TrainingConfig(Section):
    """How the weights are fitted: AdamW, its schedule, its batches."""

    learning_rate: float = Field(3e-3, gt=0, le=10)  # the peak
    batch_size: int = Field(32, ge=1)  # sequences (text: of `context` tokens; pairs: examples)
    micro_batch_size: int | None = Field(None, ge=1)  # sequences on the device at once; same gradients
    epochs: float = Field(4.0, gt=0, le=100_000)
    weight_decay: float = Field(0.1, ge=0)  # on matrices only
    warmup: float = Field(0.05, ge=0, le=1)  # share of the training
    schedule: Literal["wsd", "cosine", "linear", "constant"] = "wsd"
    cooldown: float = Field(0.2, ge=0, le=1)  # wsd: share of the training spent going down to min_lr
    min_lr: float = Field(0.0, ge=0, le=1)  # share of the peak at the end
    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.95, ge=0, lt=1)
    grad_clip: float = Field(1.0, ge=0)  # 0: none
    precision: Literal["auto", "bf16", "fp32"] = "auto"  # auto: bf16 where the hardware has it
    compile: bool = False
    stop_at: float = Field(1.0, gt=0, le=1)  # share of the schedule at which the training ends

    @model_validator(mode="after")
    def _phases_fit(self) -> TrainingConfig:
        if self.schedule == "wsd" and self.warmup + self.cooldown > 1:
            raise ValueError(f"warmup {self.warmup} and cooldown {self.cooldown} are more than the whole training")
        return self


class TrainConfig(Config):
    """One training of a language model: equal configs on the same CPU give equal curves."""

    data: dict[str, AnySet] = Field(min_length=1)
    tokenizer: TokenizerConfig = TokenizerConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    @classmethod
    def identity_of(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """All values except the paths of the data, whose contents have fingerprints."""
        data = {
            name: {key: value for key, value in data_set.items() if key not in ("files", "dataset")}
            for name, data_set in values["data"].items()
        }
        return {**values, "data": data}

    def corpus_digest(self) -> str:
        """A hash of the values that the tokenized data depend on, besides the contents of the files."""
        found = self.model_dump(mode="json", include={"data", "tokenizer"})
        for data_set in found["data"].values():
            data_set.pop("weight", None)
        return digest(found)
