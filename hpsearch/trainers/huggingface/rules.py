"""Recommended values for fine-tuning, each with its source; trial 0 has them, clipped to the ranges.

BERT's authors tune with rates of 2e-5 to 5e-5, batches of 16 or 32, 2 to 4 epochs, weight decay 0.01, a warm-up of a
tenth and a linear decay (arXiv 1810.04805, appendix A). The best rate of LoRA is about ten times that of full
fine-tuning, whatever the rank (Schulman et al., LoRA Without Regret, Thinking Machines Lab, 2025), and updates belong
into all layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hpsearch.trainers.huggingface.config import FROM_SCRATCH, RATES, FineTuneConfig
from hpsearch.trainers.trainer import Rule

BERT = "fine-tuning of BERT, arXiv 1810.04805, A.3"
LORA = "ten times the rate of full fine-tuning, LoRA Without Regret (2025)"
WEIGHTS = "LoRA, arXiv 2106.09685"
DECADES = 0.4  # around a rate of a rule


def rules(config: FineTuneConfig, sets: Mapping[str, Any]) -> dict[str, dict[str, Rule]]:
    """The recommended values for a config; sets: counts of the prepared data, which the rules do not use."""
    training = {
        "learning_rate": _rate(config),
        "batch_size": Rule(32, BERT, spread=0.3, decades=True),
        "epochs": Rule(3, BERT, spread=0.3, decades=True),
        "weight_decay": Rule(0.01, BERT),
        "warmup": Rule(0.1, BERT),
        "beta1": Rule(0.9, BERT),
        "beta2": Rule(0.999, BERT),
        "grad_clip": Rule(1.0, BERT),
    }
    model = {"lora_rank": Rule(16, WEIGHTS), "lora_alpha": Rule(32, LORA), "lora_dropout": Rule(0.0, LORA)}
    return {"training": training, "model": model if config.model.tuning == "lora" else {}}


def _rate(config: FineTuneConfig) -> Rule:
    if config.model.architecture is not None:
        return Rule(FROM_SCRATCH, "as small models of transformers are trained from scratch", spread=0.5, decades=True)
    source = LORA if config.model.tuning == "lora" else BERT
    return Rule(RATES[config.model.tuning], source, spread=DECADES, decades=True)
