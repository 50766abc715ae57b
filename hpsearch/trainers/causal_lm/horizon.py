"""A shorter training that says most about a longer one: its batch size and learning rate, shifted to its horizon.

The best batch size and learning rate of a training grow with its tokens D, as D^0.571 and D^0.307 (Step Law,
arXiv 2503.04715). So a training of D' tokens stands for one of D tokens if it has

    batch' = batch (D'/D)^0.571, a whole number of at least 1
    rate'  = rate (D'/D)^(0.307 s), times the square root of what rounding made of the batch (arXiv 2205.10330)

Step Law's rate holds for models of 20M parameters and more (s = 1). The best rate of models below 2M hardly depends on
the tokens (s = 0): benchmarks/horizon_grid.py. In between s rises evenly in the logarithm, as in rules.py.

Where the weight decay is searched, it keeps the time scale of AdamW as a share of the training,
tau = batch / (rate * weight_decay * D) (arXiv 2405.13698). Else it is the same at each horizon, as in the trainings
that the exponents are of. The shorter training has fewer evaluations, at least four: they take time.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from hpsearch.trainers.causal_lm.rules import parameters, share_of_law
from hpsearch.training.config import TrainConfig

RATE, BATCH = 0.307, 0.571  # exponents of the tokens
FEWEST_EVALUATIONS = 4


def shortened(config: TrainConfig, horizon: float, searched: Collection[tuple[str, str]]) -> dict[str, dict[str, Any]]:
    """The values of a training of `horizon` of the length (below 1) that the config's own does not have."""
    training = config.training
    wanted = training.batch_size * horizon**BATCH
    batch_size = max(1, round(wanted))
    exponent = RATE * share_of_law(parameters(config.model))
    rate = training.learning_rate * horizon**exponent * (batch_size / wanted) ** 0.5
    found: dict[str, Any] = {
        "epochs": training.epochs * horizon,
        "batch_size": batch_size,
        "learning_rate": rate,
    }
    if ("training", "weight_decay") in searched:
        scale = batch_size / training.batch_size / (rate / training.learning_rate) / horizon
        found["weight_decay"] = training.weight_decay * scale
    if training.micro_batch_size is not None:
        found["micro_batch_size"] = min(training.micro_batch_size, batch_size)
    times = config.evaluation.times
    return {"training": found, "evaluation": {"times": min(times, max(FEWEST_EVALUATIONS, round(times * horizon)))}}
