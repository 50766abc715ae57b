"""F75: trials that overfit and cool down, killed at every pass of the points around it, signalled and resumed."""

import contextlib
import os
import random
import signal
import time

import pytest

from tests.cli.processes import events, wait_for
from tests.faults.checker import check, killed_and_resumed
from tests.faults.runs import facts, folder, history

RUN = ("run", "space.yaml", "--home", "home")
POINTS = ["branch_recorded", "report_begun", "report_done", "journal_synced", "tell_begun", "tell_done", "file_renamed"]
SOME = (1, 8, 21, 34)  # passes that are tried of a point that trials without a cool-down pass too
AMONG = 5  # `-m slow` tries one in so many


def study(path):
    """A folder with a small study in which every trial overfits, and cools down."""
    cwd = folder(path, times=20)
    space = (cwd / "space.yaml").read_text()
    space = space.replace("{low: 2, high: 9}", "{low: 8, high: 20}").replace(
        "{name: successive_halving, min_resource: 1}", "none"
    )
    (cwd / "space.yaml").write_text(space)
    return cwd


@pytest.fixture(scope="module")
def undisturbed(zygote, tmp_path_factory):
    """The trials of the same study when nothing disturbs it."""
    cwd = study(tmp_path_factory.mktemp("undisturbed") / "run")
    done = zygote.run(cwd, *RUN, "--launcher", "inline")
    assert done.code == 0, done.said
    for trial in history(cwd).trials.values():
        [branch] = trial.branches.values()
        assert (trial.outcome, trial.value) == ("overfit", branch.metrics["val/loss"])
        assert branch.metrics["val/loss"] < min(e.metrics["val/loss"] for e in trial.evaluations.values())
        assert trial.best.branch == branch.branch
    return facts(cwd)


CASES = [pytest.param(point, SOME if point in POINTS[1:] else range(1, 500), id=point) for point in POINTS]
CASES += [
    pytest.param(point, range(1, 500, AMONG), id=f"{point}, more", marks=pytest.mark.slow) for point in POINTS[1:]
]


@pytest.mark.parametrize(("point", "passes"), CASES)
def test_killed_at_a_point_and_resumed_it_is_as_if_it_had_not_been(zygote, tmp_path, undisturbed, point, passes):
    crashes = 0
    for cwd in killed_and_resumed(zygote, ((k, study(tmp_path / str(k))) for k in passes), point):
        assert facts(cwd) == undisturbed
        crashes += 1
    assert crashes > 0


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["KILL", "INT"])
def test_ended_at_any_moment_and_resumed_it_is_as_if_it_had_not_been(zygote, tmp_path, undisturbed, number, seed):
    """Every driver ends at a random moment, also while trials cool down; the last one is left in peace."""
    draw, cwd, said = random.Random(seed), study(tmp_path / "run"), ""
    environment = {"TOY_CHECKPOINT": "30", "TOY_HISTORY": str(cwd / "acknowledged.jsonl")}
    for _ in range(5):
        before = len(events(cwd / "home" / "toy" / "journal.jsonl", "evaluation"))
        pid = zygote.start(cwd, *RUN, "--workers", "2", TOY_STEP="0.003", **environment)
        path = cwd / "home" / "toy" / "journal.jsonl"
        wait_for(lambda before=before, path=path: len(events(path, "evaluation")) > before or ended(path))
        time.sleep(draw.uniform(0, 0.4))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, number)
        said += zygote.wait().said
    done = zygote.run(cwd, *RUN, **environment)
    assert done.code == 0, done.said
    assert facts(cwd) == undisturbed
    assert not (found := check(cwd, said=said + done.said, views=False)), found


def ended(path):
    """Whether all trials have ended."""
    return len(events(path, "trial_finished")) == 3


def test_the_views_show_cooldowns(zygote, tmp_path, undisturbed):
    cwd = study(tmp_path / "run")
    environment = {"TOY_HISTORY": str(cwd / "acknowledged.jsonl")}
    done = zygote.run(cwd, *RUN, "--workers", "2", views=True, **environment)
    assert done.code == 0, done.said
    assert facts(cwd) == undisturbed
    assert not (found := check(cwd, said=done.said)), found
