"""The policy of docs/space.md, of public names alone: a file beside a space file, run by the command line."""

import pytest

from hpsearch import journal
from hpsearch.journal.history import History
from tests.cli.processes import TOY
from tests.documents import block
from tests.faults.zygote import NoViews

SPACE = """
study: halves
budget: {trials: 6}
search: {policy: "python:halves:make"}
resources: {launcher: inline}
training:
  learning_rate: {low: 1e-3, high: 1e-2, log: true}
  epochs: {low: 2, high: 9}
"""


@pytest.fixture(autouse=True)
def unseen(monkeypatch):
    """Nothing here looks at MLflow."""
    monkeypatch.setattr("hpsearch.search.driver.shipper.start", NoViews)


def test_random_search_with_a_pause(space_file, tmp_path, call):
    path = space_file(SPACE + TOY)
    (tmp_path / "halves.py").write_text(block("space.md", "# halves.py"))
    code, out, err = call("run", path, "--home", tmp_path / "home")
    assert (code, err) == (0, "")
    trials = History.of(journal.read(tmp_path / "home" / "halves" / "journal.jsonl")).trials
    at_pause = sorted(range(6), key=lambda n: trials[n].evaluations[5].metrics["val/loss"])
    assert {n for n, trial in trials.items() if trial.outcome == "completed"} == set(at_pause[:3])
    assert {n for n, trial in trials.items() if trial.paused} == set(at_pause[3:])
    assert "trial 0 paused: it was to train to evaluation 5" in out
    assert "the better half is trained" in out
    assert "trials paused: 3; each counts by its best evaluation so far" in out
    code, out, _ = call("show", "halves", "--home", tmp_path / "home")
    assert (code, out.count("paused"), out.count("completed")) == (0, 3, 3)
    code, out, _ = call("run", path, "--home", tmp_path / "home")  # nothing is left, for the same reason
    assert (code, out.count("the better half is trained\n")) == (0, 1)


def test_a_policy_without_a_trial_is_said_with_its_reason(space_file, tmp_path, call):
    path = space_file(SPACE.replace("halves", "without_trials") + TOY)
    (tmp_path / "without_trials.py").write_text("""
from hpsearch import Judgement, Nothing

class make:
    def __init__(self, experiment):
        pass
    def next(self, history):
        return Nothing("no GPU today")
    def judge(self, history, trial):
        return Judgement()
""")
    for _ in range(2):
        code, out, err = call("run", path, "--home", tmp_path / "home")
        assert (code, err) == (0, "")
        assert out.rstrip().endswith("\n0 trials: the policy has none to train: no GPU today")
