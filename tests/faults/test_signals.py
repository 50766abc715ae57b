"""F14 to F17: Ctrl-C once and twice, SIGTERM, SIGHUP, and a run that was started where Ctrl-C is ignored."""

import contextlib
import os
import signal
import subprocess
import time

import pytest

from tests import blank
from tests.cli.processes import PROGRAM, alive, descendants, environment, wait_for
from tests.faults.checker import check
from tests.faults.runs import evaluated, folder, history

RUN = ("run", "space.yaml", "--home", "home", "--workers", "2")
NEVER = {"TOY_CHECKPOINT": "1000000"}  # no periodic checkpoints: only a pause saves the state


def started(zygote, cwd, evaluations, **options):
    """A run with some evaluations; returns its pid and those of its children."""
    pid = zygote.start(cwd, *RUN, TOY_HISTORY=str(cwd / "acknowledged.jsonl"), **options)
    wait_for(lambda: evaluated(cwd, evaluations))
    return pid, descendants(pid)


def resumed(zygote, cwd, said, **options):
    """Finishes the study, and checks it all."""
    done = zygote.run(cwd, *RUN, TOY_HISTORY=str(cwd / "acknowledged.jsonl"), **options)
    assert done.code == 0, done.said
    assert not (found := check(cwd, said=said + done.said, views=options.get("views", False))), found


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=["INT", "TERM", "HUP"]
)
def test_a_signal_to_the_whole_group_saves_everything(zygote, tmp_path, number, code):
    """F14, F16: as a terminal, Slurm or Kubernetes sends it; nothing runs on, nothing trained is trained again."""
    cwd = folder(tmp_path / "run", trials=4, times=20)
    views = number == signal.SIGTERM
    pid, family = started(zygote, cwd, 3, views=views, TOY_STEP="0.02", **NEVER)
    began = time.monotonic()
    os.killpg(pid, number)
    done = zygote.wait()
    print(f"{signal.Signals(number).name}: gone after {time.monotonic() - began:.2f} s")
    assert done.code == code, done.said
    assert "Resume with: hpsearch run space.yaml --home home" in done.said
    assert "Traceback" not in done.said
    wait_for(lambda: not alive(family))
    trials = history(cwd).trials.values()
    assert not any(trial.running for trial in trials)
    unfinished = [trial for trial in trials if trial.outcome is None]
    assert unfinished
    for trial in unfinished:
        assert (cwd / f"home/toy/checkpoints/{trial.number:04d}/last.pt").exists()
    resumed(zygote, cwd, done.said, views=views)
    assert {trial.attempt for trial in unfinished} == {1}


def test_the_second_signal_ends_at_once(zygote, tmp_path):
    """F15: a step that takes for ever, Ctrl-C, half a second, Ctrl-C: gone, with all workers; nothing is lost."""
    cwd = folder(tmp_path / "run", trials=3, times=200)
    pid, family = started(zygote, cwd, 2, TOY_STEP="8")
    os.killpg(pid, signal.SIGINT)
    time.sleep(0.5)
    began = time.monotonic()
    os.killpg(pid, signal.SIGINT)
    done = zygote.wait()
    gone = time.monotonic() - began
    wait_for(lambda: not alive(family))
    print(f"gone after {gone:.2f} s, all workers after {time.monotonic() - began:.2f} s")
    assert done.code == 130, done.said
    resumed(zygote, cwd, done.said, TOY_STEP="0")


def test_a_run_that_was_told_to_ignore_ctrl_c_can_be_terminated(tmp_path):
    """F17: started with `&` or nohup: SIGINT and SIGHUP ignored from the start; SIGTERM always works."""
    cwd = folder(tmp_path / "run", trials=4, times=20)
    blank.home(cwd / "home")

    def ignore():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    process = subprocess.Popen(
        [*PROGRAM, *RUN],
        cwd=cwd,
        env=environment(TOY_STEP="0.02"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=ignore,
    )
    wait_for(lambda: evaluated(cwd, 2))
    process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 143, out + err
    assert "Resume with" in out


def test_signals_at_any_moment_leave_no_traceback(zygote, tmp_path):
    """F14: Ctrl-C at up to fifteen moments from the start on, until one finds the study finished."""
    cwd, said = folder(tmp_path / "run", trials=3, times=20), ""
    for moment in range(15):
        pid = zygote.start(cwd, *RUN, TOY_STEP="0.002", TOY_HISTORY=str(cwd / "acknowledged.jsonl"))
        time.sleep(0.05 + 0.1 * moment)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGINT)
        done = zygote.wait()
        said += done.said
        assert done.code in (0, 130), (moment, done.said)
        assert "Traceback" not in done.said, (moment, done.said)
        if done.code == 0:
            break
    resumed(zygote, cwd, said)
