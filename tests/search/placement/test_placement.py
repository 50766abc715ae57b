"""Which trial goes to which worker: beside others on a GPU those that fit, in their order."""

import os
import sys
from dataclasses import replace
from random import Random

import pytest

from hpsearch import journal
from hpsearch.launchers.local import LocalLauncher
from hpsearch.search.decisions import Decisions
from hpsearch.search.placement.placement import Placement
from hpsearch.search.placement.sharing import CONTEXT, SHARE
from tests.search.test_loop import QUIET, healthy, workers
from tests.searching import Scripted, experiment, opened, policy_of
from tests.simulated_gpus import GIB, SimulatedGpus, at_once, searched, slots


@pytest.mark.parametrize(
    ("device_errors", "taken"),
    [
        ({}, {"a": 3, "b": 3}),
        ({"a": {3}}, {"a": 4, "b": 3}),  # it met an error of a: it goes on at b
        ({"a": {3}, "b": {1, 2}}, {"a": 3}),  # but b is left alone
        ({"a": {3, 4}}, {"b": 3}),
    ],
)
def test_a_trial_goes_on_at_another_device_than_the_one_that_failed_it(tmp_path, device_errors, taken):
    settings = [replace(setting, device=device) for setting, device in zip(workers(tmp_path), "ab", strict=True)]
    for device, number in taken.items():
        study = opened(experiment("budget: {trials: 9}\n" + QUIET), tmp_path / f"home-{device}")
        placing = Placement(study, Scripted(settings, healthy), Decisions(study, policy_of(study)))
        placing._queue = [3, 4]
        placing._device_errors.update(device_errors)
        assert placing._next_queued(device) == number
        study.journal.close()


def of_size(gib):
    return lambda trial, config: gib * GIB


def test_one_goes_first_and_the_others_follow_when_it_has_measured(tmp_path):
    launcher = SimulatedGpus(slots(tmp_path, *["cuda:0"] * 4), of_size(10))
    searched(tmp_path, launcher, trials=9)
    assert [(task.trial, task.attempt) for task in launcher.tasks] == [(number, 1) for number in range(9)]
    assert [trials for _, trials in launcher.together[:4]] == [list(range(n)) for n in (1, 2, 3, 4)]
    assert launcher.looks[:4] == [0, 1, 1, 1]


@pytest.mark.parametrize("seed", range(8))
def test_gpus_are_never_too_full_where_trials_are_of_one_size(tmp_path, seed):
    random = Random(seed)
    n_gpus, n_slots, size = random.randint(1, 3), random.randint(1, 8), random.choice([24, 80, 141])
    need = min(random.randint(1, 70) * GIB, size * GIB - CONTEXT)
    settings = slots(tmp_path, *[f"cuda:{i}" for i in range(n_gpus)] * n_slots)
    launcher = SimulatedGpus(settings, lambda *_: need, size=size * GIB, length=lambda trial: 2 + 7 * trial % 5)
    study = searched(tmp_path, launcher, trials=40)
    assert {t.outcome for t in study.history.trials.values()} == {"completed"}
    assert launcher.failed == []
    assert launcher.highest <= size * GIB
    fit = max(1, min(n_slots, int(SHARE * size * GIB / (need + CONTEXT))))
    assert [launcher.most(f"cuda:{i}") for i in range(n_gpus)] == [fit] * n_gpus


SIZES = """
training: {batch_size: {low: 8, high: 128, log: true}, learning_rate: {low: 1e-4, high: 1e-1, log: true}}
model: {n_layers: {low: 2, high: 16}}
"""


def by_config(trial, config):
    """2 to 75 GiB, more for more of either."""
    return int((2 + 73 * config["training"]["batch_size"] * config["model"]["n_layers"] / 128 / 16) * GIB)


@pytest.mark.parametrize("seed", range(8))
def test_all_trials_end_where_they_are_of_many_sizes(tmp_path, seed):
    """What a new one takes is a guess until one as large was seen: a wrong guess is tried alone; nobody waits for ever.

    The last to end is not asked for: each trial's length is random.
    """
    lengths = [Random(seed * 100 + number).randint(1, 9) for number in range(60)]
    launcher = SimulatedGpus(slots(tmp_path, *["cuda:0", "cuda:1"] * 6), by_config, length=lengths.__getitem__)
    study = searched(tmp_path, launcher, trials=60, ranges=f"seed: {seed}\n" + SIZES)
    assert {t.outcome for t in study.history.trials.values()} == {"completed"}
    assert launcher.highest <= 80 * GIB
    assert min(launcher.most("cuda:0"), launcher.most("cuda:1")) > 1
    assert all(study.history.trials[number].alone for number in launcher.failed)
    assert len(set(launcher.failed)) == len(launcher.failed)  # alone there was room
    assert len(launcher.failed) <= 3


def test_a_trial_that_was_misjudged_is_tried_alone_and_then_known(tmp_path):
    """Trial 2 takes more than others of its shape, so that the last finds no room; after that all are expected to."""
    launcher = SimulatedGpus(
        slots(tmp_path, *["cuda:0"] * 4),
        lambda trial, config: (50 if trial == 2 else 12) * GIB,
        length=lambda trial: 3,
    )
    study = searched(tmp_path, launcher, trials=12)
    assert launcher.failed == [3]
    assert {t.outcome for t in study.history.trials.values()} == {"completed"}
    assert study.history.trials[3].alone
    assert [trials for _, trials in launcher.together[4:7]] == [[3], [4], [4, 5]]


def test_the_next_driver_knows_what_trials_take(tmp_path):
    first = SimulatedGpus(slots(tmp_path, *["cuda:0"] * 3), of_size(10))
    searched(tmp_path, first, trials=9, kill_after=20)
    again = SimulatedGpus(slots(tmp_path, *["cuda:0"] * 3), of_size(10))
    study = searched(tmp_path, again, trials=9)
    assert [len(trials) for _, trials in again.together[:3]] == [1, 2, 3]
    assert again.looks[:3] == [0, 0, 0]  # before any of them had measured
    assert len(study.history.finished) == 9


def waiting(tmp_path, needs, *devices):
    """Workers of a second driver, where twelve trials wait that have all said what they take."""
    one_each = slots(tmp_path, *[f"cuda:{i}" for i in range(12)])
    searched(tmp_path, SimulatedGpus(one_each, needs, length=lambda trial: 9), trials=12, kill_after=24)
    return SimulatedGpus(slots(tmp_path, *devices), needs, length=lambda trial: 3 + trial)


def test_a_large_trial_that_waits_gets_its_gpu(tmp_path):
    """Small ones that wait behind it are not placed before it, though they would fit."""
    launcher = waiting(tmp_path, lambda trial, config: (55 if trial == 3 else 8) * GIB, *["cuda:0"] * 8)
    study = searched(tmp_path, launcher, trials=12)
    assert [task.trial for task in launcher.tasks] == list(range(12))
    assert [sorted(trials) for _, trials in launcher.together[:5]] == [[0], [0, 1], [0, 1, 2], [2, 3], [3, 4]]
    assert launcher.failed == []
    assert len(study.history.finished) == 12


def test_it_waits_for_one_gpu_while_others_go_on(tmp_path):
    launcher = waiting(tmp_path, lambda trial, config: (65 if trial == 4 else 8) * GIB, *["cuda:0", "cuda:1"] * 8)
    study = searched(tmp_path, launcher, trials=12)
    order = [task.trial for task in launcher.tasks]
    assert order[:4] == [0, 1, 2, 3]
    assert order.index(4) > 4  # those behind it went to the other GPU
    assert launcher.failed == []
    assert len(study.history.finished) == 12


def test_a_new_trial_that_does_not_fit_waits_and_no_other_is_asked_for_that_gpu(tmp_path):
    """The budget stays exact, and what was asked for is started in its order."""
    launcher = SimulatedGpus(slots(tmp_path, *["cuda:0"] * 8), by_config)
    study = searched(tmp_path, launcher, trials=30, ranges=SIZES)
    assert [task.trial for task in launcher.tasks if task.attempt == 1] == list(range(30))
    assert len(study.history.trials) == 30


def test_where_trials_say_nothing_of_memory_the_number_of_workers_counts(tmp_path):
    launcher = SimulatedGpus(slots(tmp_path, *["cuda:0"] * 3), of_size(0), size=0)
    launcher.used = lambda device: 0
    searched(tmp_path, launcher, trials=9)
    assert [len(trials) for _, trials in launcher.together[:3]] == [1, 2, 3]
    assert launcher.looks[:3] == [0, 1, 1]


def test_cpus_are_not_packed_by_memory(tmp_path):
    launcher = SimulatedGpus(slots(tmp_path, *["cpu"] * 3), of_size(70), size=999 * GIB)
    searched(tmp_path, launcher, trials=9)
    assert launcher.looks[:3] == [0, 0, 0]


def test_processes_share_a_gpu_as_its_memory_allows(tmp_path, monkeypatch):
    """Real processes, four workers, a trainer that says it takes 30 GiB of 80: two at once, once one has said so."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    monkeypatch.setenv("TOY_STEP", "0.002")
    launcher = LocalLauncher(slots(tmp_path, *["cuda:0"] * 4), trainer="python:tests.simulated_gpus:on_a_gpu")
    try:
        study = searched(tmp_path, launcher, trials=6)
    finally:
        launcher.close()
    found = journal.read(study.journal.path)
    assert len(study.history.finished) == 6
    assert at_once(found) == 2
    assert [e["event"] for e in found if e["event"] in ("trial_started", "evaluation")][:2] == [
        "trial_started",
        "evaluation",
    ]
    assert {e["evaluation"]["device_memory"] for e in found if e["event"] == "evaluation"} == {80 * GIB}
