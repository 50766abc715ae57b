"""A few steps, an evaluation and a checkpoint of a training, each with its time: what `hpsearch plan` predicts from."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

import torch

from hpsearch.contract import CHECKPOINTS, ROUGH, Command, Evaluation, Handle
from hpsearch.training import step_graph
from hpsearch.training.answer_length import decoding_steps, is_long
from hpsearch.training.config import FitConfig
from hpsearch.training.device import peak_memory, total_memory
from hpsearch.training.loop import Training
from hpsearch.training.parts import Build, parts

WARM = 3  # steps that are not timed: the allocator, and on a GPU the kernels, are new to them
STEPS_SHARE = 0.6  # of the time for steps; the rest is for evaluating and saving
FORWARD = 1 / 3  # of the time of a step: forward without backward (about 2 of 6 operations for a weight and token)
ROUGH_SHARE = 0.2  # of the time for the first steps, from which a rough measurement is told before the others
PATIENCE = 2.0  # times the seconds that an evaluation may take beside them; a longer one is estimated
LARGEST = 256 << 20  # bytes of a checkpoint that is written to time it


def measure(config: FitConfig, handle: Handle, seconds: float, build: Build = parts) -> Iterator[Evaluation]:
    """Measures a config for about `seconds`; yields an Evaluation whose metrics are times in seconds and counts.

    Of a slow model it yields a rough one (metric `rough`) before, by its first steps alone.

    build: until the first step; step: of a step; step_tokens: read by it; evaluation: a pass over the validation split
    without decoding; decoding, decoding_none, decoding_limit: of the sample, up to the references' length, of one
    token, up to the limit (see answer_length.py); checkpoint: to write one; checkpoint_bytes; steps: that were timed.
    """
    clock = Clock(torch.device(handle.settings.device))
    run = Training(config, handle, build)
    building = clock.lap()
    warm_up(run, handle)
    warm, rough = clock.lap(), 0
    if not run.evaluator.decoded_sets() and warm > ROUGH_SHARE * seconds:
        rough = 1
        yield _evaluated(run, clock, _roughly(run, building, warm), index=1)
        clock.lap()
    before, tokens = run.step, run.tokens
    _train(run, handle, until=lambda: clock.passed() > STEPS_SHARE * seconds)
    spent, steps = clock.lap(), max(1, run.step - before)
    found = {
        "build": building,
        "step": spent / steps,
        "step_tokens": (run.tokens - tokens) / steps,
        "steps": float(steps),
    }
    if handle.command() is not Command.CONTINUE:
        return
    per_token = spent / max(1, run.tokens - tokens)
    found |= _evaluation(run, clock, longest=PATIENCE * seconds, per_token=FORWARD * per_token)
    found |= _decoding(run, clock, longest=PATIENCE * seconds)
    found |= _checkpoint(run, clock)
    yield _evaluated(run, clock, found, index=1 + rough)


def _roughly(run: Training, building: float, warm: float) -> dict[str, float]:
    """What the first steps tell of a slow model, whose evaluation and checkpoint may not end in time."""
    steps = max(1, run.step)
    per_token = FORWARD * warm / max(1, run.tokens)
    found = {"build": building, "step": warm / steps, "step_tokens": run.tokens / steps, "steps": float(steps)}
    return {**found, "evaluation": per_token * _valid_tokens(run), "estimated": 1.0, ROUGH: 1.0, **_sizes(run)}


def _evaluated(run: Training, clock: Clock, found: dict[str, float], *, index: int) -> Evaluation:
    return Evaluation(
        index=index,
        step=run.step,
        progress=min(1.0, run.step / run.length),
        tokens=run.tokens,
        seconds=clock.total(),
        metrics=found,
        peak_memory=peak_memory(run.device),
        device_memory=total_memory(run.device),
        precision=run.precision,
    )


class Clock:
    """Laps of time; what a GPU still computes counts to the lap."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._began = self._lap = time.monotonic()

    def lap(self) -> float:
        """Seconds since the last lap (device sync)."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now = time.monotonic()
        found, self._lap = now - self._lap, now
        return found

    def passed(self) -> float:
        """Seconds since the last lap, without a new one."""
        return time.monotonic() - self._lap

    def total(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began


def warm_up(run: Training, handle: Handle) -> None:
    """Makes the first steps, but leaves one to be timed."""
    first = WARM + (step_graph.WARM + 1) * run.config.training.cuda_graph
    _train(run, handle, until=lambda: run.step >= min(first, run.last_step - 1))


def _train(run: Training, handle: Handle, *, until: Callable[[], bool]) -> None:
    """Trains until a condition holds, the training ends or the driver commands its end."""
    while not until() and run.step < run.last_step and handle.command() is Command.CONTINUE:
        run.train_step()


def _valid_tokens(run: Training) -> float:
    counts = run.evaluator.corpus.counts
    return float(sum(counts[name]["valid"]["tokens"] for name in run.evaluator.rows))


def _evaluation(run: Training, clock: Clock, *, longest: float, per_token: float) -> dict[str, float]:
    """The time of a pass over the validation split; estimated by the steps' where it would take too long."""
    expected = per_token * _valid_tokens(run)
    if expected > longest:
        return {"evaluation": expected, "estimated": 1.0}
    clock.lap()
    run.evaluator.measure(run.model, decode=False)
    return {"evaluation": clock.lap()}


def _decoding(run: Training, clock: Clock, *, longest: float) -> dict[str, float]:
    """The times to decode the sample, each from that of one batch of it; none if nothing is decoded.

    A model that has learnt nothing ends a sequence at once or never. So the length is given: one token, that of the
    batch's mean reference, as a trained model has it, and, if evaluations come so early, the limit.
    """
    names, config = run.evaluator.decoded_sets(), run.config.evaluation
    if not names:
        return {}
    found = dict.fromkeys(("decoding", "decoding_none"), 0.0)
    early = any(is_long(step) for step in decoding_steps(config, run.length))
    for name in sorted(names):
        pairs = run.evaluator.rows[name]
        mean = max(1, min(config.max_new_tokens, math.ceil(float(pairs.targets.mean()))))  # type: ignore[union-attr]
        references = _decoded_in(run, clock, name, tokens=mean)
        found["decoding"] += references
        found["decoding_none"] += _decoded_in(run, clock, name, tokens=1)
        if early:
            most = min(config.max_new_tokens, pairs.context)
            taken = references * most / mean
            taken = taken if taken > longest else _decoded_in(run, clock, name, tokens=most)
            found["decoding_limit"] = found.get("decoding_limit", 0.0) + taken
    return found


def _decoded_in(run: Training, clock: Clock, name: str, *, tokens: int) -> float:
    """The seconds to decode the sample of a set up to a number of tokens, from those of one batch."""
    evaluator, pairs = run.evaluator, run.evaluator.rows[name]
    wanted = min(run.config.evaluation.decode_sample, pairs.n_rows)
    few = min(wanted, max(1, evaluator.decoded.size // run.config.evaluation.beam_size))
    evaluation = run.config.evaluation.model_copy(update={"max_new_tokens": tokens})
    config = run.config.model_copy(update={"evaluation": evaluation})
    shortened = evaluator.part({name: pairs}, config, sample=few)
    clock.lap()
    shortened.decode(run.model)
    return clock.lap() * wanted / few


def _checkpoint(run: Training, clock: Clock) -> dict[str, float]:
    """The bytes of a checkpoint, and the time to write it; a large one is not written."""
    sizes = _sizes(run)
    if sizes["state_bytes"] > LARGEST:
        return sizes
    clock.lap()
    run.save()
    taken = clock.lap()
    for name in CHECKPOINTS:
        (run.handle.folder / name).unlink(missing_ok=True)
    return sizes | {"checkpoint": taken}


def _sizes(run: Training) -> dict[str, float]:
    """The bytes of the weights that are trained, and of a checkpoint with the optimizer's state."""
    weights = sum(weight.nbytes for weight in run.model.parameters() if weight.requires_grad)
    optimizer = sum(
        value.nbytes for state in run.optimizer.state.values() for value in state.values() if torch.is_tensor(value)
    )
    return {"weights_bytes": float(weights), "state_bytes": float(weights + optimizer)}
