"""The section `evaluation` of a config: when and how a training is evaluated."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from hpsearch.config import Section
from hpsearch.metrics.translation import BleuTokenizer


class EvaluationConfig(Section):
    """When and how a training is evaluated on its validation split."""

    times: int = Field(20, ge=1, le=1000)  # evaluations, at equal fractions of the training, the last at its end
    decode_every: int = Field(1, ge=1)  # decode at every k-th evaluation, at the last, and the best one at the end
    decode_sample: int = Field(200, ge=1)  # validation pairs that are decoded, the same each time
    beam_size: int = Field(1, ge=1, le=64)  # 1: greedy
    max_new_tokens: int = Field(128, ge=1)
    bleu_tokenize: BleuTokenizer = "auto"  # as sacrebleu names them; auto: by the script of the targets
    ter: Literal["auto"] | bool = "auto"  # translation edit rate; auto: if targets are short, because it is slow

    @field_validator("ter", mode="before")
    @classmethod
    def _auto_or_switch(cls, raw: Any) -> Any:
        if raw == "auto" or isinstance(raw, bool):
            return raw
        raise ValueError(f"must be auto, true or false, not {raw!r}")
