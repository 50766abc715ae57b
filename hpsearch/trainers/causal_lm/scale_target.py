"""What a larger training is to have, as `hpsearch export --for` gives it, and the model and the length that follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field, ValidationError

from hpsearch.config import Section
from hpsearch.document.document import Fault
from hpsearch.document.validation_errors import fault
from hpsearch.trainers.causal_lm.rules import epoch_of, parameters
from hpsearch.training.config import ModelConfig, TrainConfig

SLACK = 1e-6  # relative: rounding
MLP_MULTIPLE = 32


class ScaleTarget(Section):
    """What the user gives; the rest follows from the trial's config."""

    width: int | None = Field(None, ge=8, le=32768)
    n_layers: int | None = Field(None, ge=1, le=256)
    n_heads: int | None = Field(None, ge=1, le=256)
    context: int | None = Field(None, ge=8, le=1_048_576)
    tokens: float | None = Field(None, gt=0, le=1e15)
    epochs: float | None = Field(None, gt=0, le=100_000)
    batch_size: int | None = Field(None, ge=1)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> ScaleTarget:
        """Checks what the user gives; raises Fault at the key that is wrong."""
        named = {key: value for key, value in given.items() if value is not None}
        try:
            return cls.model_validate(named, strict=True)
        except ValidationError as error:
            raise fault(error, named, cls) from None


@dataclass(frozen=True)
class Extent:
    """How large a training is."""

    config: TrainConfig
    parameters: int  # of the layers' matrices
    tokens: float  # of the whole training, repeats included
    epoch_tokens: float  # of one pass over the data
    row_tokens: float  # of one sequence of a batch

    @property
    def batch_tokens(self) -> float:
        """The tokens of a batch."""
        return self.config.training.batch_size * self.row_tokens


def extent(config: TrainConfig, sets: Mapping[str, Any]) -> Extent:
    """The extent of a config on the study's data; raises Fault if their counts are not known."""
    tokens, rows = epoch_of(config, sets)
    if not tokens or not rows:
        raise Fault((), "the study does not know how many tokens its data have")
    training = config.training
    return Extent(config, parameters(config.model), tokens * training.epochs * training.stop_at, tokens, tokens / rows)


def larger(before: Extent, target: ScaleTarget, sets: Mapping[str, Any]) -> Extent:
    """The trial's config with the target's model and length, all other values as they were; raises Fault."""
    model = _model(before.config.model, target)
    training = before.config.training
    epoch_tokens = before.epoch_tokens
    epochs = target.epochs or (
        target.tokens / epoch_tokens if target.tokens is not None else training.epochs * training.stop_at
    )
    if target.epochs is not None and target.tokens is not None:
        epoch_tokens = target.tokens / target.epochs
    tokens = epochs * epoch_tokens
    if tokens < before.tokens * (1 - SLACK):
        key = "epochs" if target.tokens is None else "tokens"
        least = f"{before.tokens:,.0f}"
        raise Fault(
            (key,), f"{tokens:,.0f} tokens are fewer than those of the trial's training; allowed: {least} or more"
        )
    update = {"epochs": float(f"{epochs:.6g}"), "stop_at": 1.0}
    config = before.config.model_copy(update={"model": model, "training": training.model_copy(update=update)})
    known_tokens, rows = epoch_of(config, sets)
    return Extent(config, parameters(model), tokens, epoch_tokens, known_tokens / rows)


def _model(before: ModelConfig, target: ScaleTarget) -> ModelConfig:
    """The larger model, whose heads are as wide as before unless their number is given; raises Fault."""
    width = target.width or before.width
    n_heads = target.n_heads or _heads(before, width)
    values = before.model_dump() | {
        "width": width,
        "n_heads": n_heads,
        "n_layers": target.n_layers or before.n_layers,
        "context": target.context or before.context,
    }
    if before.n_kv_heads is not None:
        values["n_kv_heads"] = max(1, round(before.n_kv_heads * n_heads / before.n_heads))
    if before.mlp_width is not None:
        values["mlp_width"] = max(8, round(before.mlp_width * width / before.width / MLP_MULTIPLE) * MLP_MULTIPLE)
    try:
        return ModelConfig.model_validate(values)
    except ValidationError as error:
        raise fault(error, values, ModelConfig) from None


def _heads(before: ModelConfig, width: int) -> int:
    """As many heads of the same width as fit; raises Fault if they do not."""
    head = before.width // before.n_heads
    if width % head:
        near = f"{max(1, width // head) * head} or {(width // head + 1) * head}"
        raise Fault(
            ("width",), f"{width} is no multiple of the trial's head width {head}; allowed: {near}, or give n_heads"
        )
    return width // head
