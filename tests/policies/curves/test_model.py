"""Predictions for trials, and the improvement that a new config promises."""

import numpy as np
import pytest

from hpsearch.policies.curves.model import (
    BEST,
    OTHERS,
    Landscape,
    Predictions,
    chosen,
    expected_improvement,
    rank_correlation,
)

GROUPS = (slice(0, 1), slice(1, 2))
RUNGS = [1, 3, 9, 20]


def curve(point, until):
    """A curve that falls to the distance of its point from (0.3, 0.7)."""
    end = float(((np.asarray(point) - [0.3, 0.7]) ** 2).sum())
    return {rung: 2.0 + end + 1.0 / rung for rung in RUNGS if rung <= until}


def study(count=30, seed=0, until=(1, 3, 9, 20)):
    rng = np.random.default_rng(seed)
    points = rng.random((count, 2))
    return points, [curve(point, until[i % len(until)]) for i, point in enumerate(points)]


def landscape(points, curves):
    predictions = Predictions.of(curves, RUNGS)
    return Landscape.fit(predictions, points, groups=GROUPS, rng=np.random.default_rng(0))


def test_trials_that_were_stopped_early_are_ranked_by_where_they_would_end():
    points, curves = study()
    ends = ((points - [0.3, 0.7]) ** 2).sum(1)
    assert rank_correlation(Predictions.of(curves, RUNGS).means, ends) > 0.9
    assert rank_correlation(np.array([min(c.values()) for c in curves]), ends) < 0.6  # as far as they were trained


def test_the_landscape_finds_the_valley_from_unfinished_trials():
    found = landscape(*study(60, until=(1, 3, 9)))
    grid = np.stack(np.meshgrid(np.linspace(0, 1, 21), np.linspace(0, 1, 21)), -1).reshape(-1, 2)
    means, _ = found.process.predict(grid)
    assert np.linalg.norm(grid[means.argmin()] - [0.3, 0.7]) < 0.15


def test_the_model_is_trusted_where_it_predicts_what_it_has_not_seen():
    points, curves = study(60)
    assert landscape(points, curves).trust > 0.7
    shuffled = np.random.default_rng(1).permutation(points)
    assert landscape(shuffled, curves).trust < 0.4


def test_a_config_beside_an_unfinished_trial_improves_by_little():
    """Though the trial itself may well become the best."""
    points, curves = study(40, until=(1, 3))
    found = landscape(points, curves)
    best = found.trials[found.means.argmin()]
    beside, apart = best + 1e-3, np.clip(best + 0.12, 0, 1)
    near, far = found.improvement(np.array([beside, apart]))
    assert near < far


def test_a_pending_trial_lowers_the_improvement_beside_it():
    found = landscape(*study())
    grid = np.random.default_rng(2).random((300, 2))
    gains = found.improvement(grid)
    best = grid[gains.argmax()]
    assert found.with_pending(best[None]).improvement(best[None])[0] < gains.max()
    assert found.with_pending(np.empty((0, 2))) is found


def test_expected_improvement_is_the_mean_of_draws():
    draws = np.random.default_rng(0).normal(-0.3, 0.5, 400_000)
    found = expected_improvement(np.array([-0.3]), np.array([0.5]))
    assert found[0] == pytest.approx(np.maximum(draws, 0).mean(), abs=2e-3)


def test_a_long_study_is_seen_by_its_best_and_some_others():
    means = np.random.default_rng(0).permutation(5000).astype(float)
    seen = chosen(means, np.random.default_rng(1))
    assert len(seen) == len(set(seen.tolist())) == BEST + OTHERS
    assert set(range(BEST)) <= set(means[seen].astype(int))
    assert sorted(chosen(means[:50], np.random.default_rng(1)).tolist()) == list(range(50))


def test_curves_with_values_that_are_not_finite_are_predicted_to_be_bad():
    _, curves = study(20)
    curves += [{1: 2.5, 3: float("nan")}, {1: float("inf")}]
    means = Predictions.of(curves, RUNGS).means
    assert np.isfinite(means).all()
    assert min(means[-2:]) >= means.max()
