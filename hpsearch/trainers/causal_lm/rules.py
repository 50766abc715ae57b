"""Recommended values for language models, from the size of the model and of the data.

Step Law (arXiv 2503.04715) was fitted on models of 60M to 1B parameters (without embeddings) and 2 to 100 billion
tokens: learning rate 1.79 N^-0.713 D^0.307, batch 0.58 D^0.571 tokens. On independent runs the exponents in D came to
0.262 and 0.574: they scale its values at 10 billion tokens. Its exponent in N does not hold above 100M parameters (the
rate is 1.2 to 2.9 times too low at 368M to 2.9B), and below 20M the rate is 3 to 6 times too high: from 20M down to 2M
parameters it goes over into 3e-3, evenly in the logarithm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from hpsearch.trainers.values import Rule
from hpsearch.training.config import ModelConfig, TrainConfig

STEP_LAW = "Step Law, arXiv 2503.04715"
TOKENS = 1e10  # at which Step Law's own values are taken
SMALL, SMALLEST, SMALL_RATE = 20e6, 2e6, 3e-3  # parameters between which the rate goes over into SMALL_RATE
LARGE = 100e6  # parameters above which Step Law's exponent in N does not hold
DECADES = 0.5  # around a rate or a batch of a rule
USUAL = "usual for language models, arXiv 2005.14165"


def rules(config: TrainConfig, sets: Mapping[str, Any]) -> dict[str, dict[str, Rule]]:
    """The recommended values for a config, whose epochs and model size are given; sets: counts by set and split."""
    training = {
        "weight_decay": Rule(0.1, USUAL),
        "warmup": Rule(0.05, "hpsearch's default"),
        "cooldown": Rule(0.2, "arXiv 2405.18392"),
        "beta1": Rule(0.9, USUAL),
        "beta2": Rule(0.95, USUAL),
        "grad_clip": Rule(1.0, USUAL),
    }
    tokens, rows = epoch_of(config, sets)
    if tokens and rows:
        seen = tokens * config.training.epochs
        training["learning_rate"] = learning_rate(parameters(config.model), seen)
        training["batch_size"] = Rule(batch_tokens(seen) * rows / tokens, STEP_LAW, spread=DECADES, decades=True)
    return {"training": training, "model": {"dropout": dropout(config.training.epochs)}}


def learning_rate(parameters: int, tokens: float) -> Rule:
    """The peak rate for a model without its embeddings, and the tokens of its whole training."""
    by_law = 1.79 * math.pow(parameters, -0.713) * math.pow(TOKENS, 0.307) * math.pow(tokens / TOKENS, 0.262)
    share = share_of_law(parameters)
    if share == 0:
        return Rule(SMALL_RATE, "as small models have it", spread=DECADES, decades=True)
    value = math.exp(share * math.log(by_law) + (1 - share) * math.log(SMALL_RATE))
    if share < 1:
        return Rule(value, f"between 3e-3 of small models and {STEP_LAW}", spread=DECADES, decades=True)
    doubt = ""
    if parameters > LARGE:
        doubt = (
            f"Step Law's exponent in N does not hold for {parameters / 1e6:.0f}M parameters: the rate may be too low"
        )
    return Rule(value, STEP_LAW, spread=DECADES, decades=True, doubt=doubt)


def share_of_law(parameters: float) -> float:
    """How far Step Law's rate counts for a model, beside that of small models, which does not depend on the tokens."""
    share = (math.log(parameters) - math.log(SMALLEST)) / (math.log(SMALL) - math.log(SMALLEST))
    return min(1.0, max(0.0, share))


def batch_tokens(tokens: float) -> float:
    """The tokens of a batch, for the tokens of the whole training."""
    return 0.58 * math.pow(TOKENS, 0.571) * math.pow(tokens / TOKENS, 0.574)


def dropout(epochs: float) -> Rule:
    """0 up to one epoch, 0.1 at four, 0.2 from 16 on, evenly in the logarithm."""
    value = min(0.2, max(0.0, 0.05 * math.log2(epochs)))
    return Rule(value, f"for {epochs:.3g} epochs, arXiv 2305.13230", spread=0.1)


def parameters(model: ModelConfig) -> int:
    """The number of weights in the matrices of the layers."""
    narrow = model.width // model.n_heads * (model.n_kv_heads or model.n_heads)
    attention = 2 * model.width * (model.width + narrow)
    return model.n_layers * (attention + 3 * model.width * model.mlp_size)


def epoch_of(config: TrainConfig, sets: Mapping[str, Any]) -> tuple[float, float]:
    """The tokens and the rows of an epoch over all sets, as far as their counts are known."""
    tokens = rows = 0.0
    for name, data_set in config.data.items():
        counts = sets.get(name, {}).get("train", {})
        found, examples = counts.get("tokens", 0), counts.get("examples", 0)
        each = config.model.context
        if data_set.has_prompts and examples:
            each = min(each, found / examples)
        tokens, rows = tokens + data_set.weight * found, rows + data_set.weight * found / max(1, each)
    return tokens, rows
