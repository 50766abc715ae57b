"""A trainer as a stranger writes it: thirty lines of NumPy beside a space file."""

POLYNOMIAL = """
import os, sys, time
import numpy as np
from hpsearch import Command, Evaluation, Section, Trainer, load_state, save_state

class Fit(Section):
    degree: int = 3
    learning_rate: float = 0.1
    steps: int = 40

def examples(seed, n):
    draw = np.random.default_rng(seed)
    x = draw.uniform(-1, 1, n)
    return x, np.sin(3 * x) + 0.1 * draw.normal(size=n)

class Polynomial(Trainer):
    sections = {"fit": Fit}

    def train(self, config, handle):
        if "NO_TORCH" in os.environ and "torch" in sys.modules:
            raise RuntimeError("somebody imported torch")
        fit, (x, y), (u, v) = config.fit, examples(config.seed, 60), examples(config.seed + 1, 60)
        powers = np.arange(fit.degree + 1)
        state = load_state(config, handle) or {"step": 0, "weights": [0.0] * len(powers), "evaluations": []}
        yield from (Evaluation(**known) for known in state["evaluations"])
        weights, train, valid = np.array(state["weights"]), x[:, None] ** powers, u[:, None] ** powers
        for step in range(state["step"] + 1, fit.steps + 1):
            if handle.command() is not Command.CONTINUE:
                return
            time.sleep(float(os.environ.get("FIT_STEP", "0")))
            weights = weights - fit.learning_rate * train.T @ (train @ weights - y) / len(y)
            if step % (fit.steps // 4) == 0:
                off = np.abs(valid @ weights - v)
                measured = {"val/loss": np.mean(off**2), "val/worst": off.max()}
                found = {"index": 4 * step // fit.steps, "step": step, "progress": step / fit.steps}
                found["metrics"] = {name: float(value) for name, value in measured.items()}
                state["evaluations"].append(found)
                yield Evaluation(**found)
            save_state(config, handle, state | {"step": step, "weights": weights.tolist()})
"""

SPACE = """
study: curves
trainer: "python:polynomial:Polynomial"
seed: 7
budget: {trials: 6}
search: {sampler: random, pruner: median}
resources: {device: cpu}
fit:
  degree: {low: 1, high: 6}
  learning_rate: {low: 0.01, high: 0.5, log: true}
"""
