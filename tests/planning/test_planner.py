"""The numbers of a plan."""

import random
from statistics import fmean

from hpsearch.planning import planner


def test_the_mean_and_the_deciles_of_equal_times_are_that_time():
    draw = random.Random(0)
    for _ in range(1000):
        value, n = draw.random(), draw.randint(2, 40)
        times = [value] * n
        assert (*planner._deciles(times), planner._between(fmean(times), times)) == (value, value, value)
