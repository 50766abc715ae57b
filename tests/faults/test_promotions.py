"""F82: `curves` and `promotion`, killed while trials pause, are pruned at rungs and are promoted, and resumed."""

import random
from collections import Counter

import pytest

from hpsearch import journal
from tests.faults.checker import check, killed_and_resumed
from tests.faults.runs import facts, folder, history
from tests.faults.test_crash_points import OF_PAUSES
from tests.faults.test_pauses import resumed_by_themselves

CHOSEN = "promotion, sampler: curves"
RUN = ("run", "space.yaml", "--home", "home")
POINTS = {**dict.fromkeys(sorted(OF_PAUSES), (1, 3)), "report_done": (9, 37), "after_ask": (2, 12)}  # and passes


def study(path):
    """A folder with a study of `curves` and `promotion`, whose trials pause at evaluations 3 and 9 of 20."""
    cwd = folder(path, trials=14, times=20)
    space = (cwd / "space.yaml").read_text().replace("{name: successive_halving, min_resource: 1}", CHOSEN)
    (cwd / "space.yaml").write_text(space)
    return cwd


@pytest.fixture(scope="module")
def undisturbed(zygote, tmp_path_factory):
    """The trials of the same study when nothing disturbs it."""
    cwd = study(tmp_path_factory.mktemp("undisturbed") / "run")
    done = zygote.run(cwd, *RUN, "--launcher", "inline")
    assert done.code == 0, done.said
    trials = history(cwd).trials.values()
    assert len(trials) == 14
    assert {"completed", "paused", "pruned"} <= {str(trial.status) for trial in trials}
    assert decided(cwd, "trial_resumed")
    return facts(cwd)


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_point_and_resumed_it_is_as_if_it_had_not_been(zygote, tmp_path, undisturbed, point):
    """F82: nothing is lost, doubled or judged twice."""
    crashes = 0
    for cwd in killed_and_resumed(zygote, ((k, study(tmp_path / str(k))) for k in POINTS[point]), point):
        assert facts(cwd) == undisturbed
        assert judged_twice(cwd) == []
        assert resumed_by_themselves(cwd) == []
        crashes += 1
    assert crashes == len(POINTS[point])


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_crashes_in_a_row_change_nothing(zygote, tmp_path, undisturbed, seed):
    """F82: the run and each resume of it killed; then a resume without a crash."""
    draw, cwd, said = random.Random(seed), study(tmp_path / "run"), ""
    environment = {"TOY_CHECKPOINT": "30", "TOY_HISTORY": str(cwd / "acknowledged.jsonl")}
    for point in [*(f"{draw.choice(list(POINTS))}:{draw.randint(1, 4)}" for _ in range(6)), ""]:
        done = zygote.run(cwd, *RUN, "--launcher", "inline", HPSEARCH_FAILPOINT=point, **environment)
        said += done.said
    assert done.code == 0, said
    assert facts(cwd) == undisturbed
    assert not (found := check(cwd, said=said, views=False)), found
    assert judged_twice(cwd) == []
    assert resumed_by_themselves(cwd) == []


def decided(cwd, kind):
    """How often each decision of a kind stands in the journal: (trial, evaluation or until) -> times."""
    events = journal.read(cwd / "home" / "toy" / "journal.jsonl")
    return Counter((e["trial"], e.get("evaluation", e.get("until"))) for e in events if e["event"] == kind)


def judged_twice(cwd):
    """Decisions about a trial that were recorded more than once."""
    kinds = ("trial_paused", "trial_resumed", "trial_finished")
    return [(kind, *place) for kind in kinds for place, times in decided(cwd, kind).items() if times > 1]
