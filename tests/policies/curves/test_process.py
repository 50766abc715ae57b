"""The Gaussian process, against that of scikit-learn and against differences."""

import numpy as np
import pytest
from scipy.optimize import check_grad
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from hpsearch.policies.curves.process import JITTER, Kernel, Process, posterior, squared_distances, tuned

KERNEL = Kernel(np.array([0.3, 0.9, 2.0]), 1.7, 0.2)
GROUPS = (slice(0, 1), slice(1, 2), slice(2, 3))


def data(n=40, seed=0):
    rng = np.random.default_rng(seed)
    points = rng.random((n, 3))
    return points, np.sin(6 * points[:, 0]) + points[:, 1], rng.uniform(0.01, 0.3, n)


def theirs(points, values, variances):
    kernel = ConstantKernel(1.7) * Matern([0.3, 0.9, 2.0], nu=2.5) + WhiteKernel(0.2**2)
    regressor = GaussianProcessRegressor(kernel, alpha=variances + JITTER, optimizer=None)
    return regressor.fit(points, values)


def test_predictions_are_those_of_scikit_learn():
    points, values, variances = data()
    process = Process.conditioned(KERNEL, GROUPS, points=points, values=values, variances=variances)
    new = np.random.default_rng(1).random((20, 3))
    means, deviations = process.predict(new)
    their_means, their_deviations = theirs(points, values, variances).predict(new, return_std=True)
    assert means == pytest.approx(their_means, abs=1e-8)
    assert deviations**2 == pytest.approx(their_deviations**2 - 0.2**2, abs=1e-8)  # theirs with the noise of a value


def test_covariances_are_those_of_scikit_learn():
    points, values, variances = data()
    process = Process.conditioned(KERNEL, GROUPS, points=points, values=values, variances=variances)
    new = np.random.default_rng(1).random((6, 3))
    _, _, solved = process.joint(new)
    covariance = process.kernel(new, new, GROUPS) - solved.T @ solved
    _, their_covariance = theirs(points, values, variances).predict(new, return_cov=True)
    assert covariance + 0.2**2 * np.eye(6) == pytest.approx(their_covariance, abs=1e-8)


def test_the_density_is_the_likelihood_of_scikit_learn_with_the_priors():
    points, values, variances = data()
    at = np.log([0.3, 0.9, 2.0, 1.7, 0.2])
    prior = np.full(5, -0.5)
    ours, _ = posterior(at, prior, squared_distances(points, points, GROUPS), values, variances)
    likelihood = theirs(points, values, variances).log_marginal_likelihood_value_
    constant = 0.5 * len(points) * np.log(2 * np.pi)
    assert ours == pytest.approx(-likelihood - constant + 0.5 * ((at - prior) ** 2).sum(), abs=1e-6)


def test_the_gradient_is_that_of_differences():
    points, values, variances = data(20)
    arguments = (np.full(5, -0.5), squared_distances(points, points, GROUPS), values, variances)
    at = np.log([0.3, 0.9, 2.0, 1.7, 0.2])
    assert check_grad(lambda x: posterior(x, *arguments)[0], lambda x: posterior(x, *arguments)[1], at) < 1e-4


def test_a_parameter_without_an_effect_has_a_long_length():
    points, values, variances = data(60)
    kernel = tuned(squared_distances(points, points, GROUPS), values, variances)
    assert kernel.lengths[2] > 2 * kernel.lengths[0]


def test_a_parameter_of_several_columns_has_one_length():
    groups = (slice(0, 2), slice(2, 3))
    points, values, variances = data(30)
    kernel = Kernel(np.array([0.5, 0.8]), 1.0, 0.1)
    apart = kernel(points, points, groups)
    squares = squared_distances(points, points, groups)
    r = np.sqrt(5 * (squares[0] / 0.25 + squares[1] / 0.64))
    assert apart == pytest.approx((1 + r + r**2 / 3) * np.exp(-r), abs=1e-6)
    assert Process.fit(points, values, variances, groups).kernel.lengths.shape == (2,)


def test_what_is_left_out_is_what_the_others_predict():
    points, values, variances = data(15)
    process = Process.conditioned(KERNEL, GROUPS, points=points, values=values, variances=variances)
    for i, found in enumerate(process.left_out()):
        rest = np.arange(15) != i
        others = Process.conditioned(
            KERNEL, GROUPS, points=points[rest], values=values[rest], variances=variances[rest]
        )
        assert found == pytest.approx(others.predict(points[i : i + 1])[0][0], abs=1e-6)


def test_a_pending_point_changes_no_mean_and_lowers_the_deviation():
    points, values, variances = data()
    process = Process.conditioned(KERNEL, GROUPS, points=points, values=values, variances=variances)
    pending = np.array([[0.5, 0.5, 0.5]])
    more = process.extended(pending, 0.05)
    before, after = process.predict(pending), more.predict(pending)
    assert after[0] == pytest.approx(before[0], abs=1e-6)
    assert after[1] < before[1]
