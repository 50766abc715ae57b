"""The numbers of a plan."""

import random
from dataclasses import replace
from statistics import fmean

import pytest

from hpsearch.preflight.planning import planner
from hpsearch.trainers import Sample
from tests.results.evidence.test_idle_gpus import measurement, training


def test_the_mean_and_the_deciles_of_equal_times_are_that_time():
    draw = random.Random(0)
    for _ in range(1000):
        value, n = draw.random(), draw.randint(2, 40)
        times = [value] * n
        assert (*planner._deciles(times), planner._between(fmean(times), times)) == (value, value, value)


def test_gpus_are_as_busy_as_their_trainings_or_else_as_the_steps_of_measurements():
    samples = [Sample(None, tuple(training(100.0, *[30.0] * 6)), at=()), Sample(None, (measurement(90.0),), at=())]
    assert planner._busy(samples) == pytest.approx(30.0)
    measured = [Sample(None, (measurement(25.0),), at=())] * 5
    assert planner._busy(measured) == pytest.approx(50.0)
    assert planner._busy([Sample(None, (replace(measurement(25.0), usage={}),), at=())] * 5) is None
