"""What a fine-tuning costs, as a function of its config, from a few that were measured.

The model is as its checkpoint has it, so that a step's time is a constant and a time for each token, and the memory a
constant and bytes for each token of a batch. Both are fitted for each checkpoint and each tuning apart; a config of
which none was measured costs as all that were do.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.trainers.causal_lm.costs import CHECKPOINT_SECONDS, STATES, amounts, fit
from hpsearch.trainers.costs import Cost, CostModel, Sample
from hpsearch.trainers.huggingface.config import FineTuneConfig
from hpsearch.training.answer_length import decoding_steps

Array = NDArray[np.float64]
# Seconds of a step, and of a token, of an encoder of 22M parameters on one core: only their ratio counts.
STEP_PRIOR = np.array([5e-2, 2e-3])
MEMORY_PRIOR = np.array([1e9, 5e5])  # bytes: of the process with its weights, of a token of a batch
SHARES = {"full": 1.0, "last_layers": 0.6, "lora": 0.7}  # of a step's time, about


def work(config: FineTuneConfig, sets: Mapping[str, Any]) -> dict[str, float]:
    """What the cost grows with: time, memory, and what decides over them."""
    found, share = amounts(config, sets), SHARES[config.model.tuning]  # type: ignore[arg-type]  # the same sections
    times = min(config.evaluation.times, found.steps)
    seconds = share * float(_step(found.steps, found.tokens) @ STEP_PRIOR)
    return {
        "seconds": seconds + times * float(_step(1.0, found.valid) @ STEP_PRIOR) / 3,
        "memory": share * float(_memory(config) @ MEMORY_PRIOR),
        "step_tokens": found.tokens / found.steps,
        "model": 2.0 + zlib.crc32(_group(config).encode()) % 1000,  # no size, but another one for each
    }


def cost_model(samples: Sequence[Sample], sets: Mapping[str, Any]) -> CostModel:
    """The expected cost of every config, from what `training.measuring.measure` has found of some."""
    groups: dict[str, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(_group(sample.config), []).append(sample)
    models = {name: _UnitCosts(some, sets).expected for name, some in groups.items()}
    every = _UnitCosts(samples, sets).expected

    def expected(config: FineTuneConfig) -> Cost:
        found: Callable[[Any], Cost] = models.get(_group(config), every)
        return found(config)

    return expected


class _UnitCosts:
    """The unit costs of this machine for one checkpoint and one tuning."""

    def __init__(self, samples: Sequence[Sample], sets: Mapping[str, Any]) -> None:
        self._sets = sets
        found = [sample.evaluations[-1].metrics for sample in samples]

        def mean(name: str) -> float:
            return fmean(metrics.get(name, 0.0) for metrics in found)

        steps = [_step(1.0, metrics["step_tokens"]) for metrics in found]
        self._step = fit(steps, [metrics["step"] for metrics in found], STEP_PRIOR)
        memory = [_memory(sample.config) for sample in samples]
        self._memory = fit(memory, [float(sample.memory) for sample in samples], MEMORY_PRIOR)
        self._build, self._evaluation, self._decoding = mean("build"), mean("evaluation"), mean("decoding")
        self._saving, self._weights, self._state = mean("checkpoint"), mean("weights_bytes"), mean("state_bytes")
        self._on_cpu = not any(sample.device_memory for sample in samples)

    def expected(self, config: FineTuneConfig) -> Cost:
        """The cost of a whole training."""
        size = amounts(config, self._sets)  # type: ignore[arg-type]  # the same sections
        training = float(_step(size.steps, size.tokens) @ self._step)
        times, decoded = min(config.evaluation.times, size.steps), decoding_steps(config.evaluation, size.steps)
        evaluating = times * self._evaluation + len(decoded) * self._decoding
        saves = 1 + (training + evaluating) // CHECKPOINT_SECONDS
        weights, state = int(self._weights), int(self._state)
        kept = STATES * state if config.training.schedule == "wsd" else 0
        return Cost(
            training,
            evaluating,
            other=self._build + saves * self._saving,
            memory=int(_memory(config) @ self._memory) + (weights + kept if self._on_cpu else 0),
            state=2 * (state + weights) + kept if saves > 1 else weights,
            weights=weights,
        )


def _group(config: FineTuneConfig) -> str:
    """What decides over the unit costs: the model, and what of it is trained."""
    model = config.model
    last = model.last_layers if model.tuning == "last_layers" else 0
    kinds = [model.pretrained, model.architecture, model.tuning, last, model.gradient_checkpointing]
    return json.dumps([*kinds, config.config.flat], sort_keys=True, default=str)


def _step(steps: float, tokens: float) -> Array:
    """The terms of the time of some steps that read some tokens (2,)."""
    return np.array([steps, tokens], dtype=np.float64)


def _memory(config: FineTuneConfig) -> Array:
    """The terms of the memory (2,)."""
    rows = min(config.training.batch_size, config.training.micro_batch_size or config.training.batch_size)
    return np.array([1.0, rows * config.model.context], dtype=np.float64)
