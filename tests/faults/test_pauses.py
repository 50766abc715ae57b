"""F73: trials that a policy pauses and resumes, killed at every pass of every named point, and resumed."""

import random
import shutil
from pathlib import Path

import pytest

from hpsearch import journal
from tests.faults.checker import check, killed_and_resumed
from tests.faults.runs import facts, folder, history
from tests.faults.test_crash_points import OF_PAUSES, POINTS
from tests.policies import pausing

RUN = ("run", "space.yaml", "--home", "home")
SOME, EVERY = (1, 2, 5), range(1, 500)  # passes of a point
CASES = [pytest.param(point, SOME, id=point) for point in sorted(OF_PAUSES)]
CASES += [
    pytest.param(point, EVERY, id=f"{point}, every", marks=pytest.mark.slow) for point in [*sorted(OF_PAUSES), *POINTS]
]


def study(path, *, trials=3):
    """A folder with a small study whose policy pauses each trial at each evaluation."""
    cwd = folder(path, trials=trials)
    space = (cwd / "space.yaml").read_text().replace("search: {", "search: {policy: 'python:pausing:make', ")
    (cwd / "space.yaml").write_text(space)
    shutil.copy(Path(pausing.__file__), cwd / "pausing.py")
    return cwd


@pytest.fixture(scope="module")
def undisturbed(zygote, tmp_path_factory):
    """The trials of the same study when nothing disturbs it."""
    cwd = study(tmp_path_factory.mktemp("undisturbed") / "run")
    done = zygote.run(cwd, *RUN, "--launcher", "inline")
    assert done.code == 0, done.said
    trials = history(cwd).trials.values()
    assert [(trial.outcome, trial.attempt, len(trial.evaluations)) for trial in trials] == [("completed", 4, 4)] * 3
    return facts(cwd)


@pytest.mark.parametrize(("point", "passes"), CASES)
def test_killed_at_a_point_and_resumed_it_is_as_if_it_had_not_been(zygote, tmp_path, undisturbed, point, passes):
    """F73: killed at the k-th pass and resumed; k rises until a run ends without a crash."""
    crashes = 0
    for cwd in killed_and_resumed(zygote, ((k, study(tmp_path / str(k))) for k in passes), point):
        assert facts(cwd) == undisturbed
        assert resumed_by_themselves(cwd) == []
        crashes += 1
    assert crashes > 0 or point == "study_rebuilt"


def resumed_by_themselves(cwd):
    """Paused trials that started again without a decision of the policy."""
    paused, found = set(), []
    for event in journal.read(cwd / "home" / "toy" / "journal.jsonl"):
        if event["event"] == "trial_paused":
            paused.add(event["trial"])
        elif event["event"] == "trial_resumed":
            paused.discard(event["trial"])
        elif event["event"] == "trial_started" and event["trial"] in paused:
            found.append(event["trial"])
    return found


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 6))])
def test_crashes_in_a_row_change_nothing(zygote, tmp_path, undisturbed, seed):
    """F73: the run and each resume of it killed, at points of pauses and others; then a resume without a crash."""
    draw, cwd, said = random.Random(seed), study(tmp_path / "run"), ""
    environment = {"TOY_CHECKPOINT": "30", "TOY_HISTORY": str(cwd / "acknowledged.jsonl")}
    points = [*sorted(OF_PAUSES), "journal_written", "report_done", "journal_read", "study_rebuilt", "retry_recorded"]
    for point in [*(f"{draw.choice(points)}:{draw.randint(1, 2)}" for _ in range(6)), ""]:
        done = zygote.run(cwd, *RUN, "--launcher", "inline", HPSEARCH_FAILPOINT=point, **environment)
        said += done.said
    assert done.code == 0, said
    assert facts(cwd) == undisturbed
    assert not (found := check(cwd, said=said, views=False)), found
    assert resumed_by_themselves(cwd) == []


@pytest.mark.parametrize("evaluation", [1, 2, 3])
def test_a_worker_killed_in_a_pause_is_replaced_and_its_trial_pauses_again(zygote, tmp_path, undisturbed, evaluation):
    """F73: the worker dies between the command to pause and the end of the trial; resumed, it pauses."""
    cwd = study(tmp_path / "run")
    path, dies = cwd / "space.yaml", "tests.faults.trainers:dies_in_a_pause"
    path.write_text(path.read_text().replace("hpsearch.testing.toy:Toy", dies))
    done = zygote.run(cwd, *RUN, "--workers", "1", DIES_PAUSING_AT=str(evaluation))
    assert done.code == 0, done.said
    assert facts(cwd) == undisturbed
    assert not (found := check(cwd, said=done.said, views=False)), found
    assert resumed_by_themselves(cwd) == []
    assert [len(trial.deaths) for trial in history(cwd).trials.values()] == [1] * 3
