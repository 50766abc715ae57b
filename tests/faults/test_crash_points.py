"""F3, F4, F21, F58: everything killed at every pass of every named point, and what a resume makes of it."""

import random
import re
from pathlib import Path

import pytest

from hpsearch.system import failpoints
from tests.faults.checker import check, killed_and_resumed, litter
from tests.faults.runs import facts, folder, history

PACKAGE = Path(failpoints.__file__).parents[1]
RUN = ("run", "space.yaml", "--home", "home")
OF_VIEWS = {"run_made", "batch_sent", "batch_noted", "run_ended"}  # tests/faults/test_servers.py
OF_PAUSES = {"pause_begun", "pause_recorded", "resume_begun", "resume_recorded"}
OF_COOLDOWNS = {"branch_recorded"}  # tests/faults/test_cooldowns.py
OF_CONFIRMATIONS = {"repeat_begun", "repeat_recorded"}  # tests/faults/test_confirmations.py
OF_EXTENSIONS = {"extension_recorded"}  # tests/policies/budget/test_extension.py
OF_REQUESTS = {"request_written", "request_begun", "request_recorded"}  # tests/faults/test_requests.py
OF_WARM_STARTS = {"study_warmed"}  # tests/faults/test_warm_starts.py
OF_DELETIONS = {"deletion_begun", "files_deleted", "runs_hidden", "runs_deleted", "rows_deleted"}  # test_deletions.py
OF_RENAMINGS = {
    "renaming_begun",
    "runs_renamed",
    "rows_renamed",
    "journal_renamed",
    "folder_renamed",
}  # test_renamings.py
OF_FINAL_TRAININGS = {"training_ended", "model_exported", "model_whole", "training_cleared"}  # test_final_trainings.py
ELSEWHERE = OF_WARM_STARTS | OF_EXTENSIONS | OF_VIEWS | OF_PAUSES | OF_COOLDOWNS | OF_CONFIRMATIONS | OF_REQUESTS
ELSEWHERE |= OF_DELETIONS | OF_RENAMINGS | OF_FINAL_TRAININGS
POINTS = [point for point in failpoints.POINTS if point not in ELSEWHERE]
SOME = (1, 2, 5, 13, 34)  # passes of a point; `-m slow` takes every one
AT_RESUME = ["journal_read", "study_rebuilt", "retry_recorded", "journal_written", "report_begun"]


@pytest.fixture(scope="module")
def undisturbed(zygote, tmp_path_factory):
    """The trials of the same study when nothing disturbs it."""
    cwd = folder(tmp_path_factory.mktemp("undisturbed") / "run")
    done = zygote.run(cwd, *RUN, "--launcher", "inline")
    assert done.code == 0, done.said
    return facts(cwd)


def test_each_point_stands_in_the_code():
    """F3: a point that nobody passes would test nothing."""
    code = "".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    passed = set(re.findall(r'failpoints\.hit\("(\w+)"\)', code))
    assert passed == set(failpoints.POINTS)


@pytest.mark.parametrize("passes", [SOME, pytest.param(range(1, 500), marks=pytest.mark.slow)], ids=["some", "every"])
@pytest.mark.parametrize("point", POINTS)
def test_a_run_killed_at_any_pass_of_a_point_goes_on_as_if_it_had_not_been(
    zygote, tmp_path, undisturbed, point, passes
):
    """F3, F58: killed at the k-th pass, resumed once; k = 1, 2, 3 ... until a run ends without a crash."""

    def fresh(k):
        cwd = folder(tmp_path / str(k))
        if point == "retry_recorded":  # passed at a resume alone
            acknowledged = str(cwd / "acknowledged.jsonl")
            environment = {"TOY_CHECKPOINT": "30", "TOY_HISTORY": acknowledged, "HPSEARCH_FAILPOINT": "report_done:3"}
            zygote.run(cwd, *RUN, "--launcher", "inline", **environment)
        return cwd

    crashes = 0
    for cwd in killed_and_resumed(zygote, ((k, fresh(k)) for k in passes), point):
        assert facts(cwd) == undisturbed
        assert (cwd / "home" / "toy" / "best.yaml").exists()
        crashes += 1
    assert crashes > 0
    print(f"{point}: {crashes} crashes")


@pytest.mark.parametrize("seed", [0, 1, 2, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 8))])
def test_crashes_in_a_row_also_while_resuming_change_nothing(zygote, tmp_path, undisturbed, seed):
    """F4: a run and then its resumes killed five times in a row, anywhere; then one without a crash."""
    draw, cwd, said = random.Random(seed), folder(tmp_path / "run"), ""
    environment = {"TOY_CHECKPOINT": "30", "TOY_HISTORY": str(cwd / "acknowledged.jsonl")}
    points = [f"{draw.choice(POINTS)}:{draw.randint(1, 6)}"]
    points += [f"{draw.choice(AT_RESUME)}:{draw.randint(1, 2)}" for _ in range(5)]
    for point in [*points, ""]:
        done = zygote.run(cwd, *RUN, "--launcher", "inline", HPSEARCH_FAILPOINT=point, **environment)
        said += done.said
    assert done.code == 0, said
    assert facts(cwd) == undisturbed
    assert not (found := check(cwd, said=said, views=False)), (points, found)


OF_WORKERS = ["trial_placed", "report_begun", "report_done", "tell_begun", "retry_recorded", "journal_synced"]
DRAWN = [*((point, "drawn") for point in OF_WORKERS)]
DRAWN += [
    pytest.param(point, at, marks=pytest.mark.slow)
    for at in ("drawn", "first")
    for point in POINTS
    if at == "first" or point not in OF_WORKERS
]


@pytest.mark.parametrize(("point", "at"), DRAWN)
def test_workers_of_their_own_die_and_go_on_alike(zygote, tmp_path, undisturbed, point, at):
    """F3: the same with a worker process, killed at a pass drawn from the first ten, or at the first."""
    k = 1 if at == "first" else random.Random(point).randint(1, 10)
    cwd = folder(tmp_path / "run")
    environment = {"TOY_CHECKPOINT": "30", "TOY_HISTORY": str(cwd / "acknowledged.jsonl")}
    said = ""
    for armed in (f"{point}:{k}", ""):
        done = zygote.run(cwd, *RUN, "--workers", "1", HPSEARCH_FAILPOINT=armed, **environment)
        said += done.said
    assert done.code == 0, said
    assert facts(cwd) == undisturbed
    assert not (found := check(cwd, said=said, views=False)), (k, found)


def test_no_crash_leaves_litter(zygote, tmp_path):
    """F22: what a crash leaves half written is gone after the next run."""
    cwd = folder(tmp_path / "run")
    zygote.run(cwd, *RUN, "--launcher", "inline", HPSEARCH_FAILPOINT="file_written:6")
    assert zygote.run(cwd, *RUN, "--launcher", "inline", HPSEARCH_FAILPOINT="").code == 0
    assert litter(cwd / "home" / "toy", history(cwd)) == []
