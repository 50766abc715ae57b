"""The training loss by set and over sets, worked out by hand."""

import copy

import pytest

from hpsearch.training.train_loss import TrainLoss


def test_a_window_lacks_no_set_that_was_ever_trained():
    loss = TrainLoss({"a": 1.0, "b": 3.0})
    assert loss.window({"a": (20.0, 10)}) == {"train/loss": 2.0, "train/a/loss": 2.0}
    assert loss.window({"b": (12.0, 3)}) == {"train/loss": (1 * 2.0 + 3 * 4.0) / 4, "train/b/loss": 4.0}
    assert loss.window({"a": (10.0, 10)}) == {"train/loss": (1 * 1.0 + 3 * 4.0) / 4, "train/a/loss": 1.0}


def test_an_interval_is_the_mean_of_its_targets_and_of_a_set_that_it_lacks_the_latest():
    loss = TrainLoss({"a": 1.0, "b": 3.0})
    loss.window({"a": (20.0, 10), "b": (12.0, 3)})
    loss.window({"a": (10.0, 40)})
    assert loss.close_interval() == pytest.approx((1 * 30 / 50 + 3 * 4.0) / 4)
    loss.window({"a": (5.0, 10)})
    assert loss.close_interval() == pytest.approx((1 * 0.5 + 3 * 4.0) / 4)
    assert loss.close_interval() == pytest.approx((1 * 0.5 + 3 * 4.0) / 4)


def test_one_set_has_no_second_name():
    loss = TrainLoss({"a": 7.0})
    assert loss.window({"a": (1.0, 3)}) == {"train/loss": 1 / 3}
    assert loss.close_interval() == 1 / 3


def test_a_restored_one_goes_on_as_the_other():
    one, other = TrainLoss({"a": 1.0, "b": 3.0}), TrainLoss({"a": 1.0, "b": 3.0})
    one.window({"a": (20.0, 10), "b": (12.0, 3)})
    other.load(copy.deepcopy(one.state()))
    assert [it.window({"a": (9.0, 3)}) for it in (one, other)] == [{"train/loss": 3.75, "train/a/loss": 3.0}] * 2
    assert one.close_interval() == other.close_interval() == pytest.approx((29 / 13 + 3 * 4) / 4)
