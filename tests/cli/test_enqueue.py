"""`hpsearch enqueue`: values as in a space file, one line each way."""

import io
import json

import pytest
from rich.console import Console

from hpsearch.journal.queue_file import QueueFile
from hpsearch.policies.enqueued import EnqueuedPolicy
from hpsearch.policies.loading import load
from hpsearch.search.loop import Search
from hpsearch.search.requests import Requests
from tests.api.conftest import NoViews
from tests.cli.folders import small
from tests.searching import experiment, go, inline, opened

RANGES = """
model:
  choices:
    - {n_layers: 1, width: 32}
    - {n_layers: {low: 2, high: 4}, width: 64}
training:
  learning_rate: {low: 1e-4, high: 1e-2, log: true}
  schedule: {choices: [wsd, cosine]}
  batch_size: {choices: [8, 16, 32]}
"""
OTHER_CHOICE = (
    "study 'toy': n_layers: this config has no n_layers: it is of another choice; add the choice that has it: "
    'model="n_layers=2..4, width=64"\n'
)


@pytest.fixture
def home(tmp_path):
    """A home with a study of one trial."""
    (tmp_path / "home").mkdir()
    go(experiment("budget: {trials: 2}\n", ranges=RANGES), tmp_path / "home" / "toy", stop_after=3)
    return tmp_path / "home"


@pytest.mark.parametrize("choice", ["model=n_layers=2..4, width=64", "width=64"], ids=["label", "values"])
def test_values_are_read_as_in_a_space_file(call, home, choice):
    given = ["learning_rate=3e-4", "schedule=cosine", choice, "n_layers=2"]
    code, said, errors = call("enqueue", "toy", *given, "--home", home)
    assert (code, errors) == (0, "")
    assert said == (
        "enqueued: n_layers=2 width=64 learning_rate=0.0003 batch_size=8 schedule=cosine; "
        "the next `hpsearch run` tries it\n"
    )
    assert [entry["params"]["learning_rate"] for entry in QueueFile(home / "toy").new()] == [3e-4]


def test_a_name_may_have_its_section_as_explain_shows_it(call, home):
    given = ["training.learning_rate=3e-4", "training.schedule=cosine", "model=n_layers=2..4, width=64"]
    code, said, errors = call("enqueue", "toy", *given, "model.n_layers=2", "--home", home)
    assert (code, errors) == (0, "")
    assert said.startswith("enqueued: n_layers=2 width=64 learning_rate=0.0003 batch_size=8 ")
    twice = call("enqueue", "toy", "learning_rate=1e-3", "training.learning_rate=2e-3", "--home", home)
    assert twice == (2, "", "error: study 'toy': learning_rate is given twice: also as training.learning_rate\n")


def test_show_lists_what_waits(call, home):
    call("enqueue", "toy", "batch_size=32", "schedule=cosine", "--home", home)
    line = "enqueued, not tried yet: n_layers=1 width=32 learning_rate=0.003 batch_size=32 schedule=cosine\n"
    assert line in call("show", "toy", "--home", home)[1]
    waits = json.loads(call("show", "toy", "--home", home, "--json")[1])["enqueued"]
    assert [params["batch_size"] for params in waits] == [32]
    wanted, folder = experiment("budget: {trials: 2}\n", ranges=RANGES), home / "toy"
    study = opened(wanted, folder)
    options = {"checkpoints": folder / "checkpoints", "requests": Requests(study, folder)}
    list(Search(study, inline(folder), policy=EnqueuedPolicy(load(wanted), wanted), **options).run())
    study.journal.close()
    assert [trial.label for trial in study.history.trials.values()] == ["default", "enqueued"]
    assert "enqueued" not in call("show", "toy", "--home", home)[1]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["learning_rate"], "'learning_rate' is not NAME=VALUE, as in learning_rate=3e-4"),
        (["=3"], "'=3' is not NAME=VALUE"),
        (["batch_size=8", "batch_size=16"], "batch_size is given twice"),
        (["batch_size=9"], "study 'toy': batch_size: 9 is not in its range (choices 8 | 16 | 32)"),
        (["schedule=[cosine"], "study 'toy': schedule: '[cosine' is not in its range (choices 'wsd' | 'cosine')"),
        (["model=n_layers=1, width=32", "n_layers=3"], OTHER_CHOICE),
        (["n_layers=9"], "study 'toy': n_layers: 9 is not in its range"),
    ],
)
def test_a_mistake_is_one_line(call, home, given, said):
    code, out, errors = call("enqueue", "toy", *given, "--home", home)
    assert (code, out) == (2, "")
    assert errors.startswith(f"error: {said}")
    assert errors.count("\n") == 1


def test_a_running_study_is_promised_nothing(call, home, monkeypatch):
    """Whether its budget has room is known to its driver alone."""
    monkeypatch.setattr("hpsearch.journal.study_lock.is_locked", lambda path: True)
    code, said, _ = call("enqueue", "toy", "batch_size=32", "--home", home)
    assert code == 0
    assert said.endswith("; study 'toy' is running and tries it next, if its budget has room\n")


@pytest.mark.parametrize(
    "command", [["enqueue", "toy", "batch_size=32"], ["repair", "toy"]], ids=lambda command: command[0]
)
def test_in_a_terminal_lines_wrap_between_words(call, home, monkeypatch, command):
    file = io.StringIO()
    made = Console(file=file, force_terminal=True, width=40, soft_wrap=True)
    monkeypatch.setattr("hpsearch.displays.console.console", lambda: made)
    call(*command, "--home", home)
    lines = file.getvalue().splitlines()
    assert any(line.startswith("    ") for line in lines)  # the rest of a long one


def test_a_spent_budget_is_named(call, home):
    go(experiment("budget: {trials: 2}\n", ranges=RANGES), home / "toy")
    code, said, _ = call("enqueue", "toy", "batch_size=32", "--home", home)
    assert code == 0
    assert said.endswith(f"; the budget is spent: hpsearch extend toy --home {home} --trials 1 tries it\n")


def test_the_budget_is_that_of_the_latest_run_not_that_of_the_file(call, tmp_path, monkeypatch):
    """`run --trials 2` of a file of 9 trials has spent the budget."""
    monkeypatch.setattr("hpsearch.search.driver.shipper.start", NoViews)
    small(tmp_path, "said", trials=9)
    where = ("--home", tmp_path / "home")
    assert call("run", tmp_path / "space.yaml", *where, "--trials", "2", "--launcher", "inline", "--quiet")[0] == 0
    code, said, errors = call("enqueue", "said", "learning_rate=3e-3", "epochs=3", *where)
    assert (code, errors) == (0, "")
    assert f"; the budget is spent: hpsearch extend said {where[0]} {where[1]} --trials 1 tries it" in said
