"""The section `evaluation` of a config: when and how a training is evaluated."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

from pydantic import Field, field_validator

from hpsearch.config import Section
from hpsearch.tasks.scores.translation import BleuTokenizer

OF_TRANSLATIONS = ("decode_every", "decode_sample", "beam_size", "max_new_tokens", "bleu_tokenize", "ter")


class EvaluationConfig(Section):
    """When and how a training is evaluated on its validation split."""

    times: int = Field(
        20,
        ge=1,
        le=1000,
        description="evaluations of a training, at equal fractions of it, the last at its end",
    )
    decode_every: int = Field(
        1,
        ge=1,
        description=(
            "translation: 1 decodes at every evaluation; k at every k-th and the last one, and the best one at the"
            " end of the training"
        ),
        examples=[2],
    )
    decode_sample: int = Field(
        200,
        ge=1,
        description="translation: validation pairs that are decoded, the same each time",
    )
    beam_size: int = Field(1, ge=1, le=64, description="translation: 1 decodes greedily", examples=[4])
    max_new_tokens: int = Field(
        128,
        ge=1,
        description=(
            "translation: tokens that are decoded at most; reserved in the context after a long source, up to half"
            " of `model.context`"
        ),
    )
    bleu_tokenize: BleuTokenizer = Field(
        "auto",
        description="the tokenizer of BLEU, as sacrebleu names it; `auto`: by the script of the targets",
        examples=["zh"],
    )
    ter: Literal["auto"] | bool = Field(
        "auto",
        description=(
            "translation edit rate, which is slow; `auto`: if targets have at most 15 words on average, or if it "
            "is the objective"
        ),
        examples=[True],
    )

    def of_tasks(self, tasks: Collection[str]) -> dict[str, Any]:
        """The section as JSON data without defaults that none of the tasks uses; it reads as the same section."""
        found = self.model_dump(mode="json", exclude_none=True)
        if "translation" in tasks or not tasks:
            return found
        return {
            key: value
            for key, value in found.items()
            if key not in OF_TRANSLATIONS or value != type(self).model_fields[key].default
        }

    @field_validator("ter", mode="before")
    @classmethod
    def _auto_or_switch(cls, raw: Any) -> Any:
        if raw == "auto" or isinstance(raw, bool):
            return raw
        raise ValueError(f"must be auto, true or false, not {raw!r}")
