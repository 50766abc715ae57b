"""The config of best.yaml, which ends at the trial's best evaluation, and the comments on its values."""

from __future__ import annotations

from typing import Any

from hpsearch.contract import Evaluation
from hpsearch.trainers.trainer import branched
from hpsearch.training.config import TrainConfig


def export_config(config: TrainConfig, evaluation: Evaluation) -> TrainConfig:
    """Returns the config with the trial's precision and the schedule that ends at the evaluation.

    That of a branch is a whole one; else the trial's own, with a `stop_at` at the evaluation.
    """
    config = branched(config, evaluation.branch)
    update: dict[str, Any] = {}
    if config.training.precision == "auto" and evaluation.precision:
        update["precision"] = evaluation.precision  # auto can differ on another machine
    if not evaluation.branch and evaluation.index < config.evaluation.times * config.training.stop_at:
        update["stop_at"] = evaluation.index / config.evaluation.times
    return config.model_copy(update={"training": config.training.model_copy(update=update)})


def comments(
    config: TrainConfig, exported: TrainConfig, *, trial: int, evaluation: Evaluation, then: str
) -> dict[Any, str]:
    """(section, key) -> comment on the exported value."""
    found: dict[Any, str] = {}
    stop_at, epochs = exported.training.stop_at, exported.training.epochs
    if stop_at < 1.0:
        found["training", "epochs"] = "the length of the schedule, not of the training: see stop_at"
        at = f"ends at evaluation {evaluation.index} of {config.evaluation.times}, the best one"
        found["training", "stop_at"] = f"{at}: {stop_at * epochs:.4g} epochs; {then}"
    elif evaluation.branch:
        found["training", "epochs"] = f"not the {config.training.epochs:.4g} of trial {trial}: {then}"
        if exported.training.warmup != config.training.warmup:
            found["training", "warmup"] = f"as many steps as {config.training.warmup:g} of {config.training.epochs:.4g}"
    if config.training.precision == "auto" != exported.training.precision:
        found["training", "precision"] = f"what auto came to in trial {trial}"
    return found
