"""When a study ends, worked out by hand."""

import math

import pytest

from hpsearch.preflight.planning.outlook import Pace, outlook
from hpsearch.space.budget import Budget
from hpsearch.space.search import Confirm

OFF = Confirm(enabled=False)
PACE = Pace(seconds=100.0, share=1.0, start=10.0, workers=1, devices=1)


def test_trials_one_after_the_other():
    found = outlook(Budget(trials=5), OFF, PACE, configs=None)
    assert (found.trials, found.confirmed, found.limit, found.money) == (5, 0, "trials", None)
    assert found.seconds == pytest.approx(510)
    assert found.device_hours == pytest.approx(500 / 3600)


def test_two_workers_wait_for_half_of_the_last_trial():
    found = outlook(Budget(trials=6), OFF, Pace(100.0, 1.0, 10.0, 2, 2), configs=None)
    assert found.seconds == pytest.approx(10 + 300 + 25)
    assert found.device_hours == pytest.approx(2 * 325 / 3600)


def test_two_workers_on_one_gpu_hold_one_device():
    found = outlook(Budget(trials=6), OFF, Pace(100.0, 1.0, 0.0, 2, 1), configs=None)
    assert found.device_hours == pytest.approx(325 / 3600)


def test_one_trial_takes_as_long_on_eight_workers():
    assert outlook(Budget(trials=1), OFF, Pace(100.0, 1.0, 0.0, 8, 8), configs=None).seconds == pytest.approx(100)


def test_pruning_shortens_trials():
    found = outlook(Budget(trials=10), OFF, Pace(100.0, 0.5, 0.0, 1, 1), configs=None)
    assert found.seconds == pytest.approx(500)


def test_the_confirmation_takes_a_fifth_at_most():
    # 20 trials of 100 s: 400 s for it; with 3 seeds 4 x 3 trainings are too many, 2 x 3, 4 x 1 are 4: see finalists.py
    found = outlook(Budget(trials=20), Confirm(), PACE, configs=None)
    assert found.confirmed == 4
    assert found.seconds == pytest.approx(10 + 2000 + 400)
    assert outlook(Budget(trials=9), Confirm(), PACE, configs=None).confirmed == 0  # too small a study
    asked = outlook(Budget(trials=5), Confirm(top=2, seeds=3), PACE, configs=None)
    assert asked.confirmed == 9  # two and the default config, three seeds each


def test_hours_bind():
    found = outlook(Budget(trials=100, hours=0.5), OFF, PACE, configs=None)
    assert (found.trials, found.limit) == (17, "hours")  # (1800 - 10) / 100
    assert found.seconds == pytest.approx(1800)  # a run trains until its hours are over


def test_device_hours_bind_before_hours():
    found = outlook(Budget(hours=2, device_hours=1), OFF, Pace(100.0, 1.0, 0.0, 4, 4), configs=None)
    assert found.limit == "device_hours"
    assert found.seconds == pytest.approx(900)
    assert found.device_hours == pytest.approx(1.0)


def test_money_binds_and_is_said():
    found = outlook(Budget(money=3, price_per_hour=6), OFF, PACE, configs=None)
    assert found.limit == "money"
    assert found.money == pytest.approx(3, rel=0.05)
    told = outlook(Budget(trials=36, price_per_hour=6), OFF, PACE, configs=None)
    assert (told.limit, told.money) == ("trials", pytest.approx(6.0))


def test_a_small_space_ends_first():
    found = outlook(Budget(trials=100), OFF, PACE, configs=8)
    assert (found.trials, found.limit) == (8, "space")


def test_hours_shorter_than_a_trial():
    found = outlook(Budget(hours=0.01), OFF, PACE, configs=None)
    assert (found.trials, found.limit) == (1, "hours")
    assert math.isfinite(found.seconds)


def test_ten_percent_of_studies_end_earlier_and_later():
    pace = Pace(100.0, 0.5, 0.0, 1, 1, spread=0.6, doubt=0.05)
    found = outlook(Budget(trials=36), OFF, pace, configs=None)
    # 0.6 / 6 of the draws, 0.1 of the share, 0.1 of the model: 0.1 * sqrt(3)
    factor = math.exp(1.28 * 0.1 * math.sqrt(3))
    assert (found.earliest, found.latest) == pytest.approx((1800 / factor, 1800 * factor))
    limited = outlook(Budget(trials=36, hours=0.5), OFF, pace, configs=None)
    assert limited.latest == pytest.approx(1800)  # not after its hours
