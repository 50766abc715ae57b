"""How busy GPUs were, and whether a second trial had fitted."""

from dataclasses import replace

import pytest

from hpsearch.results.evidence.idle_gpus import FEWEST, busy, busy_in_steps, idle
from tests.searching import evaluation

GIB = 2**30


def training(*percents, seconds=10.0):
    """Evaluations, one every so many seconds; None: no look at the GPU fell between it and the one before."""
    return [
        replace(evaluation(i, 3.0), seconds=seconds * i, usage={} if percent is None else {"gpu": percent})
        for i, percent in enumerate(percents, start=1)
    ]


def test_the_mean_leaves_out_the_first_evaluation_of_each_training():
    assert busy([training(100.0, 10.0, 20.0, 30.0), training(90.0, 20.0, 20.0)]) == pytest.approx(20.0)


def test_evaluations_count_by_their_time_and_at_least_as_one_look():
    long, short = training(0.0, 10.0, 10.0, seconds=9.0), training(0.0, 40.0, 40.0, 40.0, 40.0, seconds=0.2)
    assert busy([long, short]) == pytest.approx((18 * 10 + 4 * 40) / 22)


def test_nothing_is_known_from_few_looks():
    assert busy([training(0.0, *[50.0] * (FEWEST - 1))]) is None
    assert busy([training(0.0, None, *[50.0] * (FEWEST - 1))]) is None
    assert busy([]) is None
    assert busy([training(0.0, None, *[50.0] * FEWEST)]) == 50.0


def measurement(percent, *, seconds=4.0, step=0.01, steps=200):
    usage = {} if percent is None else {"gpu": percent}
    return replace(evaluation(1, 3.0), seconds=seconds, usage=usage, metrics={"step": step, "steps": float(steps)})


def test_what_a_measurement_says_is_of_its_steps_at_most():
    """Two of four seconds are steps, and kernels ran in one of the four: in half of the steps, if in no other time."""
    assert busy_in_steps([measurement(25.0)] * FEWEST) == pytest.approx(50.0)
    assert busy_in_steps([measurement(80.0)] * FEWEST) == pytest.approx(100.0)
    assert busy_in_steps([measurement(10.0), *[measurement(30.0)] * FEWEST]) == pytest.approx((20 + 60 * FEWEST) / 6)


def test_measurements_without_looks_or_with_few_steps_say_nothing():
    assert busy_in_steps([measurement(25.0)] * (FEWEST - 1)) is None
    assert busy_in_steps([measurement(None)] * FEWEST) is None
    assert busy_in_steps([measurement(25.0, steps=10)] * FEWEST) is None
    assert busy_in_steps(training(*[10.0] * (FEWEST + 1))) is None  # of another trainer


def test_an_idle_gpu_needs_room_for_a_second_trial():
    assert idle(49.9, peak=GIB, size=4 * GIB)
    assert idle(50.0, peak=GIB, size=4 * GIB) == ""
    assert idle(1.0, peak=2 * GIB, size=4 * GIB) == ""
    assert idle(1.0, peak=0, size=0) == ""  # a trainer that does not report memory
    assert idle(None, peak=GIB, size=4 * GIB) == ""
