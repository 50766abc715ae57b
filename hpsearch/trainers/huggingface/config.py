"""The config of a fine-tuning: which checkpoint of transformers, what of it is trained, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from hpsearch.config import OwnNames, Section, digest
from hpsearch.tasks import AnySet, EvaluationConfig
from hpsearch.training.config import DataConfig, TrainingConfig

RATES = {"full": 2e-5, "last_layers": 2e-5, "lora": 2e-4}  # see rules.py
FROM_SCRATCH = 5e-4  # the rate of an architecture without weights
PLACES = ("pretrained", "tokenizer")  # keys of `model` that name a folder, or a name on the hub
PREPARED = ("pretrained", "architecture", "tokenizer", "prefix", "chat_template", "trust_remote_code")  # with the data


class PretrainedConfig(Section):
    """A model of transformers: a checkpoint, or an architecture without weights; and which of its weights are trained.

    `config` sets other values of the model's own config.
    """

    pretrained: str | None = Field(
        None,
        min_length=1,
        description=(
            "the folder of a checkpoint (config.json, model.safetensors, a tokenizer), or its name on the hub of "
            "Hugging Face"
        ),
        examples=["./my_bert"],
    )
    architecture: str | None = Field(
        None,
        min_length=1,
        description="in place of `pretrained`: a model type of transformers, trained from scratch; needs `tokenizer`",
        examples=["gpt2"],
    )
    tokenizer: str | None = Field(
        None,
        min_length=1,
        description="the folder or name of the tokenizer; if left out, the checkpoint's own",
        examples=["./my_tokenizer"],
    )
    tuning: Literal["full", "lora", "last_layers"] = Field(
        "full",
        description=(
            "what is trained: all weights, low-rank updates (LoRA, arXiv 2106.09685), or the last layers with the head"
        ),
    )
    last_layers: int = Field(2, ge=1, description="`tuning: last_layers`: the number of layers that are trained")
    lora_rank: int = Field(16, ge=1, le=4096, description="`tuning: lora`: the rank of the updates")
    lora_alpha: float = Field(
        32.0, gt=0, description="`tuning: lora`: updates are multiplied by `lora_alpha / lora_rank`"
    )
    lora_dropout: float = Field(0.0, ge=0, lt=1, description="`tuning: lora`: dropout before the updates")
    lora_targets: str = Field(
        "all-linear",
        description=(
            "`tuning: lora`: the layers that are updated: ends of their names with commas between (`query,value`), or "
            "`all-linear`, which is all but the output layer"
        ),
        examples=["query,value"],
    )
    context: int = Field(
        256,
        ge=8,
        le=1_048_576,
        description="tokens; longer running text is cut into sequences, longer examples lose tokens, with a warning",
    )
    prefix: Annotated[str, StringConstraints(strip_whitespace=False)] = Field(
        "",
        description="text before each source or text, as T5 has it: `'translate English to German: '`",
        examples=["summarize: "],
    )
    chat_template: bool = Field(
        False, description="decoders: prompts have the form of the tokenizer's chat template", examples=[True]
    )
    gradient_checkpointing: bool = Field(
        False, description="less memory for more time: activations are computed again", examples=[True]
    )
    trust_remote_code: bool = Field(
        False, description="runs code that comes with the checkpoint: only for a checkpoint that you trust"
    )

    @model_validator(mode="after")
    def _one_origin(self) -> PretrainedConfig:
        if (self.pretrained is None) == (self.architecture is None):
            raise ValueError("give either pretrained (a checkpoint) or architecture (a model without weights)")
        if self.architecture is not None and self.tokenizer is None:
            raise ValueError("an architecture has no tokenizer of its own: give tokenizer, a folder or a name")
        if self.architecture is not None and self.tuning != "full":
            raise ValueError("an architecture has no weights to keep: tuning must be full")
        return self


class FineTuningConfig(TrainingConfig):
    """How the weights are fitted: AdamW, its schedule, its batches. The defaults are those of BERT's fine-tuning."""

    learning_rate: float | None = Field(  # type: ignore[assignment]  # resolved before it is used
        None,
        gt=0,
        le=10,
        description="the peak of the schedule; if left out 2e-5, of LoRA 2e-4, of an architecture without weights 5e-4",
        examples=[2e-5],
    )
    batch_size: int = Field(32, ge=1, description=TrainingConfig.model_fields["batch_size"].description)
    epochs: float = Field(3.0, gt=0, le=100_000, description=TrainingConfig.model_fields["epochs"].description)
    weight_decay: float = Field(0.01, ge=0, description=TrainingConfig.model_fields["weight_decay"].description)
    warmup: float = Field(0.1, ge=0, le=1, description=TrainingConfig.model_fields["warmup"].description)
    schedule: Literal["wsd", "cosine", "linear", "constant"] = Field(
        "linear", description=TrainingConfig.model_fields["schedule"].description
    )
    beta2: float = Field(0.999, ge=0, lt=1, description=TrainingConfig.model_fields["beta2"].description)

    @model_validator(mode="after")
    def _no_graphs(self) -> FineTuningConfig:
        if self.cuda_graph:
            raise ValueError("cuda_graph is for hpsearch's own models: leave it out")
        return self


class FineTuningEvaluation(EvaluationConfig):
    """When and how a training is evaluated on its validation split."""

    times: int = Field(10, ge=1, le=1000, description=EvaluationConfig.model_fields["times"].description)  # rules.py


class FineTuneConfig(DataConfig):
    """One fine-tuning: equal configs on the same CPU give equal curves."""

    data: dict[str, AnySet] = Field(min_length=1)
    model: PretrainedConfig
    config: OwnNames = Field(
        OwnNames(),
        description=(
            "values of the model's own config in transformers, each a value or a range: `hidden_dropout_prob`, or "
            "of an architecture `n_layer`, `n_embd`"
        ),
    )
    training: FineTuningConfig = FineTuningConfig()
    evaluation: FineTuningEvaluation = FineTuningEvaluation()

    @classmethod
    def identity_of(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """All values except the places of data, checkpoint and tokenizer, whose contents have fingerprints.

        Checkpoints that are choices keep their names: these are values of a parameter.
        """
        found = super().identity_of(values)
        given = found["model"]
        model = {key: value for key, value in given.items() if key not in PLACES or isinstance(value, Mapping)}
        return {**found, "model": model}

    def digest(self) -> str:
        """The hash of what the training depends on, which is stored with each checkpoint: one that moved resumes."""
        return digest(self.identity_of(self.model_dump(mode="json")))

    def corpus_digest(self) -> str:
        """A hash of the values that the tokenized data depend on, besides the contents of the files."""
        found = self.model_dump(mode="json", include={"data"})
        for data_set in found["data"].values():
            data_set.pop("weight", None)
        return digest([found, self.model.model_dump(mode="json", include=set(PREPARED))])

    def resolved(self) -> FineTuneConfig:
        """A copy with the learning rate that is used where none is given."""
        if self.training.learning_rate is not None:
            return self
        rate = RATES[self.model.tuning] if self.model.architecture is None else FROM_SCRATCH
        return self.model_copy(update={"training": self.training.model_copy(update={"learning_rate": rate})})
