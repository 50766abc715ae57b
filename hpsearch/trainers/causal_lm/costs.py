"""What a training of a language model costs, as a function of its config, fitted to a few measured ones.

Each part of the time is a sum of terms with a unit cost of their own, which depends on the machine and is never
negative: for a step a constant, one for each layer (calls), one for each weight (AdamW), and for its tokens the
activations, the matrices of the layers, attention, and the output layer. With fewer measurements than terms, the unit
costs stay near their usual ratios (a ridge to the PRIOR, scaled as a whole to the measurements), so that what was not
measured apart is divided as on other machines. Errors count relative to what was measured: a small config as much as a
large one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from hpsearch.contract import WorkerSettings
from hpsearch.data.truncation import text_rows
from hpsearch.trainers.causal_lm.rules import parameters
from hpsearch.trainers.costs import Cost, CostModel, Sample
from hpsearch.training import answer_length
from hpsearch.training.answer_length import decoding_steps
from hpsearch.training.config import TrainConfig

Array = NDArray[np.float64]
# Seconds of a term on one core of a server of 2024 (40 GFLOP/s, 8 GB/s): only their ratios count.
STEP_PRIOR = np.array([1e-3, 1e-3, 4e-9, 2e-8, 1.5e-10, 3e-10, 1.5e-10, 3e-9])
PASS_PRIOR = STEP_PRIOR * np.array([1.0, 1 / 3, 0.01, 1 / 3, 1 / 3, 1 / 3, 1 / 3, 1 / 3])
MEMORY_PRIOR = np.array([4e8, 20.0, 60.0, 8.0, 8.0])  # bytes: of the process, a weight, an activation, a logit, a score
DECODE_PRIOR = np.array([1e-2, 1e-3, 1e-8, 1e-8])  # seconds: a constant, a layer, its matrices, the output layer
SAVE_PRIOR = np.array([1e-2, 4e-8])  # seconds: a file, a weight
DECODED = {"none": "decoding_none", "references": "decoding", "limit": "decoding_limit"}  # length -> its measurement
PULL = 0.03  # weight of the prior of one term, beside the relative error of one measurement
CHECKPOINT_SECONDS = WorkerSettings.checkpoint_seconds
STATES = 5  # that a wsd training keeps to cool down from, at most: those from 0.85 of the way to its best evaluation on


@dataclass(frozen=True)
class Amounts:
    """How much of everything a training has."""

    steps: float
    tokens: float  # read in all steps
    valid: float  # tokens of the validation split


def amounts(config: TrainConfig, sets: Mapping[str, Any]) -> Amounts:
    """The steps and tokens of a whole training, and the tokens of an evaluation; sets: counts of the prepared data."""
    steps = tokens = valid = 0.0
    for name, data_set in config.data.items():
        counts = sets.get(name, {})
        train, other = counts.get("train", {}), counts.get("valid", {})
        rows, read = _epoch(config, train, pairs=data_set.has_prompts)
        steps += max(1, round(data_set.weight * math.ceil(rows / config.training.batch_size)))
        tokens += data_set.weight * read
        valid += _epoch(config, other, pairs=data_set.has_prompts)[1]
    epochs = config.training.epochs
    return Amounts(max(1.0, math.ceil(steps * epochs)), max(1.0, tokens * epochs), max(1.0, valid))


def work(config: TrainConfig, sets: Mapping[str, Any]) -> dict[str, float]:
    """What the cost grows with: the time by the usual unit costs, the memory, and the sizes that decide over them."""
    found, model = amounts(config, sets), config.model
    seconds = float(step_terms(config, found.steps, found.tokens) @ STEP_PRIOR)
    times = min(config.evaluation.times, found.steps)
    seconds += times * float(step_terms(config, 1.0, found.valid) @ PASS_PRIOR)
    return {
        "seconds": seconds,
        "memory": float(memory_terms(config) @ MEMORY_PRIOR),
        "layers": model.n_layers,
        "width": model.width,
        "context": model.context,
        "step_tokens": found.tokens / found.steps,
    }


def cost_model(samples: Sequence[Sample], sets: Mapping[str, Any]) -> CostModel:
    """The expected cost of every config, from what `training.measuring.measure` has found of some."""
    return _UnitCosts(samples, sets).expected


class _UnitCosts:
    """The unit costs of this machine, fitted to measurements."""

    def __init__(self, samples: Sequence[Sample], sets: Mapping[str, Any]) -> None:
        self._sets = sets
        found = [(sample.config, sample.evaluations[-1].metrics) for sample in samples]
        configs = [config for config, _ in found]

        def measured(name: str) -> list[float]:
            return [metrics.get(name, 0.0) for _, metrics in found]

        steps = [step_terms(config, 1.0, metrics["step_tokens"]) for config, metrics in found]
        passes = [step_terms(config, 1.0, amounts(config, sets).valid) for config in configs]
        peaks = [float(sample.memory) for sample in samples]
        self._step = fit(steps, measured("step"), STEP_PRIOR)
        self._pass = fit(passes, measured("evaluation"), PASS_PRIOR)
        decode = [decode_terms(one) for one in configs]
        self._decoding = {name: fit(decode, measured(key), DECODE_PRIOR) for name, key in DECODED.items()}
        self._saving = fit([_weights(one) for one in configs], measured("checkpoint"), SAVE_PRIOR)
        self._memory = fit([memory_terms(one) for one in configs], peaks, MEMORY_PRIOR)
        self._build = fmean(measured("build"))
        self._weights = fmean(m["weights_bytes"] / _n_weights(config) for config, m in found)  # bytes of a weight
        self._state = fmean(m["state_bytes"] / _n_weights(config) for config, m in found)  # and of its moments
        self._on_cpu = not any(sample.device_memory for sample in samples)

    def expected(self, config: TrainConfig) -> Cost:
        """The cost of a whole training."""
        size, n = amounts(config, self._sets), _n_weights(config)
        training = float(step_terms(config, size.steps, size.tokens) @ self._step)
        times, decoded = min(config.evaluation.times, size.steps), decoding_steps(config.evaluation, size.steps)
        evaluating = times * float(step_terms(config, 1.0, size.valid) @ self._pass)
        one = {name: float(decode_terms(config) @ fitted) for name, fitted in self._decoding.items()}
        evaluating += sum(answer_length.expected(step, **one) for step in decoded)
        saves = 1 + (training + evaluating) // CHECKPOINT_SECONDS
        weights, state = int(self._weights * n), int(self._state * n)
        kept = STATES * state if config.training.schedule == "wsd" else 0
        return Cost(
            training,
            evaluating,
            other=self._build + saves * float(_weights(config) @ self._saving),
            memory=int(memory_terms(config) @ self._memory) + (weights + kept if self._on_cpu else 0),
            state=2 * (state + weights) + kept if saves > 1 else weights,
            weights=weights,
        )


def step_terms(config: TrainConfig, steps: float, tokens: float) -> Array:
    """The terms of the time of some steps that read some tokens (8,)."""
    model, n = config.model, parameters(config.model)
    vocabulary = config.tokenizer.vocab_size
    return np.array(
        [
            steps,
            steps * model.n_layers,
            steps * _n_weights(config),
            tokens * model.n_layers * model.width,
            tokens * n,
            tokens * model.n_layers * model.context * model.width,
            tokens * vocabulary * model.width,
            tokens * vocabulary,
        ],
        dtype=np.float64,
    )


def decode_terms(config: TrainConfig) -> Array:
    """The terms of the time to decode the sample, whose size no config changes (4,)."""
    model = config.model
    return np.array(
        [1.0, model.n_layers, parameters(model), config.tokenizer.vocab_size * model.width], dtype=np.float64
    )


def memory_terms(config: TrainConfig) -> Array:
    """The terms of the memory: a constant, weights, activations, logits, attention scores (5,)."""
    model, training = config.model, config.training
    rows = min(training.batch_size, training.micro_batch_size or training.batch_size)
    tokens = rows * model.context
    return np.array(
        [
            1.0,
            _n_weights(config),
            tokens * model.n_layers * model.width,
            tokens * config.tokenizer.vocab_size,
            tokens * model.n_heads * model.context,
        ],
        dtype=np.float64,
    )


def fit(terms: Sequence[Array], measured: Sequence[float], prior: Array) -> Array:
    """The unit costs (n,) that are not negative, fit the measurements best, and are near the scaled prior.

    terms: (n,) of each measurement; minimises sum over measurements of (predicted / measured - 1)^2, and PULL^2 times
    the sum over unit costs of (cost / scaled prior - 1)^2. Zeros where nothing was measured.
    """
    rows = [(row / value, row @ prior / value) for row, value in zip(terms, measured, strict=True) if value > 0]
    if not rows:
        return np.zeros_like(prior)
    ratios = np.array([ratio for _, ratio in rows])
    scaled = prior * float(ratios.sum() / (ratios @ ratios))  # the least relative error of the prior alone
    shares = np.array([row for row, _ in rows]) * scaled
    left = np.vstack([shares, PULL * np.eye(len(prior))])
    right = np.concatenate([np.ones(len(rows)), np.full(len(prior), PULL)])
    found, _ = nnls(left, right)
    return np.asarray(found * scaled, dtype=np.float64)


def _epoch(config: TrainConfig, counts: Mapping[str, Any], *, pairs: bool) -> tuple[float, float]:
    """Rows and tokens of a pass over a split."""
    tokens, examples = counts.get("tokens", 0), counts.get("examples", 0)
    if pairs:
        return max(1, examples), min(tokens, examples * config.model.context)
    return text_rows(tokens, config.model.context), tokens


def _weights(config: TrainConfig) -> Array:
    """The terms of the time to write a checkpoint (2,)."""
    return np.array([1.0, _n_weights(config)])


def _n_weights(config: TrainConfig) -> float:
    """All weights, embeddings included."""
    tables = 1 if config.model.tied_embeddings else 2
    return parameters(config.model) + tables * config.tokenizer.vocab_size * config.model.width
