"""Objectives other than a loss: a function, a program and a trainer that measure an accuracy or an error alone."""

import itertools

import pytest

from hpsearch.contract import WorkerSettings
from hpsearch.launchers.inline import InlineLauncher
from hpsearch.space.experiment import Experiment
from tests.searching import go

_count = itertools.count()
SEARCH = {
    "sampler": "random",
    "default": False,
    "confirm": False,
    "pruner": {"name": "median", "startup_trials": 1, "warmup_evaluations": 0},
}

FUNCTION = """
def train(config, trial):
    for step in range(1, 5):
        yield {"METRIC": VALUE, "step": step, "steps": 4}
"""
PROGRAM = """
import json, sys
config = {"x": int(sys.argv[1])}
for step in range(1, 5):
    print(json.dumps({"METRIC": VALUE, "step": step, "steps": 4}))
"""
TRAINER = """
from hpsearch import Command, Evaluation, Section, Trainer

class Config(Section):
    x: int = 1

class Mine(Trainer):
    sections = {"config": Config}

    def train(self, config, handle):
        config = {"x": config.config.x}
        for step in range(1, 5):
            if handle.command() is not Command.CONTINUE:
                return
            yield Evaluation(index=step, step=step, progress=step / 4, metrics={"METRIC": VALUE})
"""
KINDS = {
    "function": (FUNCTION, {"train": "./MODULE.py:train", "evaluations": 4}),
    "program": (PROGRAM, {"command": "python MODULE.py {x}", "evaluations": 4}),
    "trainer": (TRAINER, {"trainer": "python:MODULE:Mine"}),
}
RISES, FALLS = "1.0 * config['x'] * step", "1.0 * config['x'] * (5 - step)"


def searched(folder, kind, metric, direction, value, order):
    """The history of a search whose trials have these x, in this order."""
    code, file = KINDS[kind]
    module = f"objective_{next(_count)}"
    (folder / f"{module}.py").write_text(code.replace("METRIC", metric).replace("VALUE", value))
    file = {key: str(text).replace("MODULE", module) if key != "evaluations" else text for key, text in file.items()}
    wanted = Experiment.of(
        {
            "study": "mine",
            **file,
            "objective": {"metric": metric, "direction": direction},
            "budget": {"trials": len(order)},
            "search": {**SEARCH, "first": [{"x": x} for x in order]},
            "config": {"x": {"choices": [1, 2, 3, 4]}},
        },
        base=folder,
    )
    settings = WorkerSettings(device="cpu", threads=1, cache=folder, base=folder)
    launcher = InlineLauncher(settings, trainer=wanted.trainer.name)
    return go(wanted, folder / "home", launcher=launcher)[0].history


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("metric", ["val/acc", "acc"])
def test_an_accuracy_without_a_loss_is_maximized_and_the_worse_are_pruned_by_it(tmp_path, kind, metric):
    history = searched(tmp_path, kind, metric, "maximize", RISES, [3, 2, 4, 1])
    assert [trial.outcome for trial in history.trials.values()] == ["completed", "pruned", "completed", "pruned"]
    assert [trial.value for trial in history.trials.values() if trial.counts] == [12.0, 16.0]
    assert (history.leader().number, history.leader().best.index) == (2, 4)
    behind = f"{metric} 2 at evaluation 1 (best 2) is behind the other trials' there"
    assert history.trials[1].reason == behind


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_without_a_loss_is_minimized(tmp_path, kind):
    history = searched(tmp_path, kind, "val/err", "minimize", FALLS, [2, 3, 1])
    assert [trial.outcome for trial in history.trials.values()] == ["completed", "pruned", "completed"]
    assert (history.leader().number, history.leader().value) == (2, 1.0)
    assert history.trials[1].reason == "val/err 12 at evaluation 1 (best 12) is behind the other trials' there"


@pytest.mark.parametrize("kind", KINDS)
def test_an_objective_that_is_not_finite_ends_its_trial_as_diverged(tmp_path, kind):
    value = "float('nan') if config['x'] == 2 and step == 2 else 9.0 * config['x']"
    history = searched(tmp_path, kind, "val/acc", "maximize", value, [1, 2])
    assert [trial.outcome for trial in history.trials.values()] == ["completed", "diverged"]
    assert list(history.trials[1].evaluations) == [1, 2]
    assert history.trials[1].reason == "val/acc nan at evaluation 2 is not a finite number"
    assert history.leader().number == 0
