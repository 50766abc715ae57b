"""The section `evaluation` of a config: when and how a training is measured on its validation split."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from hpsearch.config import Section
from hpsearch.metrics.translation import BleuTokenizer


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
