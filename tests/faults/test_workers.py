"""F7 to F13, F30: workers that stop, hang, exit, crash, run out of memory or lose their device."""

import dataclasses
import os
import re
import signal
import sys
import time

import pytest

from hpsearch.errors import TrainingFailed
from hpsearch.events import Finished, Interrupted, Notice
from hpsearch.launchers import memory
from hpsearch.launchers.local import LocalLauncher
from hpsearch.testing.launchers import worker_settings
from tests.cli.processes import alive, descendants, events, stopped, wait_for
from tests.faults.checker import check
from tests.faults.nemesis import is_worker
from tests.faults.runs import evaluated, folder, history
from tests.searching import TOY, experiment, go

RUN = ("run", "space.yaml", "--home", "home")
SOUND = """
training:
  learning_rate: {low: 1e-3, high: 1e-2, log: true}
  epochs: {low: 2, high: 3}
"""
QUIET = "search: {{pruner: none, overfitting: false, max_retries: {retries}, stall_timeout: {stall}}}\n"


def broken(dropout, *, trials=2, retries=1, stall=1800):
    """An experiment whose trials all break in the way of a dropout (see hpsearch/testing/toy.py)."""
    body = f"budget: {{trials: {trials}}}\nmodel: {{dropout: {dropout}}}\n" + QUIET.format(retries=retries, stall=stall)
    return experiment(body, ranges=SOUND)


@pytest.fixture
def launcher(tmp_path):
    """Makes local launchers, one worker for each device named, and ends them."""
    made = []

    def make(*devices, stall=1800.0):
        settings = [dataclasses.replace(worker_settings(tmp_path), device=device) for device in devices or ("cpu",)]
        made.append(LocalLauncher(settings, trainer=TOY, stall_timeout=stall))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize(
    ("dropout", "cause"),
    [
        (0.51, "the worker exited with code 3"),
        (0.52, "the worker was killed by SIGSEGV"),
        (0.58, "the worker exited with code 0"),
    ],
)
def test_a_worker_that_dies_fails_only_its_trial(tmp_path, launcher, dropout, cause):
    """F9: exits, with and without a code, segfaults: FAIL with the cause, after the retries; the study continues."""
    study, seen = go(broken(dropout), tmp_path / "home", launcher=launcher())
    assert [(t.outcome, t.state, t.reason) for t in study.history.trials.values()] == [("failed", "FAIL", cause)] * 2
    assert [type(h) for h in seen if isinstance(h, Interrupted | Finished)] == [Interrupted, Finished] * 2
    assert {t.attempt for t in study.history.trials.values()} == {2}


def test_deaths_are_counted_over_all_drivers(tmp_path, launcher):
    """F9: a trial whose worker died under an earlier driver has that much fewer tries."""
    wanted = broken(0.51, trials=1, retries=2)
    for count in (6, 3):  # Started, Measured (four times; then the latest again), Interrupted
        study, _ = go(wanted, tmp_path / "home", launcher=launcher(), kill_after=count)
    assert study.history.trials[0].deaths == {1, 2}
    study, seen = go(wanted, tmp_path / "home", launcher=launcher())
    assert study.history.trials[0].attempt == 3
    assert isinstance(seen[-1], Finished)


def test_a_worker_that_hangs_is_killed_tried_again_and_given_up(tmp_path, launcher):
    """F8: no step for `stall_timeout`; then FAIL `stalled`."""
    began = time.monotonic()
    study, _ = go(broken(0.55, trials=1, stall=1), tmp_path / "home", launcher=launcher(stall=1.0))
    trial = study.history.trials[0]
    assert (trial.state, trial.reason, trial.attempt) == ("FAIL", "stalled: no step for 1 s", 2)
    assert time.monotonic() - began > 2  # one second each


def waiting(path, *, stall):
    """A folder with a study of one trial, which waits after its second evaluation until a file `go_on` exists."""
    cwd = folder(path, trials=1, times=20)
    space = (cwd / "space.yaml").read_text().replace("max_retries: 1000", f"max_retries: 1000, stall_timeout: {stall}")
    space = space.replace("hpsearch.testing.toy:Toy", "tests.faults.trainers:waits_at_two")
    (cwd / "space.yaml").write_text(space)
    return cwd


def worker_of(pid):
    """The worker of a driver that has one."""
    return next(child for child in descendants(pid) if is_worker(child))


def test_a_stopped_worker_is_replaced_and_its_trial_has_one_result(zygote, tmp_path):
    """F7: SIGSTOP for longer than the timeout: the worker is killed for good, so that it cannot come back."""
    cwd = waiting(tmp_path / "run", stall=3)
    pid = zygote.start(cwd, *RUN, "--workers", "1", GO_ON=str(cwd / "go_on"))
    wait_for(lambda: evaluated(cwd, 2))
    worker = worker_of(pid)  # not before: on a busy machine the first one may take 3 s to start, and is replaced, too
    os.kill(worker, signal.SIGSTOP)
    wait_for(lambda: not alive([worker]))
    (cwd / "go_on").touch()
    done = zygote.wait()
    assert done.code == 0, done.said
    assert "no step for 3 s; it will be resumed" in done.said
    assert not (found := check(cwd, said=done.said, views=False)), found


def test_a_suspended_driver_blames_no_worker(zygote, tmp_path):
    """F7: Ctrl-Z for longer than the timeout, then fg: everything continues."""
    cwd = waiting(tmp_path / "run", stall=8)  # longer than a worker takes to start on a busy machine
    pid = zygote.start(cwd, *RUN, "--workers", "1", GO_ON=str(cwd / "go_on"))
    wait_for(lambda: evaluated(cwd, 2))
    with stopped([pid, *descendants(pid)]):
        time.sleep(10)
    (cwd / "go_on").touch()
    done = zygote.wait()
    assert done.code == 0, done.said
    assert "no step" not in done.said
    assert {trial.attempt for trial in history(cwd).trials.values()} == {1}


def test_a_study_of_failures_stops_with_a_summary(zygote, tmp_path):
    """F10: every trial raises: stopped after `max_consecutive_failures` (10), exit 1, one line."""
    cwd = folder(tmp_path / "run", trials=50, times=20)
    with (cwd / "space.yaml").open("a") as file:
        file.write("model: {dropout: 0.5}\n")
    done = zygote.run(cwd, *RUN, "--workers", "2")
    last = done.said.strip().splitlines()[-1]
    assert done.code == 1, done.said
    assert last.startswith("error: 10 trials failed and none completed since; the last: trial ")
    assert "RuntimeError: a bug in the training code" in last
    assert "Traceback" not in done.said
    errors = list((cwd / "home/toy/checkpoints").glob("*/error.txt"))
    assert len(errors) == 10
    assert all(path.read_text().startswith("Traceback") for path in errors)


def test_memory_that_runs_out_in_python_is_no_bug(tmp_path, launcher):
    """F11: MemoryError: outcome `out_of_memory`, told as PRUNED; the worker is replaced, the next trial starts."""
    used = launcher()
    before = used._workers[0].process.pid
    study, _ = go(broken(0.53), tmp_path / "home", launcher=used)
    assert {(t.outcome, t.state) for t in study.history.trials.values()} == {("out_of_memory", "PRUNED")}
    assert used._workers[0].process.pid != before


def test_a_worker_that_the_system_kills_for_memory_is_told_from_others(tmp_path, launcher, monkeypatch):
    """F11: SIGKILL while the system's counter of such kills rises: `out_of_memory`, with the peak of the worker."""
    counter = tmp_path / "vmstat"
    counter.write_text("nr_free_pages 5\noom_kill 3\n")
    monkeypatch.setattr(memory, "COUNTERS", (counter, tmp_path / "none"))
    monkeypatch.setenv("TOY_STEP", "0.02")
    used, wanted = launcher(), experiment("budget: {trials: 1}\n" + QUIET.format(retries=1, stall=1800), ranges=SOUND)
    killed = []

    class Watched:
        settings = used.settings
        ready, train, reply, close = used.ready, used.train, used.reply, used.close

        def messages(self, timeout):
            if not killed and used._workers[0]._memory:
                counter.write_text("nr_free_pages 5\noom_kill 4\n")
                killed.append(os.kill(used._workers[0].process.pid, signal.SIGKILL))
            return used.messages(timeout)

    study, _ = go(wanted, tmp_path / "home", launcher=Watched())
    trial = study.history.trials[0]
    assert (trial.outcome, trial.state) == ("out_of_memory", "PRUNED")
    found = re.fullmatch(r"out of memory: the system killed the worker, which had taken (0\.\d\d) GiB", trial.reason)
    assert 0.02 < float(found.group(1)) < 0.3  # a worker without torch


def test_a_trial_without_memory_beside_another_is_tried_alone(tmp_path, monkeypatch):
    """F12: two workers; the first trial finds no room beside the second, and all it needs alone."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    monkeypatch.setenv("TOY_STEP", "0.005")
    (tmp_path / "home" / "checkpoints").mkdir(parents=True)
    used = LocalLauncher([worker_settings(tmp_path)] * 2, trainer="python:tests.faults.trainers:wants_all")
    try:
        wanted = experiment("budget: {trials: 4}\n" + QUIET.format(retries=1, stall=1800), ranges=SOUND)
        study, seen = go(wanted, tmp_path / "home", launcher=used)
    finally:
        used.close()
    assert {(t.outcome, t.state) for t in study.history.trials.values()} == {("completed", "COMPLETE")}
    assert {number: t.attempt for number, t in study.history.trials.items()} == {0: 2, 1: 1, 2: 1, 3: 1}
    line = "out of memory: 9 GiB asked for; it will be tried once more alone on cpu"
    assert [h.reason for h in seen if isinstance(h, Interrupted)] == [line]


def test_a_real_want_of_memory_ends_one_trial(tmp_path, launcher, monkeypatch):
    """F11: RLIMIT_AS in the worker and a trial that asks for more than there is."""
    monkeypatch.setenv("TOY_STEP", "0")
    used = launcher()
    wanted = experiment("budget: {trials: 1}\n" + QUIET.format(retries=1, stall=1800), ranges=SOUND)
    used.trainer = "python:tests.faults.trainers:greedy"
    used._workers[0].process.kill()  # the next one has the greedy trainer
    study, _ = go(wanted, tmp_path / "home", launcher=used)
    assert study.history.trials[0].outcome == "out_of_memory"


def test_a_device_in_doubt_is_left_alone(tmp_path, launcher):
    """F13: two trials meet an error of cuda:0: it gets no third, and its workers are new."""
    used = launcher("cuda:0", "cuda:1")
    wanted = broken(0.56, trials=6, retries=0)
    with pytest.raises(TrainingFailed, match="no device is left to train on; the last error: RuntimeError: CUDA error"):
        go(wanted, tmp_path / "home", launcher=used)


def test_the_other_device_goes_on(tmp_path, launcher, monkeypatch):
    """F13: the trials of the device in doubt resume on the other under their numbers, and complete."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    used = launcher("cuda:0", "cuda:1")
    used.close()
    used = LocalLauncher(used.settings, trainer="python:tests.faults.trainers:first_device_is_broken")
    try:
        wanted = experiment("budget: {trials: 6}\n" + QUIET.format(retries=5, stall=1800), ranges=SOUND)
        study, seen = go(wanted, tmp_path / "home", launcher=used)
    finally:
        used.close()
    assert {(t.outcome, t.reason) for t in study.history.trials.values()} == {("completed", "")}
    assert [h.line for h in seen if isinstance(h, Notice)] == [
        "cuda:0 is not used any more: 2 trials ended with an error of this device"
    ]
    assert {t.device for t in study.history.trials.values()} == {"cuda:1"}


def test_a_terminated_worker_saves_its_trial(zygote, tmp_path):
    """F16: SIGTERM for one worker alone: its state is saved, and the trial resumes with another."""
    cwd = waiting(tmp_path / "run", stall=1800)
    pid = zygote.start(cwd, *RUN, "--workers", "1", GO_ON=str(cwd / "go_on"), TOY_CHECKPOINT="1000")
    wait_for(lambda: evaluated(cwd, 2))
    os.kill(worker_of(pid), signal.SIGTERM)
    wait_for(lambda: events(cwd / "home" / "toy" / "journal.jsonl", "trial_interrupted"))
    (cwd / "go_on").touch()
    done = zygote.wait()
    assert done.code == 0, done.said
    assert "trial 0 interrupted: stopped; its checkpoint is saved" in done.said
    assert history(cwd).trials[0].deaths == set()
    assert not (found := check(cwd, said=done.said, views=False)), found


@pytest.mark.parametrize("trials", [60, pytest.param(1000, marks=pytest.mark.slow)])
def test_nothing_grows_with_the_number_of_trials(tmp_path, launcher, trials):
    """F30: descriptors and processes are as many after all trials as after a few; files as many as are kept."""
    counts, used = [], launcher("cpu", "cpu")
    wanted = experiment(
        f"budget: {{trials: {trials}}}\nevaluation: {{times: 4}}\nsearch: {{sampler: random, confirm: false}}\n"
    )

    class Counted:
        settings = used.settings
        ready, reply, messages, close = used.ready, used.reply, used.messages, used.close

        def train(self, slot, tasks):
            counts.append((len(os.listdir("/proc/self/fd")), len(descendants(os.getpid()))))
            used.train(slot, tasks)

    study, _ = go(wanted, tmp_path / "home", launcher=Counted())
    assert len(study.history.finished) == trials
    early, late = counts[10], counts[-1]
    assert abs(late[0] - early[0]) <= 5
    assert late[1] == early[1]
    folders = list((tmp_path / "home" / "checkpoints").iterdir())
    assert len(folders) <= 3
    assert {path.name for path in (tmp_path / "home" / "checkpoints").rglob("*") if path.is_file()} <= {"best.pt"}
