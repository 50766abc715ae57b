"""A train function without torch: a formula for a loss, a JSON file for a checkpoint.

It keeps the whole contract of training/contract.py (fixed fractions, resuming from any checkpoint, PAUSE and FINISH),
so the driver, the launchers and the journal can be tried hundreds of times in the time of one real training.
`config.training` is read as it is; `dropout` 0.49 and up makes it fail in the way named by `FAULTS`.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from hpsearch.testing import SyntheticCurve
from hpsearch.training.atomic import write_json
from hpsearch.training.config import TrainConfig
from hpsearch.training.contract import Evaluation, Handle, Told

STEPS = 200  # of every training
TOKENS = 1000  # a step
FAULTS = {0.5: "raise", 0.51: "exit", 0.52: "segfault", 0.53: "memory", 0.54: "nan"}


def train(config: TrainConfig, handle: Handle) -> Iterator[Evaluation]:
    """Trains nothing, at TOY_STEP seconds a step (environment; 0 by default)."""
    pause, every = float(os.environ.get("TOY_STEP", "0")), int(os.environ.get("TOY_CHECKPOINT", "10"))
    state = _load(config, handle)
    if state["last"]:
        yield Evaluation(**state["last"])
    curve = curve_of(config)
    fault = FAULTS.get(round(config.model.dropout, 3))
    told = Told.GO_ON
    while state["step"] < round(STEPS * config.training.stop_at):
        told = handle.told()
        if told is not Told.GO_ON:
            break
        time.sleep(pause)
        state["step"] += 1
        _break(fault, state["step"])
        if state["step"] % (STEPS // config.evaluation.times) == 0:
            state["last"] = asdict(evaluation(config, curve, state["step"], fault))
            yield Evaluation(**state["last"])
        if state["step"] % every == 0:
            _save(config, handle, state)
    _save(config, handle, state)
    if told is not Told.PAUSE:
        write_json(handle.folder / "best.pt", state)


def curve_of(config: TrainConfig) -> SyntheticCurve:
    """The curve that a config has: more than four epochs overfit."""
    epochs = config.training.epochs
    return SyntheticCurve(
        learning_rate=config.training.learning_rate,
        tokens=2.5e5 * epochs,
        overfits_from=min(1.0, 4.0 / epochs),
        noise=0.002,
        seed=config.seed,
    )


def evaluation(config: TrainConfig, curve: SyntheticCurve, step: int, fault: str | None = None) -> Evaluation:
    """What a training of this config measures at a step: known in advance, so that a checker can compare."""
    progress = step / STEPS
    loss = float("nan") if fault == "nan" and progress > 0.3 else curve.val_loss(progress)
    point = {"train/loss": curve.train_loss(progress), "learning_rate": config.training.learning_rate}
    return Evaluation(
        index=step * config.evaluation.times // STEPS,
        step=step,
        tokens=step * TOKENS,
        epoch=progress * config.training.epochs,
        progress=progress,
        seconds=step * 0.01,
        metrics={"val/loss": loss, "train/loss": curve.train_loss(progress)},
        points=[{"step": step, "tokens": step * TOKENS, "time": time.time(), "metrics": point}],
    )


def _break(fault: str | None, step: int) -> None:
    if fault is None or step < STEPS // 4:
        return
    if fault == "raise":
        raise RuntimeError("a bug in the training code")
    if fault == "exit":
        os._exit(3)
    if fault == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if fault == "memory":
        raise MemoryError("9 GiB asked for")


def _load(config: TrainConfig, handle: Handle) -> dict[str, Any]:
    path = handle.folder / "last.pt"
    if path.exists():
        state: dict[str, Any] = json.loads(path.read_text())
        if state["config"] == config.digest():
            return state
    return {"config": config.digest(), "step": 0, "last": None}


def _save(config: TrainConfig, handle: Handle, state: dict[str, Any]) -> None:
    write_json(handle.folder / "last.pt", state)
