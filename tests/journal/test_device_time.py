"""For how long devices are held: each once, whatever trains on it, also over drivers that were killed."""

import pytest

from hpsearch import journal
from hpsearch.journal.device_time import DeviceTime
from hpsearch.journal.history import History
from hpsearch.journal.outline import outline
from tests.journal.test_history import CREATED, event
from tests.searching import evaluation


def held(*steps):
    found = DeviceTime()
    for at, trial, place in steps:
        if place is None:
            found.ended(trial, at=at)
        else:
            found.started(trial, device=place[0], worker=place[1], at=at)
    return found


def test_trials_that_share_a_gpu_hold_it_once():
    gpu = [("cuda:0", worker) for worker in range(3)]
    found = held((0, 0, gpu[0]), (10, 1, gpu[1]), (30, 0, None), (40, 2, ("cuda:1", 2)), (50, 1, None), (60, 2, None))
    assert found.seconds == 50 + 20
    assert found.until(1000) == 70


def test_each_process_on_the_cpu_and_each_actor_of_a_cluster_is_a_device():
    steps = [(0, 0, ("cpu", 0)), (0, 1, ("cpu", 1)), (0, 2, ("cuda:0@node", 2)), (0, 3, ("cuda:0@node", 3))]
    found = held(*steps)
    assert found.held == 4
    assert found.until(10) == 40


def test_each_gpu_of_a_trial_counts():
    found = held((0, 0, ("cuda:0+1", 0)), (0, 1, ("cuda:2+3", 1)), (0, 2, ("cuda:0+1+2@node", 2)))
    assert found.held == 2 + 2 + 3
    assert found.until(10) == 70
    found.ended(2, at=10)
    assert (found.seconds, found.held) == (30, 4)


def test_what_is_not_held_does_not_count():
    found = held((0, 0, ("cpu", 0)), (10, 0, None), (100, 1, ("cpu", 0)), (105, 1, None), (110, 1, None))
    assert found.seconds == 15


def started(number, at, worker=0):
    return event("trial_started", at, trial=number, attempt=1, device="cpu", threads=1, worker=worker)


def lines(tmp_path, *events):
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b"".join(journal.lines.encode({"time": entry["time"], **entry}) for entry in [CREATED, *events]))
    return path


def test_a_killed_driver_holds_its_devices_until_its_last_line_and_a_stopped_one_until_its_stop():
    began = [event("driver_started", 100), started(0, 110), started(1, 110, worker=1)]
    paused = event("trial_interrupted", 150, trial=0)
    killed = History.of([CREATED, *began, paused, event("driver_started", 900), started(1, 910)])
    assert killed.device_seconds == 40 + 40
    assert killed.seconds == 50 + 10
    stopped = History.of([CREATED, *began, paused, event("driver_stopped", 160, reason="failed")])
    assert stopped.device_seconds == 40 + 50


def test_the_confirmation_counts_and_an_outline_says_the_same(tmp_path):
    measured = event("evaluation", 170, trial=1_000_000, attempt=1, evaluation=evaluation(1, 2.0).to_dict())
    path = lines(
        tmp_path, event("driver_started", 100), started(1_000_000, 110), measured, event("driver_started", 900)
    )
    whole, outlined = History.of(journal.read(path)), History.of(outline(path))
    assert whole.device_seconds == outlined.device_seconds == pytest.approx(60)
    assert whole.seconds == outlined.seconds == pytest.approx(70)
