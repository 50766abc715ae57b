"""Extrapolation from rung to rung."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from hpsearch.policies.curves.chain import SHRINKAGE, UNKNOWN_SPREAD, Chain

RUNGS = [1, 3, 9, 20]


def curves(count, *, seed=0, noise=0.0):
    """Curves of values that each rung maps to 0.5 + 0.8 times the one before."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(count):
        value, curve = float(rng.normal()), {}
        for rung in RUNGS:
            curve[rung] = value
            value = 0.5 + 0.8 * value + noise * float(rng.normal())
        found.append(curve)
    return found


def test_a_step_is_the_ridge_regression_of_scikit_learn_with_its_slope_shrunk_to_1():
    known = curves(30, noise=0.3)
    x, y = np.array([c[1] for c in known]), np.array([c[3] for c in known])
    ridge = Ridge(alpha=SHRINKAGE * x.var()).fit(x[:, None], y - x)  # of what is beyond slope 1
    step = Chain.fit(RUNGS, known).steps[0]
    assert step.slope == pytest.approx(1.0 + ridge.coef_[0])
    assert step.shift == pytest.approx(ridge.intercept_)


def test_steps_are_chained_to_the_end_with_their_variances():
    chain = Chain.fit(RUNGS, curves(200, noise=0.1))
    mean, variance = chain.end(3, 1.0)
    assert mean == pytest.approx(0.5 + 0.8 * (0.5 + 0.8 * 1.0), abs=0.1)
    slopes, spreads = [s.slope for s in chain.steps], [s.spread for s in chain.steps]
    assert variance == pytest.approx(slopes[2] ** 2 * (slopes[1] ** 2 * 1e-6 + spreads[1] ** 2) + spreads[2] ** 2)
    assert chain.end(1, 1.0)[1] > variance


def test_a_trained_trial_is_its_own_prediction():
    mean, variance = Chain.fit(RUNGS, curves(10)).end(20, 0.7)
    assert (mean, variance) == (0.7, pytest.approx(0.0, abs=1e-5))


def test_steps_that_no_trial_has_taken_are_uncertain():
    chain = Chain.fit(RUNGS, [{1: 1.0, 3: 0.5}, {1: 2.0}])
    assert [step.slope for step in chain.steps] == [1.0, 1.0, 1.0]
    assert chain.steps[0].shift == -0.5
    assert chain.steps[1].shift == pytest.approx(-0.4)  # the curve flattens
    assert all(step.spread == UNKNOWN_SPREAD for step in chain.steps)


def test_values_that_say_nothing_of_the_end_are_not_extrapolated():
    """The slope goes to 0 with the correlation, so that all predictions are the same and uncertain."""
    rng = np.random.default_rng(1)
    chain = Chain.fit([1, 2], [{1: float(rng.normal()), 2: float(rng.normal())} for _ in range(300)])
    assert abs(chain.steps[0].slope) < 0.2
    assert chain.steps[0].spread == pytest.approx(1.0, abs=0.15)
