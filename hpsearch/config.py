"""TrainConfig: everything a training may depend on, checked and frozen.

It is what a trial samples, what MLflow logs, what is exported and what the final training reads. pydantic does the
checking: its errors carry the path of the value, which `experiment.py` turns into file:line:column.
"""

from __future__ import annotations

import codecs
import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    field_validator,
    model_serializer,
    model_validator,
)


class Section(BaseModel):
    """A frozen part of a config that refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, str_strip_whitespace=True)


# ---------------------------------------------------------------------------------------------------------------- data

Paths = str | Annotated[list[str], Field(min_length=1)]
Truncate = Literal["left", "right", "middle"]  # what a text longer than the context loses
ALIGNED = "files: {train: {source: train.de, target: train.en}}"  # how two files of aligned lines are written
FUNCTION = 'dataset: "python:module:function"'  # how a data function is written


class Aligned(Section):
    """Two text files in which line i of the one translates line i of the other (or lists of as many of each)."""

    source: Paths
    target: Paths


class Files(Section):
    """One or more files for each split: paths, globs or folders."""

    train: Paths | Aligned
    valid: Paths | Aligned | None = None
    test: Paths | Aligned | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_one_split(cls, raw: Any) -> Any:
        """`files: train.csv` is the training split; the two sides of a pair belong to a split."""
        if isinstance(raw, dict) and any(str(key).startswith(("source", "target")) for key in raw):
            raise ValueError(f"source and target belong to a split: {ALIGNED}")
        return {"train": raw} if isinstance(raw, (str, list)) else raw


class SplitNames(Section):
    """The names that a data set of the `datasets` library has for its splits."""

    train: str
    valid: str | None = None
    test: str | None = None


class Split(Section):
    """Shares of the training examples set apart where no file is given, and the seed that draws them."""

    valid: float = Field(0.1, gt=0, lt=1)
    test: float = Field(0.1, ge=0, lt=1)
    seed: int = 0


class DataSet(Section):
    """Where the examples of one named set come from: `files`, or `dataset` ("python:package.module:function",
    a file, a local folder, or a hub name of the `datasets` library).
    """

    files: Files | None = None
    dataset: str | None = None
    split: Split = Split()
    weight: float = Field(1.0, gt=0, le=1000)  # passes over the set in an epoch; counts likewise in overall metrics
    normalise: Literal["nfc"] | None = None  # of texts and labels, as they are read

    # How the files are read; what is left out is seen from the files themselves.
    encoding: str | None = None  # of text files; None: UTF-8, or what a byte order mark says
    columns: list[str] | None = Field(None, min_length=1)  # names for csv and tsv files without a header
    delimiter: Annotated[str, StringConstraints(strip_whitespace=False)] | None = None  # None: "," of csv, tab of tsv
    quoting: Literal["auto", "csv", "none"] = "auto"  # auto: csv yes, tsv where the whole file is quoted
    skip_bad_rows: bool = False
    config: str | None = None  # of a data set of the `datasets` library that has several
    splits: SplitNames | None = None

    @model_validator(mode="before")
    @classmethod
    def _source_names_an_origin(cls, raw: Any) -> Any:
        """`source: "python:..."` is another spelling of `dataset` (translation's `source` may also be a column)."""
        if isinstance(raw, dict) and "source" in raw and "dataset" not in raw:
            source = raw["source"]
            if raw.get("task") != "translation" or str(source).startswith("python:"):
                return {**{key: value for key, value in raw.items() if key != "source"}, "dataset": source}
        return raw

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, name: str | None) -> str | None:
        try:
            if name is None or codecs.lookup(name)._is_text_encoding:
                return name
        except (LookupError, ValueError):
            pass
        raise ValueError(f"{name!r} is no encoding that Python knows (utf-8, utf-16, cp1252, latin-1, gb18030, ...)")

    @field_validator("delimiter")
    @classmethod
    def _one_character(cls, text: str | None) -> str | None:
        text = {"\\t": "\t", "tab": "\t"}.get(text or "", text)
        if text is not None and (len(text) != 1 or text in '"\r\n\0'):
            raise ValueError(f"must be one character, as ';' or \"\\t\", not {text!r}")
        return text

    @model_validator(mode="after")
    def _one_origin(self) -> DataSet:
        if (self.files is None) == (self.dataset is None):
            aligned = f"; two files of aligned lines are {ALIGNED}" if isinstance(self, TranslationSet) else ""
            raise ValueError(f"give either files or dataset (one of the two){aligned}")
        if self.dataset is None and (self.config is not None or self.splits is not None):
            raise ValueError("config and splits are those of a dataset: of the datasets library, not of files")
        if (self.dataset or "").startswith("python:"):
            fields = type(self).model_fields
            told = [key for key in FORM if key in fields and getattr(self, key) != fields[key].default]
            if told:
                raise ValueError(f"{told[0]} is about files; a data function returns its examples as they are meant")
        return self

    @model_serializer(mode="wrap")
    def _without_defaults_of_form(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves out what is not set of `LATER`: a study is what it was before there were these keys."""
        fields = type(self).model_fields
        return {key: value for key, value in handler(self).items() if key not in LATER or value != fields[key].default}


FORM = ("encoding", "columns", "delimiter", "quoting", "skip_bad_rows", "config", "splits", "lines")
"""The keys about the form of files: which examples a set has depends on them, by default on the files alone."""
LATER = (*FORM, "normalise", "weight", "truncate", "positive")  # keys of sets that the first studies had not

Column = str | Annotated[list[str], Field(min_length=1)]  # a list: their texts, joined by line ends


class TextSet(DataSet):
    """Running text, trained by next-token prediction; judged by perplexity and bits per byte."""

    task: Literal["text"]
    text: Column = "text"  # where the file has columns
    lines: bool = False  # of .txt files: each line is an example


class TranslationSet(DataSet):
    """Pairs, trained as source -> target; judged by BLEU and chrF of the decoded target."""

    task: Literal["translation"]
    source: str = "source"
    target: str = "target"
    truncate: Truncate = "right"


class ClassificationSet(DataSet):
    """Labelled text, trained as text -> label; judged by F1 and accuracy from the score of every label."""

    task: Literal["classification"]
    text: Column = "text"
    label: str = "label"
    truncate: Truncate = "right"
    positive: str | int | bool | None = None  # the label that f1, precision and recall are of

    @field_validator("positive", mode="before")
    @classmethod
    def _one_label(cls, raw: Any) -> Any:
        if raw is None or isinstance(raw, str | int):
            return raw
        raise ValueError("must be one of the labels (text, a whole number, true or false)")


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


BleuTokenizer = Literal[
    "auto", "13a", "intl", "zh", "char", "none", "ja-mecab", "ko-mecab", "flores101", "flores200", "spBLEU-1K"
]


class EvaluationConfig(Section):
    """When and how a training is measured on its validation split."""

    times: int = Field(20, ge=1, le=1000)  # evaluations, at equal fractions of the training, the last at its end
    decode_every: int = Field(1, ge=1)  # decode at every k-th and at the last, and at the end the best
    decode_sample: int = Field(200, ge=1)  # validation pairs decoded; the same ones each time
    beam_size: int = Field(1, ge=1, le=64)  # 1: greedy
    max_new_tokens: int = Field(128, ge=1)
    bleu_tokenize: BleuTokenizer = "auto"  # as sacrebleu names them; auto: by the script of the targets
    ter: Literal["auto"] | bool = "auto"  # translation edit rate; auto: where targets are short, for it takes its time

    @field_validator("ter", mode="before")
    @classmethod
    def _auto_or_switch(cls, raw: Any) -> Any:
        if raw == "auto" or isinstance(raw, bool):
            return raw
        raise ValueError(f"must be auto, true or false, not {raw!r}")


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
            data_set.pop("weight", None)
        return digest(found)


def digest(value: Any) -> str:
    """The SHA-256 (hex) of a JSON-able value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
