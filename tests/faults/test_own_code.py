"""F3 with a user's own code: a function that saves, one that does not, and a program, killed at passes of a point."""

import pytest

from tests.faults.runs import facts

FUNCTION = """
def train(config, trial):
    step, x = trial.load() or (0, 1.0)
    while step < 8:
        step, x = step + 1, x * (1 - config["lr"])
        if step % 2 == 0:
            yield {"val/loss": x, "step": step, "steps": 8}
        SAVE
"""
PROGRAM = """
import json, os, sys, time
lr, folder = float(sys.argv[1]), sys.argv[2]
path, taken = os.path.join(folder, "state.json"), os.path.join(folder, "..", "last.pt")
step, x = json.load(open(path)) if os.path.exists(path) else (0, 1.0)
while step < 8:
    step, x = step + 1, x * (1 - lr)
    if step % 2 == 0:
        print(json.dumps({"val/loss": x, "step": step, "steps": 8}))
        while not os.path.exists(taken) or f'"step": {step}' not in open(taken).read():
            time.sleep(0.01)  # as if the next steps took longer than hpsearch to read the line
    if step == 5:
        json.dump((step, x), open(path + ".new", "w"))
        os.replace(path + ".new", path)
"""
SPACE = """
study: toy
seed: 3
budget: {trials: 3}
evaluations: 4
search: {sampler: random, pruner: none, max_retries: 1000, confirm: false}
resources: {device: cpu}
config: {lr: {low: 0.01, high: 0.5, log: true}}
"""
KINDS = {
    "saves": ("train: ./mine.py:train", FUNCTION.replace("SAVE", "trial.save((step, x))")),
    "saves nothing": ("train: ./mine.py:train", FUNCTION.replace("SAVE", "pass")),
    "program": ("command: python mine.py {lr} {folder}", PROGRAM),
}
RUN = ("run", "space.yaml", "--home", "home", "--launcher", "inline")
SOME = {"file_written": (2, 4), "file_renamed": (3, 4), "report_begun": (2, 7), "journal_written": (4,)}
POINTS = [(point, k) for point, passes in SOME.items() for k in passes]
FIRST = POINTS[::3]


def folder(path, kind):
    path.mkdir()
    line, code = KINDS[kind]
    (path / "space.yaml").write_text(f"{line}{SPACE}")
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
