"""What the learning curves of a study say about configs: predictions for its trials, and where to try next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from hpsearch.policies.curves.chain import UNKNOWN_SPREAD, Chain, Curve
from hpsearch.policies.curves.process import Process
from hpsearch.policies.curves.stretch import WORST, Stretch

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
BEST, OTHERS = 70, 70  # trials that the Gaussian process sees: the best predictions, and others drawn at random
RIVALS = 40  # trials on which a new config must improve
FEWEST_RANKED = 8  # trials beyond the first rung, before their ranks count
PENDING_VARIANCE = 0.05  # of the guessed value of a trial that has none


@dataclass(frozen=True)
class Predictions:
    """The predicted final values of trials, on the stretched scale (lower is better).

    A trial whose latest value is as bad as can be, as one that diverged, is not extrapolated.
    """

    means: Array
    variances: Array
    beyond_first: Mask  # which trials have been measured beyond the first rung

    @classmethod
    def of(cls, curves: Sequence[Curve], rungs: Sequence[int]) -> Predictions:
        """Extrapolates curves (rung -> value, lower is better), each with at least one value."""
        values = np.array([value for curve in curves for value in curve.values()])
        lowest = np.fmin.reduceat(values, np.cumsum([0, *(len(curve) for curve in curves[:-1])]))
        finite = lowest[np.isfinite(lowest)]
        scaled = iter(Stretch.of(finite if len(finite) else np.zeros(1))(values).tolist())
        stretched = [{rung: next(scaled) for rung in curve} for curve in curves]
        lost = [curve[max(curve)] >= WORST for curve in stretched]
        chain = Chain.fit(rungs, [curve for curve, is_lost in zip(stretched, lost, strict=True) if not is_lost])
        found = np.array(
            [
                (WORST, UNKNOWN_SPREAD**2) if is_lost else chain.end(max(curve), curve[max(curve)])
                for curve, is_lost in zip(stretched, lost, strict=True)
            ]
        )
        beyond = np.array([max(curve) > rungs[0] for curve in curves], dtype=bool)
        return cls(np.minimum(found[:, 0], WORST), found[:, 1], beyond)


@dataclass(frozen=True)
class Landscape:
    """A Gaussian process over configs on the predictions of trials."""

    process: Process
    trials: Array  # columns of the trials that it has seen
    means: Array  # its means there
    trust: float  # rank correlation, up to 1, of what it predicts for a trial from the others with the trial's value

    @classmethod
    def fit(
        cls, predictions: Predictions, columns: Array, *, groups: tuple[slice, ...], rng: np.random.Generator
    ) -> Landscape:
        """`columns`: (n, k), of the trials that the predictions are about."""
        seen = chosen(predictions.means, rng)
        means, points = predictions.means[seen], columns[seen]
        middle, spread = float(np.median(means)), max(float(means.std()), 1e-3)
        process = Process.fit(points, (means - middle) / spread, predictions.variances[seen] / spread**2, groups)
        return cls(process, points, process.joint(points)[0], trust(process, predictions.beyond_first[seen]))

    def with_pending(self, columns: Array) -> Landscape:
        """The landscape with trials that have no value yet (n, k): each is guessed at the mean (a constant liar)."""
        if not len(columns):
            return self
        process = self.process.extended(columns, PENDING_VARIANCE)
        guessed, _, _ = self.process.joint(columns)
        return replace(
            self, process=process, trials=np.vstack([self.trials, columns]), means=np.r_[self.means, guessed]
        )

    def improvement(self, columns: Array) -> Array:
        """By how much a config is expected to improve on every trial, at columns (m, k).

        The expected improvement on each of the best trials, by the joint distribution of both; the smallest of them. A
        config next to a trial whose end is unknown shares its end, and improves on it by little: to resume that trial
        is the better way to find out.
        """
        process, rivals = self.process, np.argsort(self.means, kind="stable")[:RIVALS]
        means, variances, at = process.joint(columns)
        other_means, other_variances, at_others = process.joint(self.trials[rivals])
        covariances = process.kernel(columns, self.trials[rivals], process.groups) - at.T @ at_others
        spread = np.sqrt(np.maximum(variances[:, None] + other_variances[None] - 2.0 * covariances, 1e-9))
        found: Array = expected_improvement(other_means[None] - means[:, None], spread).min(axis=1)
        return found


def trust(process: Process, beyond_first: Mask) -> float:
    """How well the process ranks trials that it has not seen: the mean of two rank correlations.

    One is over all trials, the other over those beyond the first rung: to tell a good config from a hopeless one is
    easy, and of little use.
    """
    left_out = process.left_out()
    whole = rank_correlation(left_out, process.values)
    if beyond_first.sum() < FEWEST_RANKED:
        return whole
    return 0.5 * (whole + rank_correlation(left_out[beyond_first], process.values[beyond_first]))


def rank_correlation(a: Sequence[float] | Array, b: Sequence[float] | Array) -> float:
    """Spearman's rank correlation; 0 if all values of one are equal."""
    from scipy.stats import rankdata  # as long as all else that a driver imports

    ranks = rankdata(a), rankdata(b)
    if min(np.ptp(rank) for rank in ranks) == 0:
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1])


def expected_improvement(gain: Array, spread: Array) -> Array:
    """E[max(X, 0)] of a normal X with mean `gain` and standard deviation `spread`."""
    z = gain / spread
    found: Array = gain * ndtr(z) + spread * np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi)
    return found


def chosen(means: Array, rng: np.random.Generator) -> NDArray[np.int64]:
    """The trials that a Gaussian process sees, shuffled: the best by their predictions, and some of the others."""
    order = np.argsort(means, kind="stable")
    others = rng.permutation(order[BEST:])[:OTHERS]
    return rng.permutation(np.r_[order[:BEST], others])
