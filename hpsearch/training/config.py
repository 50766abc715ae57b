"""TrainConfig: everything that a training of a language model depends on.

A trial samples it, MLflow logs it, best.yaml contains it and the final training reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Protocol, Self

from pydantic import Field, model_validator

from hpsearch.config import Config, Objective, Section, TokenizerConfig, digest
from hpsearch.tasks import AnySet, EvaluationConfig, TaskSet


class ModelConfig(Section):
    """A Llama-kind causal transformer (RMSNorm, rotary positions, SwiGLU)."""

    n_layers: int = Field(4, ge=1, le=256, description="transformer blocks")
    width: int = Field(
        128,
        ge=8,
        le=32768,
        description="the size of the hidden states; `n_heads` must divide it, into heads of an even size",
    )
    n_heads: int = Field(4, ge=1, le=256, description="attention heads")
    n_kv_heads: int | None = Field(
        None,
        ge=1,
        description=(
            "heads of keys and values, which must divide `n_heads`; fewer: grouped-query attention. If left out, "
            "as many as heads"
        ),
        examples=[2],
    )
    mlp_width: int | None = Field(
        None,
        ge=8,
        description="the hidden width of the MLP; if left out 8/3 of the width, rounded up to a multiple of 32",
        examples=[512],
    )
    context: int = Field(
        128,
        ge=8,
        le=1_048_576,
        description=(
            "tokens; longer running text is cut into sequences. Longer examples lose tokens, with a warning (see "
            "Examples longer than the context)"
        ),
    )
    dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="the share of the activations that training sets to 0; helps where data repeat",
    )
    tied_embeddings: bool = Field(True, description="input and output embeddings share their weights", examples=[False])
    rope_theta: float = Field(10_000.0, gt=0, description="the base of the rotary positions")

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
        """The hidden width of the MLP."""
        return self.mlp_width or mlp_width(self.width)


def mlp_width(width: int) -> int:
    """The default hidden width of the MLP (SwiGLU paper, arXiv 2002.05202: two thirds of 4 x width)."""
    return -(-(8 * width // 3) // 32) * 32


class TrainingConfig(Section):
    """How the weights are fitted: AdamW, its schedule, its batches."""

    learning_rate: float = Field(3e-3, gt=0, le=10, description="the peak of the schedule")
    batch_size: int = Field(
        32,
        ge=1,
        description="sequences (text: of `context` tokens; pairs: examples); the last batch may be smaller",
    )
    micro_batch_size: int | None = Field(
        None,
        ge=1,
        description=(
            "sequences on the device at once; the gradients are the same. If left out, `batch_size`. Halved "
            "automatically if memory runs out"
        ),
        examples=[16],
    )
    epochs: float = Field(
        4.0,
        gt=0,
        le=100_000,
        description=(
            "may be a fraction. An epoch reads every example once, and every token of a text, at any `batch_size` "
            "and `context`"
        ),
    )
    weight_decay: float = Field(0.1, ge=0, description="AdamW's, on matrices only")
    warmup: float = Field(0.05, ge=0, le=1, description="the share of the training in which the `learning_rate` rises")
    schedule: Literal["wsd", "cosine", "linear", "constant"] = Field(
        "wsd",
        description="`wsd`: warm-up, stable phase, decay (cool-down); or `cosine`, `linear`, `constant`",
    )
    cooldown: float = Field(
        0.2,
        ge=0,
        le=1,
        description=(
            "`schedule: wsd`: the share of the training, at its end, in which the learning rate falls to `min_lr`"
        ),
    )
    min_lr: float = Field(
        0.0,
        ge=0,
        le=1,
        description="the learning rate at the end, as a share of its peak (`learning_rate`)",
        examples=[0.1],
    )
    beta1: float = Field(0.9, ge=0, lt=1, description="AdamW's decay of the mean of the gradients")
    beta2: float = Field(0.95, ge=0, lt=1, description="AdamW's decay of the mean of their squares")
    grad_clip: float = Field(1.0, ge=0, description="the largest norm of the gradients; 0: no clipping")
    precision: Literal["auto", "bf16", "fp32"] = Field(
        "auto",
        description=(
            "`auto`: bf16 autocast if the hardware multiplies bf16 (CUDA; CPUs with AVX512-BF16 or AMX), else "
            "`fp32`. Every evaluation, MLflow's tag `precision` and best.yaml record it; a resumed trial keeps it"
        ),
    )
    compile: bool = Field(False, description="`torch.compile`", examples=[True])
    cuda_graph: bool = Field(
        False,
        description=(
            "on an NVIDIA GPU, whole steps over running text as CUDA graphs, which spares the processor most of their "
            "launch (docs/design.md); pairs, and batches in micro-batches, as ever. Not with `compile`. Opt in: its "
            "prototype was measured on a GPU (12 times the steps of a small model), the option has not run on one yet"
        ),
        examples=[True],
    )
    stop_at: float = Field(
        1.0,
        gt=0,
        le=1,
        description=(
            "the share of the schedule at which the training ends; `export` sets it to the best evaluation, where "
            "that is not the end of a cool-down"
        ),
    )

    @model_validator(mode="after")
    def _phases_fit(self) -> TrainingConfig:
        if self.schedule == "wsd" and self.warmup + self.cooldown > 1:
            raise ValueError(f"warmup {self.warmup} and cooldown {self.cooldown} are more than the whole training")
        return self

    @model_validator(mode="after")
    def _compiled_or_graphed(self) -> TrainingConfig:
        if self.compile and self.cuda_graph:
            raise ValueError("compile and cuda_graph exclude each other: set one of them to false")
        return self


class FitConfig(Protocol):
    """What the loop and the evaluator read of a config, whatever the model."""

    trains_on_valid: ClassVar[bool]

    @property
    def seed(self) -> int:
        """The seed of the weights, the batches and dropout."""

    @property
    def objective(self) -> Objective:
        """The metric whose best value decides which weights are kept."""

    @property
    def data(self) -> Mapping[str, TaskSet]:
        """The data sets by name."""

    @property
    def training(self) -> TrainingConfig:
        """How the weights are fitted."""

    @property
    def evaluation(self) -> EvaluationConfig:
        """When and how the training is evaluated."""

    def digest(self) -> str:
        """The hash of the whole config."""

    def model_copy(self, *, update: Mapping[str, Any] | None = None) -> Self:
        """A copy with other sections."""


class DataConfig(Config):
    """A config with data sets."""

    @classmethod
    def identity_of(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """All values except the paths of the data, whose contents have fingerprints."""
        data = {
            name: {key: value for key, value in data_set.items() if key not in ("files", "dataset")}
            for name, data_set in values["data"].items()
        }
        return {**values, "data": data}


class TrainConfig(DataConfig):
    """One training of a language model: equal configs on the same CPU give equal curves."""

    data: dict[str, AnySet] = Field(min_length=1)
    tokenizer: TokenizerConfig = TokenizerConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    def corpus_digest(self) -> str:
        """A hash of the values that the tokenized data depend on, besides the contents of the files."""
        found = self.model_dump(mode="json", include={"data", "tokenizer"})
        for data_set in found["data"].values():
            data_set.pop("weight", None)
        return digest(found)


class WholeTrainConfig(TrainConfig):
    """A training on the train and the valid split together: nothing is validated, the last weights are kept."""

    trains_on_valid: ClassVar[bool] = True
    trained_on: Literal["train+valid"] = "train+valid"  # in the digest, so that no checkpoint is taken for another's

    @classmethod
    def of(cls, config: TrainConfig) -> WholeTrainConfig:
        """The same training on both splits."""
        return cls.model_validate({name: getattr(config, name) for name in TrainConfig.model_fields})

    def held_out(self) -> TrainConfig:
        """The inverse of `of`: the training that holds the validation split out."""
        return TrainConfig.model_validate({name: getattr(self, name) for name in TrainConfig.model_fields})
