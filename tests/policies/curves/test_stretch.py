"""The scale on which curves are compared."""

import math

import numpy as np
import pytest

from hpsearch.policies.curves.stretch import FARTHEST, Stretch


def test_the_best_value_is_0_and_the_median_a_fixed_distance_from_it():
    scale = Stretch.of(np.array([2.0, 3.0, 4.0, 9.0, 1.0]))
    assert scale(np.array([1.0, 3.0])) == pytest.approx([0.0, math.log(1.05) - math.log(0.05)])


def test_it_keeps_the_order_of_values():
    scale = Stretch.of(np.array([2.0, 3.0, 4.0]))
    scaled = scale(np.linspace(2.0, 10.0, 50))
    assert (np.diff(scaled) > 0).all()


def test_values_that_are_not_finite_or_absurd_are_as_bad_as_the_farthest():
    scale = Stretch.of(np.array([0.0, 1.0, 2.0]))
    farthest = math.log(FARTHEST + 0.05) - math.log(0.05)
    assert scale(np.array([math.nan, math.inf, 1e30])) == pytest.approx([farthest] * 3)


def test_equal_values_have_a_scale():
    assert np.isfinite(Stretch.of(np.array([5.0, 5.0]))(np.array([5.0, 5.1]))).all()
