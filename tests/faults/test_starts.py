"""F5, F34, F41, F42, F43: who may run a study, and what a wrong clock does."""

import os
import signal
import time

import pytest

from tests.cli.processes import end, hpsearch, started, wait_for
from tests.faults.checker import check
from tests.faults.runs import evaluated, facts, folder, history

RUN = ("run", "space.yaml", "--home", "home")


def test_of_eight_at_once_one_runs_and_seven_say_who(tmp_path):
    """F41: an empty directory, eight starts at the same moment: one wins, seven end with 73 and one line.

    The winner would train for half a minute: it is stopped, and resumed at full speed.
    """
    cwd = folder(tmp_path / "run", trials=3, times=20)
    all_eight = [started(*RUN, "--workers", "1", cwd=cwd, TOY_STEP="0.05") for _ in range(8)]
    seven = wait_for(lambda: (ended := [p for p in all_eight if p.poll() is not None])[6:] and ended)
    assert len(seven) == 7
    (winner,) = [process for process in all_eight if process.poll() is None]
    for process in seven:
        out, err = process.communicate()
        assert (process.returncode, out) == (73, ""), err
        assert err.startswith(f"error: study 'toy' is being run by pid {winner.pid} on host "), err
        assert len(err.splitlines()) == 1
    out, err = end(winner, signal.SIGTERM)
    assert winner.returncode == 143, err
    resumed = hpsearch(*RUN, "--workers", "1", cwd=cwd)
    assert resumed.returncode == 0, resumed.stderr
    out += resumed.stdout
    synced = hpsearch("sync", "toy", "--home", "home", cwd=cwd)  # a busy machine ends a run before its views
    assert synced.returncode == 0, synced.stdout + synced.stderr
    assert not (found := check(cwd, said=out)), (found, out)


@pytest.mark.parametrize("lock", ["as it is", "deleted", "damaged"])
def test_a_second_driver_is_refused_whatever_became_of_the_lock(zygote, tmp_path, lock):
    """F34, F42: also when somebody deletes or damages the lock file: the journal has a lock of its own."""
    cwd = folder(tmp_path / "run", trials=1, times=20)
    pid = zygote.start(cwd, *RUN, "--workers", "1", TOY_STEP="0.02")
    wait_for(lambda: evaluated(cwd, 2))
    path = cwd / "home/toy/lock"
    if lock == "deleted":
        path.unlink()
    elif lock == "damaged":
        path.write_bytes(b"\x00\xff{")
    os.kill(pid, signal.SIGSTOP)  # else it may have ended before the second one has started
    try:
        done = hpsearch(*RUN, cwd=cwd)
    finally:
        os.kill(pid, signal.SIGCONT)
        first = zygote.wait()
    said = {
        "as it is": f"study 'toy' is being run by pid {pid} on host",
        "deleted": "another process writes this journal",
        "damaged": "study 'toy' is being run by another process",
    }
    assert done.returncode == 73, done.stderr
    assert said[lock] in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert first.code == 0, first.said
    assert {trial.attempt for trial in history(cwd).trials.values()} == {1}
    assert not (found := check(cwd, said=first.said, views=False)), found


@pytest.mark.parametrize("jumps", ["3600", "-3600", "0,0,0,3600,-3600,86400", "-1e9,1e9"])
def test_a_wrong_clock_changes_no_result(zygote, tmp_path, jumps):
    """F43: off by an hour after a resume, or jumping to and fro: the same trials, and no budget lost."""
    straight, cwd = folder(tmp_path / "straight"), folder(tmp_path / "run")
    for place in (straight, cwd):
        space = (place / "space.yaml").read_text().replace("budget: {trials: 3}", "budget: {trials: 3, hours: 0.5}")
        (place / "space.yaml").write_text(space)
    assert zygote.run(straight, *RUN, "--launcher", "inline").code == 0
    began = time.monotonic()
    for armed, clock in (("report_done:3", ""), ("report_done:6", jumps), ("", jumps)):
        done = zygote.run(cwd, *RUN, "--launcher", "inline", HPSEARCH_FAILPOINT=armed, CLOCK_JUMPS=clock)
    assert done.code == 0, done.said
    assert facts(cwd) == facts(straight)
    found = history(cwd)
    assert found.seconds <= time.monotonic() - began
    assert found.last >= found.created


def test_a_wrong_clock_leaves_mlflow_in_order(zygote, tmp_path):
    """F43: with the clock set back an hour before a resume, no run ends before it starts."""
    cwd = folder(tmp_path / "run")
    said = ""
    for armed, clock in (("report_done:5", "3600"), ("", "-3600")):
        options = {"HPSEARCH_FAILPOINT": armed, "CLOCK_JUMPS": clock, "views": True}
        done = zygote.run(cwd, *RUN, "--launcher", "inline", **options)
        said += done.said
    assert done.code == 0, said
    synced = zygote.run(cwd, "sync", "toy", "--home", "home", CLOCK_JUMPS="-3600")  # what a busy machine left
    assert synced.code == 0, synced.said
    assert not (found := check(cwd, said=said)), found
