"""A Gaussian process with its own noise for each point, in NumPy and SciPy.

Optuna's Gaussian process is private and knows no noise per point; scikit-learn's takes a list of noises, but needs ten
times as long, since its gradient loops over the parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_solve, cholesky, solve_triangular

Array = NDArray[np.float64]
ROOT_5 = np.sqrt(5.0)
USUAL_LENGTH, USUAL_NOISE = 0.6, 0.1  # medians of the priors of the hyperparameters, each with a deviation of e
ITERATIONS = 10  # of L-BFGS at most
MOST_TUNED = 48  # points whose likelihood is maximised
JITTER = 1e-8


@dataclass(frozen=True)
class Kernel:
    """Matern 5/2 with a length for each parameter: s^2 (1 + r + r^2/3) exp(-r), r^2 = 5 sum_j (d_j / l_j)^2."""

    lengths: Array  # (d,)
    variance: float
    noise: float  # standard deviation that all points have beside their own

    def __call__(self, a: Array, b: Array, groups: tuple[slice, ...]) -> Array:
        """Covariances (n, m) of points (n, columns) with points (m, columns)."""
        scale = np.concatenate(
            [np.full(part.stop - part.start, 1.0 / length) for part, length in zip(groups, self.lengths, strict=True)]
        )
        a, b = a * scale, b * scale
        squares = (a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2.0 * a @ b.T
        r = np.sqrt(5.0 * np.maximum(squares, 0.0))
        found: Array = self.variance * (1.0 + r + r * r / 3.0) * np.exp(-r)
        return found


@dataclass(frozen=True)
class Process:
    """A Gaussian process with mean 0, conditioned on noisy values at points."""

    kernel: Kernel
    groups: tuple[slice, ...]  # the columns of each parameter
    points: Array  # (n, columns)
    values: Array  # (n,)
    variances: Array  # (n,), the noise of each value
    factor: Array  # Cholesky factor of the covariance of the values
    weights: Array  # (n,), the inverse of that covariance times the values

    @classmethod
    def fit(cls, points: Array, values: Array, variances: Array, groups: tuple[slice, ...]) -> Process:
        """Chooses the kernel by the posterior of its hyperparameters, then conditions on all values.

        points: (n, columns); variances: (n,). The kernel is chosen by the first MOST_TUNED points.
        """
        few = slice(0, MOST_TUNED)
        kernel = tuned(squared_distances(points[few], points[few], groups), values[few], variances[few])
        return cls.conditioned(kernel, groups, points=points, values=values, variances=variances)

    @classmethod
    def conditioned(
        cls, kernel: Kernel, groups: tuple[slice, ...], *, points: Array, values: Array, variances: Array
    ) -> Process:
        """Conditions a given kernel on values."""
        covariance = kernel(points, points, groups)
        covariance[np.diag_indices(len(points))] += variances + kernel.noise**2 + JITTER
        factor = cholesky(covariance, lower=True, check_finite=False)
        weights = cho_solve((factor, True), values, check_finite=False)
        return cls(kernel, groups, points, values, variances, factor, weights)

    def extended(self, points: Array, variance: float) -> Process:
        """The process with its own means as further values, at points (m, columns)."""
        means, _, _ = self.joint(points)
        return self.conditioned(
            self.kernel,
            self.groups,
            points=np.vstack([self.points, points]),
            values=np.r_[self.values, means],
            variances=np.r_[self.variances, np.full(len(points), variance)],
        )

    def joint(self, points: Array) -> tuple[Array, Array, Array]:
        """Returns means and variances without noise at points (m, columns), and what covariances need.

        The covariance of points a and b is `kernel(a, b) - solved_a.T @ solved_b`; solved: (n, m).
        """
        cross = self.kernel(self.points, points, self.groups)
        solved = solve_triangular(self.factor, cross, lower=True, check_finite=False)
        variances = self.kernel.variance - (solved * solved).sum(0)
        return cross.T @ self.weights, np.maximum(variances, 1e-9), solved

    def left_out(self) -> Array:
        """What the process predicts for each of its values without that value (n,)."""
        precision = cho_solve((self.factor, True), np.eye(len(self.points)), check_finite=False)
        found: Array = self.values - self.weights / np.diag(precision)
        return found

    def predict(self, points: Array) -> tuple[Array, Array]:
        """Returns means and standard deviations without noise at points (m, columns)."""
        means, variances, _ = self.joint(points)
        return means, np.sqrt(variances)


def squared_distances(a: Array, b: Array, groups: tuple[slice, ...]) -> Array:
    """Squared distances (d, n, m) of each parameter, which may have several columns."""
    return np.stack([((a[:, None, part] - b[None, :, part]) ** 2).sum(-1) for part in groups])


def tuned(squares: Array, values: Array, variances: Array) -> Kernel:
    """The kernel with the highest posterior density, by L-BFGS from the medians of the priors."""
    from scipy.optimize import minimize  # imported by a driver only when it is used

    d = len(squares)
    start = np.r_[np.full(d, np.log(USUAL_LENGTH)), 0.0, np.log(USUAL_NOISE)]
    bounds = [(np.log(0.02), np.log(20.0))] * d + [(np.log(0.02), np.log(50.0)), (np.log(1e-3), np.log(2.0))]
    found = minimize(
        posterior,
        start,
        args=(start, squares, values, variances),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": ITERATIONS},
    )
    return _kernel(found.x)


def posterior(at: Array, prior: Array, squares: Array, values: Array, variances: Array) -> tuple[float, Array]:
    """Negative log posterior density, up to a constant, and its gradient, at the logs of lengths, variance and noise.

    The logs have normal priors around `prior` with deviation 1.
    """
    kernel, n = _kernel(at), len(values)
    r = np.sqrt(5.0 * np.tensordot(kernel.lengths**-2, squares, 1))
    decay = kernel.variance * np.exp(-r)
    correlated = decay * (1.0 + r + r * r / 3.0)
    covariance = correlated.copy()
    covariance[np.diag_indices(n)] += variances + kernel.noise**2 + JITTER
    try:
        factor = cholesky(covariance, lower=True, check_finite=False)
    except LinAlgError:
        return 1e9, np.zeros_like(at)
    inverse = cho_solve((factor, True), np.eye(n), check_finite=False)
    weights = inverse @ values
    surplus = inverse - np.outer(weights, weights)  # d(-log likelihood) = 1/2 sum(surplus * d covariance)
    by_length = np.tensordot(squares, surplus * decay * (1.0 + r), 2) * (5.0 / 3.0) / kernel.lengths**2
    gradient = 0.5 * np.r_[by_length, (surplus * correlated).sum(), 2.0 * kernel.noise**2 * np.trace(surplus)]
    density = 0.5 * values @ weights + np.log(np.diag(factor)).sum() + 0.5 * ((at - prior) ** 2).sum()
    return float(density), gradient + (at - prior)


def _kernel(logs: Array) -> Kernel:
    return Kernel(np.exp(logs[:-2]), float(np.exp(logs[-2])), float(np.exp(logs[-1])))
