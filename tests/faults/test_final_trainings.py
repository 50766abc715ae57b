"""F83: a final training that is killed at any point comes to the numbers of one that nothing disturbed."""

import json
import os
import random
import signal
import sys
import time
import warnings
from dataclasses import replace

import pytest

from hpsearch.api import final_job
from hpsearch.cli import main
from hpsearch.preflight.preparation import settings_for
from hpsearch.system import failpoints
from hpsearch.views.mlflow.store import Store
from tests import blank
from tests.cli.processes import end, started, wait_for

SPACE = """
study: final
seed: 3
data: {text: {task: text, files: {train: train.txt, valid: valid.txt, test: test.txt}}}
tokenizer: {kind: bytes}
model: {n_layers: 1, width: 16, n_heads: 2, context: 16, dropout: 0.1}
training: {epochs: 1, batch_size: 8, learning_rate: 3e-3}
evaluation: {times: 5}
"""
TRAIN = ("train", "best.yaml", "-o", "model", "--home", "home")
POINTS = ["training_ended:1", "model_whole:1"]  # the test below has one in the middle of the training
MORE = [*(f"file_renamed:{k}" for k in (1, 2, 3, 4, 7, 12, 20)), "run_made:1", "batch_sent:1", "batch_sent:3"]
MORE += ["run_ended:1", "model_exported:1", "training_cleared:1"]


def project(folder):
    """A folder with a text, a config and an empty home."""
    folder.mkdir()
    for part, n in {"train": 60, "valid": 10, "test": 10}.items():
        (folder / f"{part}.txt").write_text("the cat sat on a mat and saw one small dog " * n)
    (folder / "best.yaml").write_text(SPACE)
    blank.home(folder / "home")
    return folder


def often(experiment, home, prepared, threads):
    """Settings by which each step is saved."""
    return replace(settings_for(experiment, home, prepared, threads), checkpoint_seconds=0.0)


def forked(cwd, *arguments, point=""):
    """Runs a command in a fork of this process, killed at a point; returns its exit code (-9) and what it said."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # about forks: the child calls no thread's code
        child = os.fork()
    if child == 0:
        try:
            output = os.open(cwd / "said.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(output, 1), os.dup2(output, 2)
            sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
            os.chdir(cwd)
            final_job.settings_for = often
            failpoints.arm(point)
            main([str(argument) for argument in arguments])
        except SystemExit as done:
            sys.stdout.flush()
            os._exit(done.code or 0)
        finally:
            os._exit(70)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code, (cwd / "said.txt").read_text()


def came_to(folder):
    """The metrics of the model, and what MLflow has of the training: one run, each point of its curves once."""
    store = Store((folder / "home").resolve(), None)
    store.prepare()
    runs = store.found(store.experiment("final"), {"hpsearch.kind": "final"})
    assert len(runs) == 1, "an interrupted training has one run"
    [run_id] = runs
    assert store.client.get_run(run_id).info.status == "FINISHED"
    names = ["val/loss", "train/loss", "learning_rate"]
    curves = {name: [(step, value) for _, value, _, step in store.rows(run_id, [name])] for name in names}
    for curve in curves.values():
        assert len(curve) == len({step for step, _ in curve}) > 0, "a point is there twice"
    store.close()
    metrics = json.loads((folder / "model" / "metrics.json").read_text())
    return metrics, {name: sorted(curve) for name, curve in curves.items()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What the training comes to when nothing disturbs it."""
    import torch  # noqa: F401  # once, for all forks

    folder = project(tmp_path_factory.mktemp("undisturbed") / "project")
    code, said = forked(folder, *TRAIN)
    assert code == 0, said
    assert "resumed" not in said
    return came_to(folder)


@pytest.mark.parametrize("point", [*POINTS, *(pytest.param(point, marks=pytest.mark.slow) for point in MORE)])
def test_killed_at_a_point_it_is_resumed_to_the_same_numbers(tmp_path, undisturbed, point):
    folder = project(tmp_path / "project")
    code, said = forked(folder, *TRAIN, point=point)
    assert code == -signal.SIGKILL, f"{point} is not passed: {said}"
    code, said = forked(folder, *TRAIN)
    if point.startswith("training_cleared"):
        assert (code, "holds a finished training" in said) == (2, True)
    else:
        assert code == 0, said
    assert came_to(folder) == undisturbed
    assert not (folder / "model" / "checkpoints").exists()
    assert [path.name for path in folder.glob(".model*")] == []


def test_it_says_from_where_it_goes_on(tmp_path, undisturbed):
    folder = project(tmp_path / "project")
    forked(folder, *TRAIN, point="file_renamed:8")
    code, said = forked(folder, *TRAIN)
    assert code == 0, said
    assert "resumed: the training of seed 3 goes on from step " in said
    assert came_to(folder) == undisturbed


def test_another_config_does_not_resume_it(tmp_path):
    folder = project(tmp_path / "project")
    forked(folder, *TRAIN, point="file_renamed:8")
    (folder / "best.yaml").write_text(SPACE.replace("3e-3", "4e-3"))
    code, said = forked(folder, *TRAIN)
    assert code == 2
    line = "model: its training was begun with another config (training.learning_rate: 0.003 -> 0.004); undo, or choose"
    assert line in said
    code, said = forked(folder, *TRAIN, "--data", "train+valid")
    assert (code, "begun with another config" in said) == (2, True)


# ------------------------------------------------------------------------------------------------------ real processes

SLOWLY = """
import sys, time
from dataclasses import replace
from hpsearch.api import final_job
from hpsearch.preflight.preparation import settings_for
from hpsearch.training import loop
step = loop.Training.train_step
def slowly(self):
    time.sleep(0.02)
    step(self)
loop.Training.train_step = slowly
final_job.settings_for = lambda *a: replace(settings_for(*a), checkpoint_seconds=0.2)
from hpsearch.cli import main
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_signals_at_random_moments_of_real_processes_change_nothing(tmp_path, undisturbed, number, monkeypatch):
    import tests.cli.processes as processes

    monkeypatch.setattr(processes, "PROGRAM", [sys.executable, "-c", SLOWLY])
    folder, draw = project(tmp_path / "project"), random.Random(int(number))
    saved = folder / "model" / "checkpoints" / "seed-3" / "last.pt"
    for _ in range(3):
        process = started(*TRAIN, cwd=folder)
        before = saved.stat().st_mtime_ns if saved.exists() else 0
        wait_for(
            lambda at=before, of=process: of.poll() is not None or (saved.exists() and saved.stat().st_mtime_ns > at)
        )
        time.sleep(draw.random())
        end(process, number)
        if process.returncode == 0:
            break
        allowed = {-number} if number == signal.SIGKILL else {-number, 128 + number}  # -number: after its last step
        assert process.returncode in allowed
    process = started(*TRAIN, cwd=folder)
    out, err = process.communicate(timeout=600)
    if not (process.returncode == 2 and "finished training" in err):
        assert process.returncode == 0, err
        assert "resumed: the training of seed 3" in out
    assert came_to(folder) == undisturbed


# ----------------------------------------------------------------------------------------------------- other trainings

MINE = """
def train(config, trial):
    state = trial.load() or {"step": 0, "value": 4.0}
    while state["step"] < 40:
        state = {"step": state["step"] + 1, "value": state["value"] * 0.97}
        trial.save(state)
        print("step", state["step"])
        done = state["step"] / 40
        yield {"error": state["value"], "test/loss": state["value"] + 0.1, "step": state["step"], "progress": done}
"""


def test_a_function_that_saves_its_state_is_resumed_too(tmp_path):
    def own(name):
        folder = project(tmp_path / name)
        (folder / "mine.py").write_text(MINE)
        (folder / "best.yaml").write_text("study: final\nseed: 3\nobjective: {metric: error}\ntrain: ./mine.py:train\n")
        return folder

    whole, cut = own("whole"), own("cut")
    code, said = forked(whole, *TRAIN)
    assert code == 0, said
    assert forked(cut, *TRAIN, point="file_renamed:20")[0] == -signal.SIGKILL
    code, said = forked(cut, *TRAIN)
    assert code == 0, said
    assert "resumed: the training of seed 3 goes on from step " in said
    metrics = [json.loads((folder / "model" / "metrics.json").read_text()) for folder in (whole, cut)]
    assert metrics[0] == metrics[1]
    assert metrics[0]["test/loss"] == pytest.approx(4.0 * 0.97**40 + 0.1)
