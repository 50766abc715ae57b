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

# A trainer that trains several trials of one degree in one step of NumPy; it notes its groups in a file.
POLYNOMIALS = (
    POLYNOMIAL
    + """
import json
from hpsearch import Shape

class Polynomials(Polynomial):
    def shape(self, config):
        return Shape((config.fit.degree, config.seed), "")  # the data depend on the seed

    def train_many(self, tasks):
        with open(os.environ.get("FIT_GROUPS", os.devnull), "a") as file:
            file.write(json.dumps([task.trial for task in tasks]) + "\\n")
        running, states = {task.trial: task for task in tasks}, {}
        for trial, task in running.items():
            new = {"step": 0, "weights": [0.0] * (task.config.fit.degree + 1), "evaluations": []}
            states[trial] = load_state(task.config, task.handle) or new
            for known in states[trial]["evaluations"]:
                yield trial, Evaluation(**known)
        config = tasks[0].config
        (x, y), (u, v) = examples(config.seed, 60), examples(config.seed + 1, 60)
        powers = np.arange(config.fit.degree + 1)
        train, valid = x[:, None] ** powers, u[:, None] ** powers
        while running:
            for trial, task in list(running.items()):
                if states[trial]["step"] == task.config.fit.steps or task.handle.command() is not Command.CONTINUE:
                    del running[trial]
                    yield trial, None
            time.sleep(float(os.environ.get("FIT_STEP", "0")))
            weights = np.array([states[trial]["weights"] for trial in running]).reshape(len(running), len(powers))
            rates = np.array([task.config.fit.learning_rate for task in running.values()])[:, None]
            weights = weights - rates * (weights @ train.T - y) @ train / len(y)
            for (trial, task), after in zip(list(running.items()), weights):
                state, steps = states[trial], task.config.fit.steps
                state["step"], state["weights"] = state["step"] + 1, after.tolist()
                if state["step"] % (steps // 4) == 0:
                    off = np.abs(valid @ after - v)
                    metrics = {"val/loss": np.mean(off**2).item(), "val/worst": off.max().item()}
                    found = {"index": 4 * state["step"] // steps, "step": state["step"], "metrics": metrics}
                    state["evaluations"].append(found | {"progress": state["step"] / steps})
                    yield trial, Evaluation(**state["evaluations"][-1])
                save_state(task.config, task.handle, state)
"""
)
