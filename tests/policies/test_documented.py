"""The policy that docs/space.md prints, executed: also with failing trials and an objective to maximize."""

import pytest

from hpsearch.contract import WorkerSettings
from hpsearch.events import Notice
from hpsearch.launchers.inline import InlineLauncher
from tests.documents import block
from tests.searching import experiment, go

BODY = """
budget: {{trials: 6}}
search: {{policy: "python:documented_halves:make"}}
trainer: "python:{trainer}"
"""
TRAINERS = """
from hpsearch import Objective
from hpsearch.testing.toy import Toy

class Maximized(Toy):
    def objective(self, space):
        return Objective(metric="val/loss", direction="maximize")

class Failing(Toy):
    def train(self, config, handle):
        number = int(handle.folder.name)
        for evaluation in super().train(config, handle):
            if number == 1 and evaluation.index == 3:
                raise RuntimeError("a bug")
            if number == 2 and evaluation.index == 3:
                evaluation.metrics["val/loss"] = float("inf")
            yield evaluation
"""


def searched(folder, *, trainer="hpsearch.testing.toy:Toy"):
    """Returns the history of a search with the policy, and its notices."""
    (folder / "documented_halves.py").write_text(block("space.md", "# halves.py"))
    (folder / "toys_of_documented.py").write_text(TRAINERS)
    wanted = experiment(BODY.format(trainer=trainer), folder=folder)
    settings = WorkerSettings(device="cpu", threads=1, cache=folder, base=folder)
    study, seen = go(wanted, folder / "home", launcher=InlineLauncher(settings, trainer=f"python:{trainer}"))
    return study.history, [event.line for event in seen if isinstance(event, Notice)]


def numbers(history, wanted):
    return {number for number, trial in history.trials.items() if trial.status == wanted}


def best_so_far(trial, *, sign):
    return min(sign * trial.evaluations[index].metrics["val/loss"] for index in range(1, 6))


@pytest.mark.parametrize(
    ("trainer", "sign"), [("hpsearch.testing.toy:Toy", 1), ("toys_of_documented:Maximized", -1)], ids=["min", "max"]
)
def test_the_better_half_is_trained(tmp_path, trainer, sign):
    history, lines = searched(tmp_path, trainer=trainer)
    ranked = sorted(range(6), key=lambda number: best_so_far(history.trials[number], sign=sign))
    assert numbers(history, "completed") == set(ranked[:3])
    assert numbers(history, "paused") == set(ranked[3:])
    assert lines == ["the better half is trained"]


def test_failed_and_diverged_trials_do_not_end_the_search(tmp_path):
    history, lines = searched(tmp_path, trainer="toys_of_documented:Failing")
    assert (numbers(history, "failed"), numbers(history, "diverged")) == ({1}, {2})
    assert history.trials[2].reason == "val/loss is not finite"
    assert (len(numbers(history, "completed")), len(numbers(history, "paused"))) == (2, 2)
    assert lines == ["the better half is trained"]
