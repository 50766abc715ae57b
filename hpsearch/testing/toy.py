"""A trainer without torch that follows a synthetic learning curve: `trainer: python:hpsearch.testing.toy:Toy`.

It implements the whole contract (fixed fractions, resuming from any checkpoint, PAUSE and FINISH), so that tests can
run driver, launchers and journal hundreds of times in the time of one real training. Config and data are those of
causal_lm; a `dropout` of `FAULTS` triggers that fault.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from hpsearch.contract import Command, Evaluation, Handle, TrainingPoint, TrialTask
from hpsearch.testing.curves import SyntheticCurve
from hpsearch.trainers import TestResult, Trainer, load_state, save_state
from hpsearch.trainers.causal_lm import CausalLM
from hpsearch.training.config import TrainConfig

STEPS = 200  # of every training
TOKENS = 1000  # per step
COOLED = 0.03  # what a cool-down is worth
FAULTS = {
    0.5: "raise",
    0.51: "exit",
    0.52: "segfault",
    0.53: "memory",
    0.54: "nan",
    0.55: "hang",
    0.56: "device",
    0.57: "explode",  # finite but far too high
    0.58: "exit with 0",
    0.59: "slow",
}


class Toy(CausalLM):
    """The trainer that tests of driver, launchers and journal use."""

    exports: ClassVar[str] = ""
    baselines = Trainer.baselines  # none: each takes a process of its own

    def train(self, config: TrainConfig, handle: Handle) -> Iterator[Evaluation]:
        """See `train`."""
        yield from train(config, handle)

    def train_many(self, tasks: Sequence[TrialTask]) -> Iterator[tuple[int, Evaluation | None]]:
        """Trains each trial up to its next evaluation, in turn."""
        trainings = {task.trial: iter(self.train(task.config, task.handle)) for task in tasks}
        while trainings:
            for trial, training in list(trainings.items()):
                found = next(training, None)
                if found is None:
                    del trainings[trial]
                yield trial, found

    def warm_up(self) -> None:
        """Does nothing: it needs no torch."""

    def test(self, config: TrainConfig, handle: Handle) -> TestResult:
        """Returns no metrics."""
        return TestResult()

    def export(self, config: TrainConfig, handle: Handle, folder: Path) -> None:
        """Exports nothing."""


def train(config: TrainConfig, handle: Handle) -> Iterator[Evaluation]:
    """Yields the evaluations of a synthetic curve; environment variables set its pace.

    TOY_STEP: seconds a step (0). TOY_CHECKPOINT: steps between checkpoints (10). TOY_HISTORY: a file to which it adds
    each evaluation that the driver has answered; a checker compares journal and views with it.
    """
    pause, every = float(os.environ.get("TOY_STEP", "0")), int(os.environ.get("TOY_CHECKPOINT", "10"))
    state = load_state(config, handle) or {"step": 0, "evaluations": []}
    for known in state["evaluations"]:
        yield Evaluation.from_dict(known)
    curve = curve_of(config)
    fault = FAULTS.get(round(config.model.dropout, 3))
    pause = max(pause, 0.02) if fault == "slow" else pause
    command = Command.CONTINUE
    while state["step"] < state.get("ends_at", round(STEPS * config.training.stop_at)):
        command = handle.command()
        if command is Command.COOL_DOWN:
            _go_back(state, config)
        if command > Command.COOL_DOWN:
            break
        time.sleep(pause)
        state["step"] += 1
        _break(fault, state["step"])
        found = _due(config, curve, state, fault)
        if found is not None:
            state["evaluations"].append(found.to_dict())
            yield found
            _note(handle, found)
        if state["step"] % every == 0:
            save_state(config, handle, state)
    if command is Command.PAUSE:
        save_state(config, handle, state)
    else:
        save_state(config, handle, state, name="best.pt")


def _go_back(state: dict[str, Any], config: TrainConfig) -> None:
    """Leaves the curve at 4/5 of the way to its best evaluation, unless it has left it."""
    if "branch" not in state:
        curve = [Evaluation.from_dict(known) for known in state["evaluations"]]
        best = min(curve, key=lambda known: known.metrics["val/loss"])
        state["branch"] = max(1, 4 * best.index // 5)
        state["step"] = STEPS * state["branch"] // config.evaluation.times
        state["ends_at"] = max(best.step, state["step"] + 1)


def _due(config: TrainConfig, curve: SyntheticCurve, state: dict[str, Any], fault: str | None) -> Evaluation | None:
    """Returns the evaluation that is due at the state's step, if one is."""
    step = state["step"]
    if "branch" not in state:
        is_due = _index(config, step) > _index(config, step - 1)
        return evaluation(config, curve, step, fault) if is_due else None
    return cooled(config, curve, step, state["branch"]) if step >= state["ends_at"] else None


def cooled(config: TrainConfig, curve: SyntheticCurve, step: int, index: int) -> Evaluation:
    """Returns the end of a branch at a step: COOLED below the curve."""
    found = evaluation(config, curve, step)
    shorter = {"training": {"epochs": found.epoch, "warmup": min(0.8, config.training.warmup * STEPS / step)}}
    metrics = {name: value - COOLED for name, value in found.metrics.items()}
    return replace(found, index=index, metrics=metrics, branch=shorter)


def curve_of(config: TrainConfig) -> SyntheticCurve:
    """Returns the curve of a config: more than four epochs overfit."""
    epochs = config.training.epochs
    return SyntheticCurve(
        learning_rate=config.training.learning_rate,
        tokens=2.5e5 * epochs,
        overfits_from=min(1.0, 4.0 / epochs),
        noise=0.002,
        seed=config.seed,
    )


def evaluation(config: TrainConfig, curve: SyntheticCurve, step: int, fault: str | None = None) -> Evaluation:
    """Returns the evaluation of a config at a step; a checker can compute it too."""
    progress = step / STEPS
    loss = curve.val_loss(progress)
    if progress > 0.3:
        loss = {"nan": float("nan"), "explode": 1e30}.get(fault or "", loss)
    point = {"train/loss": curve.train_loss(progress), "learning_rate": config.training.learning_rate}
    return Evaluation(
        index=_index(config, step),
        step=step,
        tokens=step * TOKENS,
        epoch=progress * config.training.epochs,
        progress=progress,
        seconds=step * 0.01,
        metrics={"val/loss": loss, "train/loss": curve.train_loss(progress)},
        points=[TrainingPoint(step, step * TOKENS, time.time(), point)],
    )


def _index(config: TrainConfig, step: int) -> int:
    """Returns the index of the latest evaluation that is due at a step; the last one is due at the last step."""
    return step * config.evaluation.times // STEPS


def _break(fault: str | None, step: int) -> None:
    if fault is None or step < STEPS // 4:
        return
    if fault == "raise":
        raise RuntimeError("a bug in the training code")
    if fault == "exit":
        os._exit(3)
    if fault == "exit with 0":
        os._exit(0)
    if fault == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if fault == "memory":
        raise MemoryError("9 GiB asked for")
    if fault == "device":
        raise RuntimeError("CUDA error: unspecified launch failure")
    while fault == "hang":
        time.sleep(1)


def _note(handle: Handle, found: Evaluation) -> None:
    path = os.environ.get("TOY_HISTORY")
    if path:
        index = -found.index if found.branch else found.index
        line = {"trial": int(handle.folder.name), "index": index, "value": found.metrics["val/loss"]}
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(file, json.dumps(line).encode() + b"\n")
        os.close(file)
