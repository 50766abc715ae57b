"""A program in real processes: searched, killed with -9 at its worker and its driver, resumed, exported and trained."""

import contextlib
import json
import os
import signal
from pathlib import Path

import pytest

from tests.cli.processes import end, events, hpsearch, started, wait_for
from tests.trainers.searched import RUN, curves, written

TRAIN = """
import json, os, sys, time

lr, folder = float(sys.argv[1]), sys.argv[2]
state, path = {"step": 0, "x": 1.0}, os.path.join(folder, "state.json")
if os.path.exists(path):
    state = json.load(open(path))
while state["step"] < 20:
    state = {"step": state["step"] + 1, "x": state["x"] * (1 - lr)}
    time.sleep(float(os.environ.get("STEP", "0")))
    if state["step"] % 2 == 0:
        print(json.dumps({"val/loss": state["x"], "step": state["step"], "steps": 20, "test/loss": state["x"] + 1}))
    if state["step"] % 3 == 0:
        json.dump(state, open(path + ".new", "w"))
        os.replace(path + ".new", path)
"""
SPACE = """
study: mine
command: python train.py {lr} {folder}
evaluations: 10
seed: 7
budget: {trials: 3}
search: {sampler: random, pruner: none, confirm: false}
resources: {device: cpu, workers: 1}
config:
  lr: {low: 0.01, high: 0.5, log: true}
"""


def made(folder):
    return written(folder, train_py=TRAIN, space_yaml=SPACE)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = made(tmp_path_factory.mktemp("undisturbed"))
    done = hpsearch(*RUN, cwd=folder, views=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return folder


def programs(folder):
    """The processes of this study's programs."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (
                str(folder).encode() in (path / "cmdline").read_bytes()
                and b"train.py" in (path / "cmdline").read_bytes()
            ):
                found.append(int(path.name))
    return found


def test_every_trial_ends_with_its_whole_curve(undisturbed):
    found = curves(undisturbed)
    assert [outcome for outcome, _ in found.values()] == ["completed"] * 3
    assert all([step for _, step, _ in curve] == list(range(2, 21, 2)) for _, curve in found.values())
    assert all(set(metrics) == {"val/loss"} for _, curve in found.values() for _, _, metrics in curve)


@pytest.mark.parametrize(
    "victim", ["driver", *(pytest.param(one, marks=pytest.mark.slow) for one in ("worker", "program"))]
)
def test_a_study_that_was_killed_comes_to_what_an_undisturbed_one_does(undisturbed, tmp_path, victim):
    folder = made(tmp_path / "killed")
    journal = folder / "home/mine/journal.jsonl"
    process = started(*RUN, cwd=folder, views=False, STEP="0.05")
    try:
        wait_for(lambda: len(events(journal, "evaluation")) >= 13 or process.poll() is not None)
        (pid,) = programs(folder)
        if victim == "worker":
            status = Path(f"/proc/{pid}/status").read_text()
            os.kill(int(status.split("PPid:")[1].split()[0]), signal.SIGKILL)
        elif victim == "program":
            os.kill(pid, signal.SIGSTOP)  # a program that hangs ends with its driver, too
    finally:
        if victim != "worker":
            end(process)
        else:
            process.communicate(timeout=600)
    wait_for(lambda: programs(folder) == [], limit=60)
    done = hpsearch(*RUN, cwd=folder, views=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert curves(folder) == curves(undisturbed)


def test_the_winner_is_exported_trained_and_tested(undisturbed):
    folder = undisturbed
    text = (folder / "home/mine/best.yaml").read_text(encoding="utf-8")
    assert "command: python train.py {lr} {folder}\n" in text
    trained = hpsearch("train", "home/mine/best.yaml", "-o", "model", "--home", "home", cwd=folder)
    assert (trained.returncode, trained.stderr) == (0, "")
    assert "value, reproduced to the last bit" in trained.stdout
    metrics = json.loads((folder / "model/metrics.json").read_text())
    assert metrics["test/loss"] == metrics["val/loss"] + 1
    assert json.loads((folder / "model/state.json").read_text())["step"] == 18


def test_a_program_that_fails_says_its_last_line_and_keeps_its_output(tmp_path):
    folder = made(tmp_path / "failing")
    (folder / "train.py").write_text("print('before')\nraise KeyError('lr')\n")
    (folder / "space.yaml").write_text(SPACE.replace("trials: 3", "trials: 1"))
    done = hpsearch(*RUN, cwd=folder, views=False)
    assert done.returncode == 1
    assert "exit code 1: KeyError: 'lr'" in done.stdout + done.stderr
    assert "before\n" in (folder / "home/mine/checkpoints/0000/log.txt").read_text()
    assert "before\n" in (folder / "home/mine/checkpoints/0000/error.txt").read_text()


def test_a_program_that_is_missing_fails_the_search_with_its_error_and_the_file_that_has_it(tmp_path):
    folder = made(tmp_path / "missing")
    (folder / "train.py").unlink()
    done = hpsearch(*RUN, cwd=folder, views=False)
    assert done.returncode == 1
    [error] = done.stderr.splitlines()
    assert error.startswith("error: no winner: no trial has a value (3 failed); trial 0: ProgramFailed: exit code 2: ")
    assert "No such file" in error
    assert error.endswith("; see home/mine/checkpoints/0000/error.txt")
    assert "for more" not in done.stdout
    assert "; see home/mine/checkpoints/0002/error.txt\n" in done.stdout
    listed = json.loads(hpsearch("list", "--json", "--home", "home", cwd=folder).stdout)
    assert "failed" in json.dumps(listed)
    again = hpsearch(*RUN, "--json", cwd=folder, views=False)
    last = json.loads(again.stdout.splitlines()[-1])
    assert (again.returncode, last["event"], last["exit_code"]) == (1, "error", 1)
    assert last["message"] == error.removeprefix("error: ")
