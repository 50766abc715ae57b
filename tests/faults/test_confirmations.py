"""F77: a confirmation, killed at every pass of the points around it and at random moments, and resumed."""

import contextlib
import os
import random
import signal
import time

import pytest

from tests.cli.processes import events, wait_for
from tests.faults.checker import check, killed_and_resumed
from tests.faults.runs import facts, folder, history, values

RUN = ("run", "space.yaml", "--home", "home")
POINTS = ["repeat_begun", "repeat_recorded", "trial_placed", "report_done", "tell_begun", "tell_done", "trial_swept"]
OWN = {"repeat_begun", "repeat_recorded"}
SOME = (5, 13, 21)  # passes of the other points that are tried: most of them of repeats
AMONG = 3  # `-m slow` tries one in so many
REPEATS = 4


def study(path):
    """A folder with a small study whose two best trials are trained again with two seeds each."""
    cwd = folder(path)
    space = (cwd / "space.yaml").read_text()
    space = space.replace("confirm: false", "confirm: {top: 2, seeds: 2}, default: false")
    (cwd / "space.yaml").write_text(space)
    return cwd


def repeats(cwd):
    """All that matters of the repeats, and the winner."""
    found = history(cwd)
    return found.leader().number, [
        (one.number, one.confirms, one.repeat, one.config, one.outcome, one.value, values(one))
        for one in found.repeats.values()
    ]


@pytest.fixture(scope="module")
def undisturbed(zygote, tmp_path_factory):
    """The trials and the repeats of the same study when nothing disturbs it."""
    cwd = study(tmp_path_factory.mktemp("undisturbed") / "run")
    done = zygote.run(cwd, *RUN, "--launcher", "inline")
    assert done.code == 0, done.said
    found = history(cwd)
    assert [(one.repeat, one.outcome) for one in found.repeats.values()] == [(1, "completed")] * 2 + [
        (2, "completed")
    ] * 2
    assert found.confirmation.freedom == 2
    return facts(cwd), repeats(cwd)


CASES = [pytest.param(point, range(1, 500) if point in OWN else SOME, id=point) for point in POINTS]
CASES += [
    pytest.param(point, range(1, 500, AMONG), id=f"{point}, more", marks=pytest.mark.slow)
    for point in POINTS
    if point not in OWN
]


@pytest.mark.parametrize(("point", "passes"), CASES)
def test_killed_at_a_point_and_resumed_it_is_as_if_it_had_not_been(zygote, tmp_path, undisturbed, point, passes):
    crashes = 0
    for cwd in killed_and_resumed(zygote, ((k, study(tmp_path / str(k))) for k in passes), point):
        assert (facts(cwd), repeats(cwd)) == undisturbed
        crashes += 1
    assert crashes >= (REPEATS if point in OWN else 1)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["KILL", "INT"])
def test_ended_at_any_moment_and_resumed_it_is_as_if_it_had_not_been(zygote, tmp_path, undisturbed, number, seed):
    """Every driver ends at a random moment while repeats are trained in parallel; the last one is left in peace."""
    draw, cwd, said = random.Random(seed), study(tmp_path / "run"), ""
    environment = {"TOY_CHECKPOINT": "30", "TOY_HISTORY": str(cwd / "acknowledged.jsonl")}
    path = cwd / "home" / "toy" / "journal.jsonl"
    said += zygote.run(cwd, *RUN, "--launcher", "inline", HPSEARCH_FAILPOINT="repeat_begun:1", **environment).said
    for _ in range(4):
        before = len(events(path, "evaluation"))
        pid = zygote.start(cwd, *RUN, "--workers", "2", TOY_STEP="0.003", **environment)
        wait_for(lambda before=before: len(events(path, "evaluation")) > before or ended(path))
        time.sleep(draw.uniform(0, 0.4))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, number)
        said += zygote.wait().said
    done = zygote.run(cwd, *RUN, **environment)
    assert done.code == 0, done.said
    assert facts(cwd) == undisturbed[0]
    assert by_seed(repeats(cwd)) == by_seed(undisturbed[1])
    assert not (found := check(cwd, said=said + done.said, views=False)), found


def by_seed(found):
    """The repeats without their numbers: those of two workers may end in any order."""
    winner, ones = found
    return winner, sorted(ones[1:], key=str)


def ended(path):
    """Whether all trials and repeats have ended."""
    return len(events(path, "trial_finished")) == 3 + REPEATS


def test_the_views_show_a_confirmation(zygote, tmp_path, undisturbed):
    cwd = study(tmp_path / "run")
    environment = {"TOY_HISTORY": str(cwd / "acknowledged.jsonl")}
    done = zygote.run(cwd, *RUN, "--workers", "2", views=True, **environment)
    assert done.code == 0, done.said
    assert (facts(cwd), repeats(cwd)[0]) == (undisturbed[0], undisturbed[1][0])
    assert not (found := check(cwd, said=done.said)), found
