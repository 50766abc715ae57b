"""F74: workers that train several trials together are killed, run out of memory, hang, or are killed with their driver.

Trials that were not to blame are neither lost nor doubled, and come to the right values.
"""

import os
import shutil
import signal
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from hpsearch import journal
from hpsearch.events import Finished, Interrupted, Started
from hpsearch.launchers.local import LocalLauncher
from hpsearch.testing.launchers import worker_settings
from tests.cli.processes import descendants, wait_for
from tests.faults.checker import check
from tests.faults.nemesis import Nemesis, is_worker
from tests.faults.runs import evaluated, folder, history
from tests.faults.test_crash_points import OF_PAUSES, POINTS
from tests.faults.test_kills import FEW, LONG, SEED
from tests.policies import pausing
from tests.searching import experiment, go

RUN = ("run", "space.yaml", "--home", "home")
SOUND = """
training:
  learning_rate: {low: 1e-3, high: 1e-2, log: true}
  epochs: {low: 2, high: 3}
"""


def study(path, *, trials, times=4, together=3):
    """A folder with a small study whose workers train some trials together."""
    cwd = folder(path, trials=trials, times=times)
    with (cwd / "space.yaml").open("a") as file:
        file.write(f"resources: {{trials_per_worker: {together}}}\n")
    return cwd


def groups(cwd):
    """The trials that each worker trained at the same time, by the journal: a list of (worker, trials)."""
    running, found = defaultdict(set), []
    for event in journal.read(cwd / "home" / "toy" / "journal.jsonl"):
        if event["event"] == "trial_started":
            running[event["worker"]].add(event["trial"])
        elif event["event"] in ("trial_finished", "trial_interrupted", "trial_paused"):
            for worker, trials in running.items():
                if event["trial"] in trials:
                    found.append((worker, sorted(trials)))
                    trials.remove(event["trial"])
        elif event["event"] == "driver_started":
            running.clear()
    return found


def largest(cwd):
    """The size of the largest group of each worker."""
    sizes = defaultdict(int)
    for worker, trials in groups(cwd):
        sizes[worker] = max(sizes[worker], len(trials))
    return dict(sizes)


def test_two_workers_train_three_trials_each_which_end_one_by_one(zygote, tmp_path):
    """Some complete, some are pruned, some overfit, while the others of their group go on."""
    cwd = study(tmp_path / "run", trials=24, times=20)
    done = zygote.run(cwd, *RUN, "--workers", "2", TOY_HISTORY=str(cwd / "acknowledged.jsonl"))
    assert done.code == 0, done.said
    assert not (found := check(cwd, said=done.said, views=False)), found
    assert largest(cwd) == {0: 3, 1: 3}
    trials = history(cwd).trials.values()
    outcomes = {trial.outcome for trial in trials}
    assert {"pruned", "overfit"} <= outcomes <= {"completed", "pruned", "overfit"}
    assert {trial.attempt for trial in trials} == {1}
    lengths = [{len(history(cwd).trials[n].evaluations) for n in group} for _, group in groups(cwd) if len(group) == 3]
    assert max(map(len, lengths)) > 1


def worker_of(pid):
    return next(child for child in descendants(pid) if is_worker(child))


def test_a_killed_worker_takes_none_of_its_three_trials_along(zygote, tmp_path):
    """Each resumes, by itself; none is lost or doubled; others are trained together again."""
    cwd = study(tmp_path / "run", trials=9, times=20)
    environment = {"TOY_HISTORY": str(cwd / "acknowledged.jsonl"), "TOY_STEP": "0.002"}
    pid = zygote.start(cwd, *RUN, "--workers", "1", **environment)
    wait_for(lambda: evaluated(cwd, 10))
    os.kill(worker_of(pid), signal.SIGKILL)
    done = zygote.wait()
    assert done.code == 0, done.said
    assert not (found := check(cwd, said=done.said, views=False)), found
    trials = history(cwd).trials
    killed = {number for number, trial in trials.items() if trial.deaths}
    assert killed
    assert {number for number, trial in trials.items() if trial.attempt == 2} == killed
    assert done.said.count("the worker was killed by SIGKILL") == len(killed)
    assert [company(cwd, number, 2) for number in killed] == [{number} for number in killed]
    assert {len(company(cwd, number, 1)) for number in trials} == {3}


def company(cwd, number, attempt):
    """The trials that were in training in the same worker during an attempt of a trial, itself included."""
    worker, running, found = None, defaultdict(set), set()
    for event in journal.read(cwd / "home" / "toy" / "journal.jsonl"):
        if event["event"] == "trial_started":
            running[event["worker"]].add(event["trial"])
            if (event["trial"], event["attempt"]) == (number, attempt):
                worker = event["worker"]
            if worker is not None:
                found |= running[worker]
        elif event["event"] in ("trial_finished", "trial_interrupted", "trial_paused"):
            if worker is not None and event["trial"] == number:
                return found
            for trials in running.values():
                trials.discard(event["trial"])
        elif event["event"] == "driver_started":
            running.clear()
    return found


@pytest.mark.parametrize("whom", ["worker", "driver"])
def test_a_signal_has_all_trials_of_a_group_save_their_state(zygote, tmp_path, whom):
    """As F14 and F16: SIGTERM for the worker or for the driver; no death is counted, and the group is formed again."""
    cwd = study(tmp_path / "run", trials=6, times=20)
    environment = {"TOY_HISTORY": str(cwd / "acknowledged.jsonl"), "TOY_STEP": "0.002", "TOY_CHECKPOINT": "1000"}
    pid = zygote.start(cwd, *RUN, "--workers", "1", **environment)
    wait_for(lambda: evaluated(cwd, 7))
    os.kill(worker_of(pid) if whom == "worker" else pid, signal.SIGTERM)
    done = zygote.wait()
    said = done.said
    if whom == "driver":
        assert done.code == 143, said
        done = zygote.run(cwd, *RUN, "--workers", "1", **environment)
        said += done.said
    assert done.code == 0, said
    assert not (found := check(cwd, said=said, views=False)), found
    trials = history(cwd).trials
    again = {number for number, trial in trials.items() if trial.attempt == 2}
    assert again
    assert said.count("interrupted: stopped; its checkpoint is saved") == len(again)
    assert not any(trial.deaths for trial in trials.values())
    assert all(again <= company(cwd, number, 2) for number in again)


def test_workers_killed_at_random(zygote, tmp_path, report):
    """As F1, with three trials in each of two workers."""
    cwd = study(tmp_path / "run", trials=3 * FEW, times=20)
    nemesis = Nemesis(zygote, cwd, SEED, views=False, **LONG)
    nemesis.kill_workers(FEW, latest=0.4)
    report(f"F74 seed {SEED}: {nemesis.kills} workers killed")
    assert nemesis.codes == [0], nemesis.said
    assert not (found := check(cwd, said=nemesis.said, views=False)), found


def test_drivers_killed_at_random(zygote, tmp_path, report):
    """As F2, with three trials in each of two workers."""
    cwd = study(tmp_path / "run", trials=3 * FEW, times=20)
    nemesis = Nemesis(zygote, cwd, SEED, views=False, **LONG)
    nemesis.kill_drivers(FEW, latest=0.4)
    nemesis.finish()
    report(f"F74 seed {SEED}: {nemesis.kills} drivers killed")
    assert set(nemesis.codes) <= {-9, 0}, nemesis.said
    assert nemesis.outlived == []
    assert not (found := check(cwd, said=nemesis.said, views=False)), found
    assert set(largest(cwd).values()) == {3}


@pytest.mark.parametrize("point", [point for point in POINTS if point != "retry_recorded"])
def test_killed_at_a_point_and_resumed_nothing_is_lost_or_doubled(zygote, tmp_path, point):
    """At the second pass of each named point, then at the start of a trial that is retried."""
    cwd = study(tmp_path / "run", trials=6)
    environment = {"TOY_CHECKPOINT": "30", "TOY_HISTORY": str(cwd / "acknowledged.jsonl")}
    said = ""
    for armed in (f"{point}:2", "retry_recorded:2", ""):
        done = zygote.run(cwd, *RUN, "--launcher", "inline", HPSEARCH_FAILPOINT=armed, **environment)
        said += done.said
    assert done.code == 0, said
    assert not (found := check(cwd, said=said, views=False)), found


@pytest.mark.parametrize("point", sorted(OF_PAUSES))
def test_a_policy_pauses_trials_of_a_group_and_resumes_them(zygote, tmp_path, point):
    """Each trial pauses at each evaluation, while others of its group train; killed at a point of a pause."""
    cwd = study(tmp_path / "run", trials=6)
    space = (cwd / "space.yaml").read_text()
    space = space.replace("{name: successive_halving, min_resource: 1}", "none, policy: 'python:pausing:make'")
    (cwd / "space.yaml").write_text(space)
    shutil.copy(Path(pausing.__file__), cwd / "pausing.py")
    environment = {"TOY_CHECKPOINT": "30", "TOY_HISTORY": str(cwd / "acknowledged.jsonl")}
    said = ""
    for armed in (f"{point}:2", f"{point}:5", ""):
        done = zygote.run(cwd, *RUN, "--launcher", "inline", HPSEARCH_FAILPOINT=armed, **environment)
        said += done.said
    assert done.code == 0, said
    assert not (found := check(cwd, said=said, views=False)), found
    assert {(trial.outcome, len(trial.evaluations)) for trial in history(cwd).trials.values()} == {("completed", 4)}
    assert max(largest(cwd).values()) > 1


# ------------------------------------------------------------------------------------------------ one bad trial of it


def searched(tmp_path, monkeypatch, trainer, *, trials=6, stall=1800.0):
    """A study whose workers train three trials together with this trainer; gives it and its events."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    (tmp_path / "home" / "checkpoints").mkdir(parents=True)
    name = f"python:tests.faults.trainers:{trainer}"
    body = f"trainer: '{name}'\nbudget: {{trials: {trials}}}\nresources: {{trials_per_worker: 3}}\n"
    body += "search: {pruner: none, overfitting: false, max_retries: 2}\n"
    used = LocalLauncher([worker_settings(tmp_path)], trainer=name, stall_timeout=stall)
    try:
        return go(experiment(body, ranges=SOUND), tmp_path / "home", launcher=used)
    finally:
        used.close()


def ends(study):
    return {trial.number: (trial.outcome, trial.attempt) for trial in study.history.trials.values()}


def test_a_trial_that_kills_its_worker_fails_and_its_group_does_not(tmp_path, monkeypatch):
    study, seen = searched(tmp_path, monkeypatch, "second_one_dies")
    assert ends(study) == {0: ("completed", 2), 1: ("failed", 3), 2: ("completed", 2)} | dict.fromkeys(
        (3, 4, 5), ("completed", 1)
    )
    assert study.history.trials[1].reason == "the worker exited with code 3"
    finished = [event.trial.number for event in seen if isinstance(event, Finished)]
    assert sorted(finished) == list(range(6))


def test_a_group_without_memory_is_tried_one_by_one(tmp_path, monkeypatch):
    """Trial 0 finds no memory while others train, in its group or in another worker, and all it needs alone."""
    study, seen = searched(tmp_path, monkeypatch, "wants_all")
    assert {outcome for outcome, _ in ends(study).values()} == {"completed"}
    assert [ends(study)[number][1] for number in range(6)] == [2, 2, 2, 1, 1, 1]
    line = "out of memory: 9 GiB asked for; it will be tried once more alone on cpu"
    assert [event.reason for event in seen if isinstance(event, Interrupted)] == [line] * 3
    began = [event.trial.number for event in seen if isinstance(event, Started)]
    assert began[:3] == [0, 1, 2]
    assert sorted(began[3:6]) == [0, 1, 2]


def test_a_group_that_hangs_is_killed_and_only_the_bad_trial_fails(tmp_path, monkeypatch):
    study, _ = searched(tmp_path, monkeypatch, "second_one_hangs", stall=5.0)
    assert ends(study)[1] == ("failed", 3)
    assert study.history.trials[1].reason == "stalled: no step for 5 s"
    assert {ends(study)[number] for number in (0, 2)} == {("completed", 2)}
    assert {ends(study)[number][0] for number in (3, 4, 5)} == {"completed"}
