"""A function beside a space file, in real processes: searched, killed, resumed, shown, exported and trained."""

import json
import signal

import pytest
from mlflow import MlflowClient

from hpsearch.space.experiment import Experiment
from tests.cli.processes import end, events, hpsearch, started, wait_for
from tests.trainers.searched import RUN, curves, written

TRAIN = """
import os, sys, time
import numpy as np

def train(config, trial):
    rng = np.random.default_rng(trial.seed)
    state = trial.load() or {"step": 0, "w": np.zeros(4), "rng": rng.bit_generator.state}
    rng.bit_generator.state, w = state["rng"], state["w"]
    for step in range(state["step"] + 1, 41):
        print("step", step)
        time.sleep(float(os.environ.get("STEP", "0")))
        w = w - config["optimizer"]["lr"] * (w - 1 + 0.1 * rng.normal(size=4))
        if step % 4 == 0:
            if step == 8:
                (trial.folder / "note.txt").write_text("half way")
                trial.log_artifact(trial.folder / "note.txt")
            trial.log_metrics({"norm": np.linalg.norm(w)}, step=step - 1)
            yield {"val/loss": np.mean((w - 1) ** 2), "step": step, "steps": 40, "test/loss": w[0]}
        trial.save({"step": step, "w": w, "rng": rng.bit_generator.state})
"""
SPACE = """
study: mine
train: ./my_train.py:train
seed: 7
budget: {trials: 6}
search: {sampler: random, pruner: {name: median, startup_trials: 2}}
resources: {device: cpu, workers: 1}
config:
  name: 学习
  optimizer: {kind: sgd, lr: {low: 0.01, high: 0.5, log: true}}
"""


def made(folder):
    return written(folder, my_train_py=TRAIN, space_yaml=SPACE)


def killed(folder, evaluations, **environment):
    """Runs the study until its journal has so many evaluations, and kills it with -9."""
    journal = folder / "home/mine/journal.jsonl"
    process = started(*RUN, cwd=folder, **environment)
    try:
        wait_for(lambda: len(events(journal, "evaluation")) >= evaluations or process.poll() is not None)
    finally:
        said = end(process)
    assert process.returncode == -signal.SIGKILL, said


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = made(tmp_path_factory.mktemp("undisturbed"))
    done = hpsearch(*RUN, cwd=folder)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "step 1" not in done.stdout  # what it prints goes to its log
    return folder


@pytest.fixture(scope="module")
def resumed(tmp_path_factory):
    """The study killed twice with -9, in the middle of trainings, and resumed to its end."""
    folder = made(tmp_path_factory.mktemp("resumed"))
    killed(folder, 3, STEP="0.02")
    killed(folder, 12, STEP="0.02")
    done = hpsearch(*RUN, cwd=folder)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return folder


@pytest.mark.slow  # tests/faults/test_own_code.py kills at a few points, faster
def test_a_study_that_was_killed_comes_to_what_an_undisturbed_one_does(undisturbed, resumed):
    assert curves(resumed) == curves(undisturbed)
    attempts = [e for e in events(resumed / "home/mine/journal.jsonl", "trial_started") if e["attempt"] > 1]
    assert len(attempts) == 2


def test_the_worst_are_pruned_and_all_have_their_evaluations(undisturbed):
    found = curves(undisturbed)
    assert {outcome for outcome, _ in found.values()} == {"completed", "pruned"}
    whole = [(2 * i, 4 * i) for i in range(1, 11)]
    assert all(
        [(i, step) for i, step, _ in curve] == whole for outcome, curve in found.values() if outcome == "completed"
    )


def test_mlflow_has_params_curves_and_artifacts(undisturbed):
    assert hpsearch("sync", "mine", "--home", "home", cwd=undisturbed).returncode == 0
    client = MlflowClient(tracking_uri=f"sqlite:///{undisturbed}/home/mlflow.db")
    (experiment,) = [one for one in client.search_experiments() if one.name != "Default"]
    runs = client.search_runs([experiment.experiment_id], "tags.`hpsearch.kind` = 'trial'")
    assert len(runs) == 6
    best = next(run for run in runs if "hpsearch.winner" in run.data.tags)
    assert set(best.data.params) == {"optimizer.lr"}
    history = client.get_metric_history(best.info.run_id, "val/loss")
    assert sorted(point.step for point in history) == list(range(4, 41, 4))
    assert sorted(point.step for point in client.get_metric_history(best.info.run_id, "norm"))[0] == 3
    assert "test/loss" not in best.data.metrics
    for run in (run for run in runs if run.data.tags["outcome"] == "completed"):
        assert "note.txt" in [file.path for file in client.list_artifacts(run.info.run_id)]


def test_the_winner_is_shown_exported_trained_and_tested(undisturbed):
    folder = undisturbed
    shown = json.loads(hpsearch("show", "mine", "--json", "--home", "home", cwd=folder).stdout)
    best = shown["best"]
    assert set(best["params"]) == {"optimizer.lr"}
    done = hpsearch("export", "mine", "--home", "home", "-o", "best.yaml", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    text = (folder / "best.yaml").read_text(encoding="utf-8")
    assert "train: ./my_train.py:train\n" in text
    assert "trainer" not in text
    config = Experiment.load(folder / "best.yaml").train_config()
    expected = {"name": "学习", "optimizer": {"kind": "sgd", "lr": best["params"]["optimizer.lr"]}}
    assert config.config.nested == expected
    trained = hpsearch("train", "best.yaml", "-o", "model", "--home", "home", cwd=folder)
    assert (trained.returncode, trained.stderr) == (0, "")
    assert f"trial {best['number']}'s value, reproduced to the last bit" in trained.stdout
    metrics = json.loads((folder / "model/metrics.json").read_text())
    assert set(metrics) == {"val/loss", "test/loss"}
    assert (folder / "model/note.txt").read_text() == "half way"


def test_prints_are_kept_also_of_pruned_trials(undisturbed):
    logs = sorted((undisturbed / "home/mine/checkpoints").glob("*/log.txt"))
    assert [path.parent.name for path in logs] == [f"{n:04d}" for n in range(6)]
    assert all(path.read_text().startswith("step 1\nstep 2\n") for path in logs)


def test_an_exception_fails_its_trial_with_the_line_of_the_function(tmp_path):
    folder = made(tmp_path / "failing")
    code = TRAIN.replace(
        "        print(",
        "        if step == 9:\n            raise RuntimeError('boom with\\nmany lines')\n        print(",
    )
    (folder / "my_train.py").write_text(code)
    text = SPACE.replace("budget: {trials: 6}", "budget: {trials: 1}")
    (folder / "space.yaml").write_text(text)
    done = hpsearch(*RUN, cwd=folder, views=False)
    assert done.returncode == 1  # its evaluations do not count
    (outcome, curve), *_ = curves(folder).values()
    assert (outcome, len(curve)) == ("failed", 2)
    assert "RuntimeError: boom with; see home/mine/checkpoints/0000/error.txt\n" in done.stdout
    assert "many lines" in (folder / "home/mine/checkpoints/0000/error.txt").read_text()


@pytest.mark.slow
def test_the_children_of_a_killed_function_die_with_it(tmp_path):
    folder = made(tmp_path / "children")
    code = """
import subprocess, sys, time
def train(config, trial):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (trial.folder / "child").write_text(str(child.pid))
    yield {"val/loss": 1, "step": 1}
    yield {"val/loss": 1, "step": 2}
    time.sleep(600)
"""
    (folder / "my_train.py").write_text(code)
    killed(folder, 2)
    pid = int((folder / "home/mine/checkpoints/0000/files/child").read_text())
    wait_for(lambda: not _alive(pid), limit=60)


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
