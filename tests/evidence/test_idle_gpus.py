"""How busy GPUs were, and whether a second trial had fitted."""

from dataclasses import replace

import pytest

from hpsearch.evidence.idle_gpus import FEWEST, busy, idle
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


def test_an_idle_gpu_needs_room_for_a_second_trial():
    assert idle(49.9, peak=GIB, size=4 * GIB)
    assert idle(50.0, peak=GIB, size=4 * GIB) == ""
    assert idle(1.0, peak=2 * GIB, size=4 * GIB) == ""
    assert idle(1.0, peak=0, size=0) == ""  # a trainer that does not report memory
    assert idle(None, peak=GIB, size=4 * GIB) == ""
