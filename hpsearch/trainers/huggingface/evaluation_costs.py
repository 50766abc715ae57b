"""Evaluations that take longer than the training itself, by counts: before anything is trained."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from hpsearch.trainers.causal_lm.data_checks import Range
from hpsearch.trainers.huggingface.config import FineTuneConfig
from hpsearch.trainers.space_view import SpaceView

FORWARD = 1 / 3  # of the time of a row that is trained: forward without backward
DEARER = 1.0  # times the training that all evaluations may take without a word
WANTED = 0.5  # times the training that they take with the number that is advised


def doubts(space: SpaceView, sets: Mapping[str, Any]) -> Iterator[str]:
    """Yields a warning where the validation rows of all evaluations cost more than the rows that are trained."""
    config: FineTuneConfig = space.config
    epochs = Range.of(space, "training", "epochs")
    middle = math.sqrt(epochs.low * epochs.high)
    train = sum(one.weight * _tokens(sets, name, "train") for name, one in config.data.items()) * middle
    valid, times = sum(_tokens(sets, name, "valid") for name in config.data), config.evaluation.times
    if train <= 0 or times * valid * FORWARD <= DEARER * train:
        return
    ratio, fewer = times * valid * FORWARD / train, max(1, int(WANTED * train / (valid * FORWARD)))
    many = f"{times} evaluations of {valid:,.0f} tokens against {train:,.0f} that are trained in {middle:.2g} epochs"
    remedy = f"take times: {fewer}" if fewer < times else "take more epochs, or a smaller valid split"
    yield f"evaluation.times: evaluations take about {ratio:.1f} times as long as the training ({many}); {remedy}"


def _tokens(sets: Mapping[str, Any], name: str, part: str) -> float:
    return float(sets.get(name, {}).get(part, {}).get("tokens", 0))
