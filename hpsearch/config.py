"""TrainConfig: everything a training may depend on, checked and frozen.

It is what a trial samples, what MLflow logs, what is exported and what the final training reads. pydantic does the
checking: its errors carry the path of the value, which `experiment.py` turns into file:line:column.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Section(BaseModel):
    """A frozen part of a config that refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, str_strip_whitespace=True)


# ---------------------------------------------------------------------------------------------------------------- data

Paths = str | list[str]


class Files(Section):
    """One or more files for each split (txt, jsonl, csv, tsv, parquet; each may be .gz)."""

    train: Paths
    valid: Paths | None = None
    test: Paths | None = None


class Split(Section):
    """Shares of the training examples set apart where no file is given, and the seed that draws them."""

    valid: float = Field(0.1, gt=0, lt=1)
    test: float = Field(0.1, ge=0, lt=1)
    seed: int = 0


class DataSet(Section):
    """Where the examples of one named set come from: `files`, or `dataset` ("python:package.module:function",
    a local folder of the `datasets` library, or a hub name).
    """

    files: Files | None = None
    dataset: str | None = None
    split: Split = Split()
    weight: float = Field(1.0, gt=0, le=1000)  # passes over the set in an epoch; counts likewise in overall metrics

    @model_validator(mode="before")
    @classmethod
    def _source_names_an_origin(cls, raw: Any) -> Any:
        """`source: "python:..."` is another spelling of `dataset` (translation's `source` may also be a column)."""
        if isinstance(raw, dict) and "source" in raw and "dataset" not in raw:
            source = raw["source"]
            if raw.get("task") != "translation" or str(source).startswith("python:"):
                return {**{key: value for key, value in raw.items() if key != "source"}, "dataset": source}
        return raw

    @model_validator(mode="after")
    def _one_origin(self) -> DataSet:
        if (self.files is None) == (self.dataset is None):
            raise ValueError("give either files or dataset (one of the two)")
        return self


class TextSet(DataSet):
    """Running text, trained by next-token prediction; judged by perplexity and bits per byte."""

    task: Literal["text"]
    text: str = "text"  # column, where the file has columns


class TranslationSet(DataSet):
    """Pairs, trained as source -> target; judged by BLEU and chrF of the decoded target."""

    task: Literal["translation"]
    source: str = "source"
    target: str = "target"


class ClassificationSet(DataSet):
    """Labelled text, trained as text -> label; judged by F1 and accuracy from the score of every label."""

    task: Literal["classification"]
    text: str = "text"
    label: str = "label"


AnySet = Annotated[TextSet | TranslationSet | ClassificationSet, Field(discriminator="task")]


class TokenizerConfig(Section):
    """Byte-level BPE learnt from the training split alone, plain bytes, or a tokenizer.json of one's own."""

    kind: Literal["bpe", "bytes", "file"] = "bpe"
    vocab_size: int = Field(2000, ge=257, le=1_000_000)  # bpe only: bytes, merges and eos; task tokens come on top
    file: str | None = None

    @model_validator(mode="after")
    def _file_with_its_kind(self) -> TokenizerConfig:
        if (self.kind == "file") != (self.file is not None):
            raise ValueError("kind: file needs file: PATH, and only that kind")
        return self


# --------------------------------------------------------------------------------------------------- model and training


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


class EvaluationConfig(Section):
    """When and how a training is measured on its validation split."""

    times: int = Field(20, ge=1, le=1000)  # evaluations, at equal fractions of the training, the last at its end
    decode_every: int = Field(1, ge=1)  # decode at every k-th and at the last, and at the end the best
    decode_sample: int = Field(200, ge=1)  # validation pairs decoded; the same ones each time
    beam_size: int = Field(1, ge=1, le=64)  # 1: greedy
    max_new_tokens: int = Field(128, ge=1)


class Objective(Section):
    """The validation metric that ranks evaluations and trials."""

    metric: str = "val/loss"
    direction: Literal["minimize", "maximize"] = "minimize"

    def better(self, a: float, b: float) -> bool:
        """Whether the value a beats the value b."""
        return a < b if self.direction == "minimize" else a > b


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
            del data_set["weight"]
        return digest(found)


def digest(value: Any) -> str:
    """The SHA-256 (hex) of a JSON-able value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
