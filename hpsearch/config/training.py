"""How a config trains, what it measures and by what it is judged."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from hpsearch.config.section import Section


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
