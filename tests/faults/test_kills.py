"""F1, F2, F3, F40: kill -9 at random instants, of workers, of drivers, of everything."""

import os
import statistics
import time

import pytest

from tests.faults.checker import check
from tests.faults.nemesis import Nemesis
from tests.faults.runs import folder

SEED = int(os.environ.get("HPSEARCH_SEED", "0")) or int(time.time())
MANY = int(os.environ.get("HPSEARCH_KILLS", "300"))
FEW = int(os.environ.get("HPSEARCH_FEW_KILLS", "5"))
KILLS = [pytest.param(FEW), pytest.param(MANY, marks=pytest.mark.slow)]
LONG = {"TOY_STEP": "0.01", "TOY_CHECKPOINT": "20"}  # a trial takes two seconds and saves its state ten times


@pytest.mark.parametrize("kills", KILLS)
def test_killed_workers(zygote, tmp_path, report, kills):
    """F1: nothing lost, doubled or left running."""
    cwd = folder(tmp_path / "run", trials=3 * kills // 4, times=20)
    nemesis, began = Nemesis(zygote, cwd, SEED, **LONG), time.monotonic()
    nemesis.kill_workers(kills, latest=0.4)
    report(f"F1 seed {SEED}: {nemesis.kills} workers killed in {time.monotonic() - began:.0f} s")
    assert nemesis.codes == [0], nemesis.said
    assert nemesis.kills >= kills * 3 // 4
    assert not (found := check(cwd, said=nemesis.said)), found


@pytest.mark.parametrize("kills", KILLS)
@pytest.mark.parametrize("everything", [False, True], ids=["driver", "everything"])
def test_killed_drivers(zygote, tmp_path, report, kills, everything):
    """F2, F3: the driver alone, or it with its workers and the shipping process; then `hpsearch run` again."""
    cwd = folder(tmp_path / "run", trials=3 * kills // 4, times=20)
    nemesis = Nemesis(zygote, cwd, SEED + everything, **LONG)
    nemesis.kill_drivers(kills, latest=0.4, everything=everything)
    nemesis.finish()
    median, longest = statistics.median(nemesis.until_news), max(nemesis.until_news)
    report(
        f"{'F3' if everything else 'F2'} seed {SEED + everything}: {nemesis.kills} kills; the first news of a resumed "
        f"study after {median:.2f} s (median), {longest:.2f} s (longest)"
    )
    assert set(nemesis.codes) <= {-9, 0}, nemesis.said
    assert nemesis.kills >= kills * 3 // 4
    assert nemesis.outlived == []
    assert not (found := check(cwd, said=nemesis.said)), found
