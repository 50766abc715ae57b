"""`hpsearch.run` in this process: what it returns, raises and shows."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import hpsearch
from hpsearch.events import Finished, Measured, Notice, Opened, Preparing, Searched, Shipped, Started
from hpsearch.testing.toy import Toy
from tests import blank
from tests.cli.processes import TOY

pytestmark = pytest.mark.usefixtures("without_views")


@pytest.fixture
def run(space, tmp_path):
    """Runs the space in this process, with some settings changed."""

    def call(wanted=None, **options):
        options = {"home": tmp_path / "home", "base": tmp_path, "launcher": "inline", "progress": False, **options}
        return hpsearch.run(space if wanted is None else wanted, **options)

    return call


def test_a_mapping_is_searched_and_its_study_returned(run, tmp_path):
    study = run()
    assert (study.name, study.metric, study.direction) == ("toy", "val/loss", "minimize")
    assert [trial.outcome for trial in study.trials] == ["completed"] * 3
    assert study.best.value == min(trial.value for trial in study.trials)
    assert not study.is_running
    assert (tmp_path / "home" / "toy" / "best.yaml").exists()


def test_the_same_call_resumes_and_a_larger_budget_adds_trials(run):
    first, again, more = run(trials=2), run(trials=2), run()
    assert first.trials == again.trials == more.trials[:2]
    assert len(more.trials) == 3


def test_a_space_file_and_an_experiment_work_as_well(run, space_file):
    path = space_file("study: filed\nbudget: {trials: 1}\n" + TOY)
    assert run(path, base=None).name == "filed"
    assert run(hpsearch.Experiment.load(path), base=None, study="another").name == "another"


def test_data_of_a_mapping_are_read_from_the_working_folder(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(run(base=None, trials=1).trials) == 1


def test_numpy_numbers_paths_and_tuples_are_accepted(run, space, tmp_path):
    space["data"]["text"]["files"] = {"train": tmp_path / "data" / "train.txt", "valid": "data/valid.txt"}
    space["training"]["learning_rate"] = {"choices": (np.float64(1e-3), 2e-3)}
    space["budget"]["trials"] = np.int64(1)
    assert run().trials[0].params["learning_rate"] in (1e-3, 2e-3)


MISTAKES = [
    ({"study": None}, {}, "space: study: give the study a name"),
    ({"training": {"learning_rat": 1}}, {}, "space: training.learning_rat: unknown key; did you mean 'learning_rate'?"),
    ({"training": {"epochs": {"low": 3, "high": 1}}}, {}, "space: training.epochs: low 3.0 is above high 1.0"),
    ({"training": {"epochs": {1, 2}}}, {}, "space: training.epochs: {1, 2} is a set"),
    ({"model": {"n_layers": [object]}}, {}, "space: model.n_layers[1]: <class 'object'> is a type"),
    ({"data": {"text": {"task": "text", "files": {"train": "none.txt"}}}}, {}, "space: data.text: .*none.txt"),
    ({}, {"trials": 0}, "trials: 0 is not allowed; allowed: a whole number from 1 to 1,000,000"),
    ({}, {"hours": float("nan")}, "hours: nan is not allowed; allowed: a finite number above 0"),
    ({}, {"workers": "many"}, "workers: 'many' is not allowed; allowed: auto, or a whole number"),
    ({}, {"device": "tpu"}, "device: 'tpu' is not allowed; allowed: auto, cpu, cuda, mps"),
    ({}, {"launcher": "slurm"}, "launcher: 'slurm' is not allowed; allowed: local, inline, ray"),
    ({}, {"study": "../evil"}, "study: '../evil' is not allowed"),
    ({}, {"home": 5}, "home: 5 is not allowed; allowed: the path of a folder"),
    ({}, {"base": 5}, "base: 5 is not allowed; allowed: the path of a folder, or None"),
    ({}, {"base": "/no/such"}, "base: no such folder: /no/such"),
    ({}, {"stopping": True}, "stopping: True is not allowed; allowed: a function that returns True or False, or None"),
    ({}, {"progress": "yes"}, "progress: 'yes' is not allowed; allowed: True, False, or a function"),
    ({}, {"progress": None}, "progress: None is not allowed"),
    ({}, {"progress": 1}, "progress: 1 is not allowed"),
    ({}, {"policy": "optuna"}, "policy: 'optuna' is not allowed; allowed: an object with the methods next() and judge"),
    ({}, {"policy": hpsearch.Policy}, "policy: Policy is a class; allowed: an object, as in policy=Policy()"),
]


@pytest.mark.parametrize(("change", "options", "said"), MISTAKES, ids=[m[2][:40] for m in MISTAKES])
def test_a_mistake_names_the_path_of_keys_or_the_argument(run, space, tmp_path, change, options, said):
    with pytest.raises(hpsearch.UserError) as refusal:
        run({**space, **change}, **options)
    assert len(str(refusal.value).splitlines()) == 1
    assert str(refusal.value).startswith(said.split(".*")[0])
    assert not list(tmp_path.glob("home/*/journal.jsonl"))


@pytest.mark.parametrize("space", [None, 5, [1], b"space.yaml"])
def test_a_space_of_a_wrong_kind_is_one_line(tmp_path, space):
    said = re.escape(f"space: {space!r} is not allowed; allowed: the path of a file, a mapping or an Experiment")
    with pytest.raises(hpsearch.UserError, match=f"^{said}$"):
        hpsearch.run(space, home=tmp_path / "home")
    assert not (tmp_path / "home").exists()


def test_a_file_as_home_names_no_option_of_the_command_line(run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(hpsearch.UserError, match=rf"^home {tmp_path}/file: cannot make the folder: File exists$"):
        run(home=tmp_path / "file")


def test_a_trainer_in_the_running_script_is_refused_for_other_processes(run, space, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["__main__"], "Mine", Toy, raising=False)
    with pytest.raises(hpsearch.ConfigError, match=r"^space: trainer: python:__main__:Mine: worker processes cannot"):
        run({**space, "trainer": "python:__main__:Mine"}, launcher="local")
    assert not (tmp_path / "home").exists()
    assert len(run({**space, "trainer": "python:__main__:Mine"}, trials=1).trials) == 1


def test_an_error_shows_no_password(run, space, monkeypatch):
    monkeypatch.setenv("DATA_TOKEN", "s3cr3t-t0ken")
    space["data"]["text"]["files"]["train"] = "s3cr3t-t0ken.txt"
    with pytest.raises(hpsearch.DataError, match=r"\*\*\*.txt") as refusal:
        run()
    assert "s3cr3t" not in str(refusal.value)


def test_a_callable_gets_the_events_in_order(run):
    seen = []
    run(progress=seen.append, trials=1)
    kinds = [type(event) for event in seen if not isinstance(event, Notice)]
    assert kinds[0] is Preparing
    searched = kinds[kinds.index(Opened) :]
    assert searched == [Opened, Started, *[Measured] * 20, Finished, Searched, Shipped]
    assert any(event.line.startswith("warning: ") for event in seen if isinstance(event, Notice))


def test_without_a_display_warnings_go_to_logging(run, space, caplog, capsys):
    del space["budget"]
    run(trials=1)
    assert "the budget names neither trials nor hours: 20 trials" in caplog.text
    assert capsys.readouterr() == ("", "")


def test_an_error_of_the_callable_ends_the_search_and_the_study_can_be_resumed(run):
    def show(event):
        if isinstance(event, Measured) and event.evaluation.index == 5:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(progress=show)
    assert [trial.outcome for trial in run().trials] == ["completed"] * 3


def test_stopping_saves_and_returns_the_study(run):
    seen = []
    study = run(progress=seen.append, stopping=lambda: sum(isinstance(e, Measured) for e in seen) >= 30)
    assert [trial.outcome for trial in study.trials] == ["completed", "interrupted"]
    assert study.trials[1].value is not None
    assert [trial.outcome for trial in run().trials] == ["completed"] * 3


def test_ctrl_c_saves_and_raises(run, tmp_path):
    before = signal.getsignal(signal.SIGINT)

    def show(event):
        if isinstance(event, Measured) and event.evaluation.index == 5:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match="study 'toy' is saved; the same call resumes it"):
        run(progress=show)
    study = hpsearch.load("toy", home=tmp_path / "home")
    assert [trial.outcome for trial in study.trials] == ["interrupted"]
    assert study.history.stopped == "interrupted"
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_twice_leaves_at_once(run):
    def show(event):
        if isinstance(event, Measured) and event.evaluation.index == 5:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as left:
        run(progress=show)
    assert str(left.value) == ""
    assert [trial.outcome for trial in run().trials] == ["completed"] * 3


class Halving:
    """Four short trials; the better half is resumed: as a user writes it in a notebook."""

    def next(self, history):
        if len(history.trials) < 4:
            return hpsearch.New({"learning_rate": 1e-3 * (1 + len(history.trials)), "epochs": 2.0}, until=5)
        paused = [trial.number for trial in history.trials.values() if trial.paused]
        best = [trial.number for trial in history.ranked(unfinished=True)[:2]]
        return next((hpsearch.GoOn(number) for number in paused if number in best), hpsearch.Nothing())

    def judge(self, history, trial):
        return hpsearch.Judgement()


def test_a_callers_own_policy_decides(run):
    study = run(policy=Halving(), trials=4)
    assert sorted(trial.outcome for trial in study.trials) == ["completed", "completed", "paused", "paused"]
    assert study.best.outcome == "completed"
    assert {len(trial.evaluations) for trial in study.trials if trial.outcome == "paused"} == {5}


def test_a_wrong_policy_or_a_wrong_answer_is_one_line(run):
    with pytest.raises(hpsearch.UserError, match=r"^policy: object has no method next\(\)$"):
        run(policy=object())

    class Wrong(Halving):
        def next(self, history):
            return hpsearch.New({"learning_rate": 7.0, "epochs": 2.0})

    with pytest.raises(hpsearch.UserError, match=r"^policy Wrong: New: .*learning_rate"):
        run(policy=Wrong())


def test_it_runs_in_another_thread(run):
    found = []
    thread = threading.Thread(target=lambda: found.append(run(launcher="local", workers=1, trials=1)))
    thread.start()
    thread.join()
    assert [trial.outcome for trial in found[0].trials] == ["completed"]


def test_it_runs_inside_a_running_loop(run):
    async def cell():
        return run(launcher="local", workers=1, trials=1)

    assert [trial.outcome for trial in asyncio.run(cell()).trials] == ["completed"]


SCRIPT = """
import sys
import hpsearch

print("ran as", __name__, flush=True)
study = hpsearch.run("space.yaml", home="home", workers=2)
print(*(trial.outcome for trial in study.trials))
"""


IN_THREADS = """
import sys
import threading
import hpsearch

print("ran as", __name__, flush=True)
main, found = sys.modules["__main__"], []

def search(name):
    found.append(hpsearch.run("space.yaml", study=name, home="home", workers=1, trials=1, progress=False))

threads = [threading.Thread(target=search, args=[name]) for name in ("one", "two", "three")]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(*sorted(f"{study.name} {study.trials[0].outcome}" for study in found), sys.modules["__main__"] is main)
"""


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (SCRIPT, "completed completed"),
        pytest.param(IN_THREADS, "one completed three completed two completed True", marks=pytest.mark.slow),
    ],
    ids=["one search", "three threads"],
)
def test_a_script_needs_no_main_guard(tmp_path, space_file, script, said):
    ranges = "training: {epochs: {low: 1, high: 4}}\n"
    space_file("study: toy\nbudget: {trials: 2}\nsearch: {pruner: none, overfitting: false}\n" + TOY + ranges)
    (tmp_path / "script.py").write_text(script)
    blank.home(tmp_path / "home")
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.splitlines() == ["ran as __main__", said], done.stderr
