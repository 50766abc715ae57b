"""A policy of the user's own: found beside the space file, and each mistake in it is one line with its place."""

import re
import textwrap

import pytest

from hpsearch.errors import ConfigError, UserError
from hpsearch.events import Finished
from hpsearch.policies.loading import load
from hpsearch.policies.optuna.policy import OptunaPolicy
from hpsearch.search.loop import Search
from tests.searching import experiment, go, inline, opened

OWN = "budget: {{trials: 2}}\nsearch: {{policy: '{}'}}\n"
HEAD = """
from hpsearch import GoOn, Judgement, New, Nothing, Verdict

class Policy:
    def __init__(self, experiment):
        self.space = experiment.space
    def next(self, history):
        return {next}
    def judge(self, history, trial):
        return {judge}
"""
GOOD = {"next": "New(self.space.draw(0))", "judge": "Judgement()"}


def written(folder, name, text):
    (folder / f"{name}.py").write_text(textwrap.dedent(text))
    return experiment(OWN.format(f"python:{name}:Policy"), folder=folder)


def test_the_default_is_optunas(tmp_path):
    assert isinstance(load(experiment("budget: {trials: 2}\n")).policy, OptunaPolicy)


@pytest.mark.parametrize("name", ["asha", "python:mine", "python::make", "python:a b:make"])
def test_the_name_is_checked_with_the_file(name):
    with pytest.raises(ConfigError, match=r"space.yaml:\d+:\d+: search.policy: must be optuna or python:module:fac"):
        experiment(OWN.format(name))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("absent_policy", None, r"cannot be imported \(ModuleNotFoundError: No module named 'absent_policy'"),
        (
            "broken_policy",
            "1 / 0",
            r"cannot be imported \(ZeroDivisionError: division by zero, broken_policy.py:1\)",
        ),
        ("other_policy", "x = 1", r"module other_policy has no function 'Policy'"),
        ("script_policy", "import sys\nsys.exit(3)", r"called sys.exit\(3\)"),
        ("raising_policy", "def Policy(experiment):\n    raise ValueError('no')", r"the factory raised ValueError: no"),
        ("poor_policy", "def Policy(experiment):\n    return 5", r"returned int, which has no method next\(\)"),
    ],
)
def test_a_policy_that_cannot_be_made(tmp_path, name, text, said):
    if text is not None:
        (tmp_path / f"{name}.py").write_text(text)
    wanted = experiment(OWN.format(f"python:{name}:Policy"), folder=tmp_path)
    with pytest.raises(ConfigError, match=rf"^\S+space.yaml:\d+:\d+: search.policy: python:{name}:Policy\S* .*{said}"):
        load(wanted)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"next": "5"}, r"next() returned 5; allowed: New, GoOn, Nothing"),
        ({"next": "GoOn(9)"}, "GoOn(9): this trial does not exist; paused: none"),
        ({"next": "GoOn(0) if history.trials else New(self.space.draw(0))"}, "GoOn(0): this trial is not paused"),
        ({"next": "New(5)"}, "New(5): params are a dict of short names and values"),
        ({"next": "New({'epochs': 2})"}, "New: learning_rate: this trial has no value for it"),
        ({"next": "New({'epochs': 99, 'learning_rate': 1e-3})"}, "New: epochs: 99 is not in this space"),
        ({"next": "New({'epochs': 'x', 'learning_rate': 1e-3})"}, "New: epochs: 'x' is not in this space"),
        ({"next": "New(self.space.draw(0) | {'depth': 3})"}, "New: depth is no parameter of this trial; it has: learn"),
        ({"next": "New(self.space.draw(0), seed='a')"}, "New: seed='a'; allowed: an integer from 0 to 2**63 - 1, or"),
        ({"next": "New(self.space.draw(0), seed=10**40)"}, "000; allowed: an integer from 0 to 2**63 - 1, or None"),
        ({"next": "New(self.space.draw(0), seed=10**5000)"}, "New: seed=a value of the class int; allowed: an integer"),
        ({"next": "New(self.space.draw(0), seed=True)"}, "New: seed=True; allowed: an integer from 0 to 2**63 - 1"),
        ({"next": "New({'epochs': float('inf'), 'learning_rate': 1e-3})"}, "New: epochs: inf is not in this space"),
        ({"next": "New(self.space.draw(0), until=True)"}, "New: until=True; allowed: an evaluation's index"),
        (
            {"next": "New(self.space.draw(0))"},
            "New: trial 0 has this config and seed 0; allowed: another config or seed",
        ),
        (
            {"next": "New(self.space.draw(0), seed=0 if history.trials else None)"},
            "New: trial 0 has this config and se",
        ),
        ({"next": "GoOn([0])"}, "GoOn([0]): allowed: the number of a paused trial"),
        ({"next": "GoOn(0.0)"}, "GoOn(0.0): allowed: the number of a paused trial"),
        ({"next": "GoOn(True)"}, "GoOn(True): allowed: the number of a paused trial"),
        ({"next": "Nothing(7)"}, "Nothing: reason=7; allowed: a text, which may be empty"),
        ({"judge": "Judgement(Verdict.PRUNE, 7)"}, "Judgement: reason=7; allowed: a text, which may be empty"),
        ({"judge": "Judgement(Verdict.PRUNE, None)"}, "Judgement: reason=None; allowed: a text, which may be empty"),
        ({"next": "New(self.space.draw(0), until=0)"}, "New: until=0; allowed: an evaluation's index (1, 2, ...), or"),
        (
            {"next": "history.nothing"},
            "next() raised AttributeError: 'History' object has no attribute 'nothing', ",
        ),
        ({"judge": "None"}, "judge() returned None; allowed: a Judgement with a Verdict (CONTINUE, PAUSE, PRUNE, "),
        ({"judge": "Judgement('continue')"}, "judge() returned Judgement(verdict='continue', reason=''); allowed"),
        ({"judge": "exit(3)"}, "judge() raised SystemExit: 3, wrong_"),
    ],
)
def test_a_wrong_answer_ends_the_search_with_its_place(tmp_path, answer, said):
    wanted = written(tmp_path, f"wrong_{abs(hash(said))}", HEAD.format(**GOOD | answer))
    with pytest.raises(UserError) as caught:
        go(wanted, tmp_path / "home")
    line = str(caught.value)
    assert re.match(r"\S+space.yaml:4:18: search.policy: python:wrong_\d+:Policy: ", line)
    assert said in line
    assert "\n" not in line


def test_its_trials_are_trained_with_their_seeds(tmp_path):
    body = HEAD.format(
        next="New(self.space.draw(len(history.trials)), seed=len(history.trials)) if history.room else Nothing()",
        judge="Judgement()",
    )
    wanted = written(tmp_path, "seeded_policy", body)
    study = opened(wanted, tmp_path / "home")
    events = list(Search(study, inline(tmp_path), checkpoints=tmp_path / "checkpoints").run())
    assert sum(isinstance(event, Finished) for event in events) == 2
    assert [trial.config["seed"] for trial in study.history.trials.values()] == [0, 1]
    assert [trial.params for trial in study.history.trials.values()] == [wanted.space.draw(0), wanted.space.draw(1)]
    study.journal.close()


def test_an_edited_policy_is_loaded_again_and_one_of_another_folder_is_refused(tmp_path):
    assert load(written(tmp_path, "edited_policy", HEAD.format(**GOOD) + "    kind = 1\n"))._policy.kind == 1
    found = written(tmp_path, "edited_policy", HEAD.format(**GOOD) + "    kind = 2\n")
    assert load(found)._policy.kind == 2
    (tmp_path / "other").mkdir()
    other = written(tmp_path / "other", "edited_policy", HEAD.format(**GOOD) + "    kind = 3\n")
    with pytest.raises(ConfigError, match=r"space.yaml:\d+:\d+: search.policy: .* imported another module 'edited_"):
        load(other)
    assert load(found)._policy.kind == 2


def test_integers_of_numpy_are_integers(tmp_path):
    body = """
    import numpy as np
    from hpsearch import GoOn, Judgement, New, Nothing

    class Policy:
        def __init__(self, experiment):
            self.space = experiment.space
        def next(self, history):
            if not history.trials:
                return New(self.space.draw(0), seed=np.int64(3), until=np.int64(2))
            return GoOn(np.int64(0), until=np.int32(4)) if history.trials[0].paused_at == 2 else Nothing("enough")
        def judge(self, history, trial):
            return Judgement()
    """
    study, _ = go(written(tmp_path, "numpy_policy", body), tmp_path / "home")
    trial = study.history.trials[0]
    assert (trial.config["seed"], trial.paused, trial.paused_at) == (3, True, 4)


def test_the_same_params_with_another_seed_are_another_training(tmp_path):
    new = "New(self.space.draw(0), seed=len(history.trials)) if history.room else Nothing()"
    study, _ = go(written(tmp_path, "repeating_policy", HEAD.format(**GOOD | {"next": new})), tmp_path / "home")
    assert [trial.config["seed"] for trial in study.history.trials.values()] == [0, 1]
