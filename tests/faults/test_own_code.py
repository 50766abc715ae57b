"""F3, F84 with a user's own code: functions that save and do not, a program, a trainer class; killed, and resumed."""

import json
import os
import time
from collections import Counter

import pytest

from tests import blank
from tests.cli.processes import events
from tests.faults.nemesis import Nemesis
from tests.faults.runs import facts

SEED = int(os.environ.get("HPSEARCH_SEED", "0")) or int(time.time())
MANY = int(os.environ.get("HPSEARCH_KILLS", "300"))

FUNCTION = """
import os, time

def train(config, trial):
    step, x = trial.load() or (0, 1.0)
    while step < 8:
        time.sleep(float(os.environ.get("STEP", "0")))
        step, x = step + 1, x * (1 - config["lr"])
        if step % 2 == 0:
            yield {"val/loss": x, "step": step, "steps": 8}
        SAVE
"""
PROGRAM = """
import json, os, sys, time
lr, folder = float(sys.argv[1]), sys.argv[2]
path = os.path.join(folder, "state.json")
step, x = json.load(open(path)) if os.path.exists(path) else (0, 1.0)
while step < 8:
    time.sleep(float(os.environ.get("STEP", "0")))
    step, x = step + 1, x * (1 - lr)
    if step % 2 == 0:
        print(json.dumps({"val/loss": x, "step": step, "steps": 8}))
    json.dump((step, x), open(path + ".new", "w"))
    os.replace(path + ".new", path)  # whether or not hpsearch has read the line
"""
CLASS = """
import os, time
from hpsearch import Command, Evaluation, Section, Trainer, load_state, save_state

class Fit(Section):
    lr: float = 0.1

class Mine(Trainer):
    sections = {"fit": Fit}

    def train(self, config, handle):
        state = load_state(config, handle) or {"step": 0, "x": 1.0, "known": []}
        yield from [Evaluation(**one) for one in state["known"]]
        while state["step"] < 8:
            if handle.command() is not Command.CONTINUE:
                save_state(config, handle, state)
                return
            time.sleep(float(os.environ.get("STEP", "0")))
            state |= {"step": state["step"] + 1, "x": state["x"] * (1 - config.fit.lr)}
            if state["step"] % 2 == 0:
                at = {"index": state["step"] // 2, "step": state["step"], "progress": state["step"] / 8}
                state["known"].append(at | {"metrics": {"val/loss": state["x"]}})
                yield Evaluation(**state["known"][-1])
            save_state(config, handle, state)
"""
SPACE = """
study: toy
seed: 3
budget: {trials: TRIALS}
search: {sampler: random, pruner: none, max_retries: 1000, confirm: false}
resources: {device: cpu}
SECTION: {lr: {low: 0.01, high: 0.5, log: true}}
"""
KINDS = {
    "saves": ("train: ./mine.py:train", FUNCTION.replace("SAVE", "trial.save((step, x))")),
    "saves nothing": ("train: ./mine.py:train", FUNCTION.replace("SAVE", "pass")),
    "program": ("command: python mine.py {lr} {folder}", PROGRAM),
    "class": ("trainer: python:mine:Mine", CLASS),
}
RUN = ("run", "space.yaml", "--home", "home", "--launcher", "inline")
SOME = {"file_written": (2, 4), "file_renamed": (3, 4), "report_begun": (2, 7), "journal_written": (4,)}
POINTS = [(point, k) for point, passes in SOME.items() for k in passes]
FIRST = POINTS[::3]


def folder(path, kind, trials=3):
    path.mkdir()
    line, code = KINDS[kind]
    is_class = kind == "class"
    space = SPACE.replace("TRIALS", str(trials)).replace("SECTION", "fit" if is_class else "config")
    (path / "space.yaml").write_text(f"{line}{space}" + "evaluations: 4\n" * (not is_class))
    (path / "mine.py").write_text(code)
    return path


@pytest.fixture(scope="module", params=list(KINDS))
def undisturbed(request, zygote, tmp_path_factory):
    """A kind of code, and the trials of its study when nothing disturbs it."""
    cwd = folder(tmp_path_factory.mktemp("undisturbed") / "run", request.param)
    done = zygote.run(cwd, *RUN)
    assert done.code == 0, done.said
    return request.param, facts(cwd)


@pytest.mark.parametrize(
    ("point", "k"), [one if one in FIRST else pytest.param(*one, marks=pytest.mark.slow) for one in POINTS]
)
def test_a_study_killed_in_a_trial_comes_to_what_an_undisturbed_one_does(zygote, tmp_path, undisturbed, point, k):
    kind, expected = undisturbed
    cwd = folder(tmp_path / "run", kind)
    killed = zygote.run(cwd, *RUN, HPSEARCH_FAILPOINT=f"{point}:{k}")
    assert killed.code == -9, killed.said
    done = zygote.run(cwd, *RUN, HPSEARCH_FAILPOINT="")
    assert done.code == 0, done.said
    assert facts(cwd) == expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rounds", [1, pytest.param(max(1, MANY // 3), marks=pytest.mark.slow)])
def test_kills_at_random_moments_change_nothing(zygote, tmp_path, report, kind, rounds):
    """F84, F87: in each round the driver, it with all that it started, and two workers; a trial takes 0.2 s."""
    trials = 4 * rounds + 2
    whole, cwd = folder(tmp_path / "whole", kind, trials), folder(tmp_path / "killed", kind, trials)
    assert (done := zygote.run(whole, *RUN)).code == 0, done.said
    nemesis = Nemesis(zygote, cwd, SEED, views=False, STEP="0.025")
    for _ in range(rounds):
        nemesis.kill_drivers(nemesis.kills + 1, latest=0.1)
        nemesis.kill_drivers(nemesis.kills + 1, latest=0.1, everything=True)
    drivers = nemesis.kills
    nemesis.kill_workers(nemesis.kills + 2 * rounds, latest=0.2, starved=0.2)  # the driver then ends the study
    report(f"F84 {kind}, seed {SEED}: {drivers} drivers and {nemesis.kills - drivers} workers killed")
    nemesis.finish()
    assert nemesis.kills >= 2 * rounds
    assert nemesis.outlived == []
    assert facts(cwd) == facts(whole)
    journal = cwd / "home/toy/journal.jsonl"
    assert Counter(one["trial"] for one in events(journal, "trial_finished")) == dict.fromkeys(range(trials), 1)
    seen = Counter((one["trial"], one["evaluation"]["index"]) for one in events(journal, "evaluation"))
    assert seen == {(trial, index): 1 for trial in range(trials) for index in range(1, 5)}


# ------------------------------------------------------------------------------------------------ the final training

TRAIN = ("train", "best.yaml", "-o", "model", "--home", "home")


def final(path, kind):
    """A folder with a config to train, and an empty home."""
    folder(path, kind)
    space = (path / "space.yaml").read_text().replace("{low: 0.01, high: 0.5, log: true}", "0.1")
    (path / "best.yaml").write_text(space)
    blank.home(path / "home")
    return path


def came_to(path):
    """The metrics, and the curve as MLflow is told of it."""
    [seed] = json.loads((path / "model/run.json").read_text())["seeds"]
    curve = [(one["index"], one["step"], one["metrics"]) for one in seed["evaluations"]]
    return json.loads((path / "model/metrics.json").read_text()), curve


@pytest.mark.parametrize("kind", KINDS)
def test_a_final_training_that_is_killed_comes_to_the_numbers_of_an_undisturbed_one(zygote, tmp_path, kind):
    """Killed in the middle of its training, then once it has ended; of what saves nothing only then."""
    whole, cwd = final(tmp_path / "whole", kind), final(tmp_path / "killed", kind)
    assert (done := zygote.run(whole, *TRAIN)).code == 0, done.said
    for point in ["file_renamed:3"] * (kind != "saves nothing") + ["training_ended:1"]:
        killed = zygote.run(cwd, *TRAIN, HPSEARCH_FAILPOINT=point)
        assert killed.code == -9, f"{point} is not passed: {killed.said}"
    assert (done := zygote.run(cwd, *TRAIN, HPSEARCH_FAILPOINT="")).code == 0, done.said
    assert came_to(cwd) == came_to(whole)
    assert [index for index, _, _ in came_to(whole)[1]] == [1, 2, 3, 4]
