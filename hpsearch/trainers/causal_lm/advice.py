"""What someone who has trained many small language models would say of a space, before anything is trained."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from hpsearch.data.truncation import text_rows
from hpsearch.document.document import Keys
from hpsearch.document.ranges import Number, ends
from hpsearch.trainers.costs import Advice
from hpsearch.trainers.space_view import SpaceView
from hpsearch.training.config import TrainConfig

REPEATS, WORTHLESS = 4, 16  # epochs of repeated data: nearly as good as new; beyond, of little worth (2305.16264)
REGULARISED = 0.1  # dropout from which repeats wear out more slowly (arXiv 2305.13230)
LINEAR = 3.0  # high / low of a learning rate that needs no logarithm
LONG_WARMUP = 0.5  # share of a training
DEEPER = 4.0  # times the layers or the width, from which models learn at different paces
FEW_STEPS = 100  # before the first comparison


def advice(space: SpaceView, sets: Mapping[str, Any]) -> Iterator[Advice]:
    """The warnings about rate, warm-up, data, epochs, depth; sets: counts of the prepared data, empty if unknown."""
    yield from _rate(space)
    yield from _warmup(space)
    yield from _contexts(space, sets)
    yield from _repeats(space)
    if sets:
        yield from _steps(space, sets)


def _high(space: SpaceView, section: str, key: str) -> tuple[Any, Keys]:
    """The highest value that a key may have, and where it is."""
    leaf = max(space.leaves(section, key), key=lambda one: float(ends(one)[1]))
    return ends(leaf)[1], leaf.keys


def _low(space: SpaceView, section: str, key: str) -> tuple[Any, Keys]:
    leaf = min(space.leaves(section, key), key=lambda one: float(ends(one)[0]))
    return ends(leaf)[0], leaf.keys


def _rate(space: SpaceView) -> Iterator[Advice]:
    for leaf in space.leaves("training", "learning_rate"):
        if isinstance(leaf, Number) and not leaf.log and LINEAR <= leaf.high / leaf.low < 30:  # beyond: see lint.py
            wrong = "a learning rate on a linear scale: good rates differ by factors, and small ones are hardly drawn"
            yield Advice(leaf.keys, wrong, "add log: true")


def _warmup(space: SpaceView) -> Iterator[Advice]:
    share, keys = _high(space, "training", "warmup")
    if share >= 1:
        yield Advice(
            keys, "the warm-up is as long as the training: the rate never reaches its peak", "take 0.01 to 0.1"
        )
    elif share > LONG_WARMUP:
        wrong = f"the warm-up takes up to {share:.0%} of the training (it is a share of it, not a number of steps)"
        yield Advice(keys, wrong, "take 0.01 to 0.1")


def _contexts(space: SpaceView, sets: Mapping[str, Any]) -> Iterator[Advice]:
    """Texts that do not fill one context."""
    high, _ = _high(space, "model", "context")
    for name, data_set in space.config.data.items():
        for part in ("train", "valid") if not data_set.has_prompts else ():
            tokens = sets.get(name, {}).get(part, {}).get("tokens", math.inf)
            if tokens <= high:
                wrong = f"its {part} split has {tokens} tokens, fewer than one context of {high}"
                yield Advice(("data", name), wrong, "take a shorter model.context, or more text")


def _repeats(space: SpaceView) -> Iterator[Advice]:
    epochs, keys = _high(space, "training", "epochs")
    dropout, _ = _high(space, "model", "dropout")
    weight = max(data_set.weight for data_set in space.config.data.values())
    if epochs * weight > WORTHLESS and dropout < REGULARISED:
        wrong = (
            f"up to {epochs * weight:g} passes over the same data without dropout: the first {REPEATS} are nearly as "
            f"good as new data, those after the {WORTHLESS}th next to nothing (arXiv 2305.16264)"
        )
        yield Advice(keys, wrong, "search model.dropout as well, as in {low: 0.0, high: 0.4}, or take fewer epochs")


def _steps(space: SpaceView, sets: Mapping[str, Any]) -> Iterator[Advice]:
    """Trainings of so few steps that evaluations fall together, or that larger models have not begun to learn."""
    config: TrainConfig = space.config
    batch, batch_keys = _high(space, "training", "batch_size")
    few, epochs_keys = _low(space, "training", "epochs")
    rows = _rows(space, sets)
    steps = math.ceil(math.ceil(rows / batch) * few)
    if 0 < steps < config.evaluation.times:
        wrong = f"with batches of {batch} and {few:g} epochs a training has {steps} steps"
        remedy = (
            f"and {config.evaluation.times} evaluations: take smaller batches, more epochs, or a lower evaluation.times"
        )
        yield Advice(batch_keys if batch_keys[-1] == "batch_size" else epochs_keys, f"{wrong} {remedy}")
    yield from _depth(space, rows)


def _depth(space: SpaceView, rows: float) -> Iterator[Advice]:
    """Sizes that are searched where trials are first compared after few steps: results/evidence/short_budgets.py."""
    pruner = (space.given.get("search") or {}).get("pruner")
    if pruner == "none" or (isinstance(pruner, Mapping) and pruner.get("name") == "none"):
        return
    config: TrainConfig = space.config
    (epochs_low, _), (epochs_high, _) = _low(space, "training", "epochs"), _high(space, "training", "epochs")
    (batch_low, _), (batch_high, _) = _low(space, "training", "batch_size"), _high(space, "training", "batch_size")
    epochs, batch = math.sqrt(epochs_low * epochs_high), math.sqrt(batch_low * batch_high)
    first = 2 / config.evaluation.times * epochs * rows / batch  # successive halving compares at its second evaluation
    for key in ("n_layers", "width"):
        (low, _), (high, keys) = _low(space, "model", key), _high(space, "model", key)
        if high / low >= DEEPER and first < FEW_STEPS:
            wrong = (
                f"{low} to {high} are compared after about {first:.0f} steps, when larger models have hardly begun to "
                "learn: short trainings penalise them"
            )
            yield Advice(keys, wrong, "take more epochs, or search.pruner: none")


def _rows(space: SpaceView, sets: Mapping[str, Any]) -> float:
    """Rows of an epoch at the middle of the contexts; 0: not known."""
    (low, _), (high, _) = _low(space, "model", "context"), _high(space, "model", "context")
    context, rows = round(math.sqrt(low * high)), 0.0
    for name, data_set in space.config.data.items():
        counts = sets.get(name, {}).get("train", {})
        own = counts.get("examples", 0) if data_set.has_prompts else text_rows(counts.get("tokens", 0), context)
        rows += data_set.weight * own
    return rows
