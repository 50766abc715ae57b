"""Recommended values for fine-tuning, each with its source; trial 0 has them, clipped to the ranges.

BERT's authors tune with rates of 2e-5 to 5e-5, batches of 16 or 32, 2 to 4 epochs (arXiv 1810.04805, appendix A.3), the
Adam of their pre-training (A.2), in their run_classifier.py a warm-up of a tenth, in their optimization.py a linear
decay and gradients clipped to 1. The best rate of LoRA is about ten times that of full fine-tuning, whatever the rank
(Schulman et al., LoRA Without Regret, Thinking Machines Lab, 2025), and updates belong into all layers.

A training has ten evaluations, where hpsearch's own models have twenty: with 15 validation rows for 100 that are
trained, and a third of the time for a row without its gradients, they take half an epoch of BERT's three; the pruner
still compares trials three times an epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hpsearch.trainers.huggingface.config import FROM_SCRATCH, RATES, FineTuneConfig
from hpsearch.trainers.values import Rule

BERT = "fine-tuning of BERT, arXiv 1810.04805, A.3"
LORA = "ten times the rate of full fine-tuning, LoRA Without Regret (2025)"
ADAM = "BERT, arXiv 1810.04805, A.2"
WARMUP = "run_classifier.py of BERT"
CLIP = "optimization.py of BERT"
ALPHA = "LoRA Without Regret (2025)"
RANK = "within the ranks 1 to 64 of LoRA, arXiv 2106.09685"
DECADES = 0.4  # around a rate of a rule


def rules(config: FineTuneConfig, sets: Mapping[str, Any]) -> dict[str, dict[str, Rule]]:
    """The recommended values for a config; sets: counts of the prepared data, which the rules do not use."""
    training = {
        "learning_rate": _rate(config),
        "batch_size": Rule(32, BERT, spread=0.3, decades=True),
        "epochs": Rule(3, BERT, spread=0.3, decades=True),
        "weight_decay": Rule(0.01, ADAM),
        "warmup": Rule(0.1, WARMUP),
        "beta1": Rule(0.9, ADAM),
        "beta2": Rule(0.999, ADAM),
        "grad_clip": Rule(1.0, CLIP),
    }
    model = {
        "lora_rank": Rule(16, RANK),
        "lora_alpha": Rule(32, ALPHA),
        "lora_dropout": Rule(0.0, "hpsearch's default"),
    }
    return {"training": training, "model": model if config.model.tuning == "lora" else {}}


def _rate(config: FineTuneConfig) -> Rule:
    if config.model.architecture is not None:
        return Rule(FROM_SCRATCH, "as small models of transformers are trained from scratch", spread=0.5, decades=True)
    source = LORA if config.model.tuning == "lora" else BERT
    return Rule(RATES[config.model.tuning], source, spread=DECADES, decades=True)
