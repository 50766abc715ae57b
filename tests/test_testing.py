"""The synthetic curves do what their names say, reproducibly."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import fmean, stdev

import pytest

from hpsearch.testing import SyntheticCurve, synthetic_loss


def test_a_healthy_curve_falls_all_the_way_in_both_losses() -> None:
    points = SyntheticCurve().points(20)
    assert [point.index for point in points] == list(range(1, 21))
    assert points[-1].progress == 1.0
    for before, after in pairwise(points):
        assert after.val_loss < before.val_loss
        assert after.train_loss < before.train_loss


def test_it_is_the_documented_power_law() -> None:
    made = SyntheticCurve(start=5.0, floor=1.0, tokens=3e6, scale=1e6, exponent=0.5)
    assert made.val_loss(1.0) == pytest.approx(1.0 + 4.0 * 4**-0.5)


def test_more_tokens_and_the_best_learning_rate_end_lower() -> None:
    assert SyntheticCurve(tokens=2e6).val_loss(1.0) < SyntheticCurve(tokens=1e6).val_loss(1.0)
    ends = {rate: SyntheticCurve(learning_rate=rate).val_loss(1.0) for rate in (3e-4, 1e-3, 3e-3, 9e-3, 3e-2)}
    assert min(ends, key=lambda rate: ends[rate]) == 3e-3
    assert ends[1e-3] == pytest.approx(ends[9e-3])  # as far below the best as above it, in the log


def test_overfitting_turns_validation_up_while_training_falls() -> None:
    points = SyntheticCurve(overfits_from=0.4).points(20)
    lowest = min(points, key=lambda point: point.val_loss)
    assert 0.4 <= lowest.progress <= 0.55
    assert points[-1].val_loss > lowest.val_loss + 0.5
    assert points[-1].train_loss < lowest.train_loss - 0.5


def test_a_cool_down_lowers_the_loss_by_cools_by() -> None:
    plain, cooled = SyntheticCurve(), SyntheticCurve(cools_from=0.8, cools_by=0.15)
    assert cooled.val_loss(0.8) == plain.val_loss(0.8)
    assert plain.val_loss(1.0) - cooled.val_loss(1.0) == pytest.approx(0.15)


def test_divergence_passes_through_large_numbers_to_nan() -> None:
    made = SyntheticCurve(diverges_from=0.3)
    assert made.val_loss(0.3) < 6
    assert made.val_loss(0.5) > 1e5
    assert math.isnan(made.val_loss(0.9))
    assert math.isnan(SyntheticCurve(learning_rate=0.3).val_loss(1.0))


def test_noise_has_its_deviation_and_depends_only_on_the_seed() -> None:
    values = [SyntheticCurve(noise=0.05, seed=seed).val_loss(0.5) for seed in range(500)]
    assert stdev(values) == pytest.approx(0.05, rel=0.1)
    assert fmean(values) == pytest.approx(SyntheticCurve().val_loss(0.5), abs=0.01)
    assert values[7] == SyntheticCurve(noise=0.05, seed=7).val_loss(0.5)


def test_a_known_value_on_every_machine() -> None:
    noisy, plain = SyntheticCurve(noise=1.0, seed=3), SyntheticCurve()
    assert noisy.val_loss(0.25) - plain.val_loss(0.25) == pytest.approx(-1.836659281487, abs=1e-9)


def test_the_loss_of_params_has_the_optimum_it_documents() -> None:
    best = synthetic_loss({"learning_rate": 3e-3, "epochs": 4.0, "dropout": 0.1})
    assert best == pytest.approx(2.378, abs=1e-3)
    assert synthetic_loss({"anything": 1.0}) == best
    others: list[dict[str, float]] = [{"learning_rate": 1e-3}, {"epochs": 2.0}, {"epochs": 8.0}, {"dropout": 0.4}]
    for worse in others:
        assert synthetic_loss(worse) > best + 0.1
    assert math.isnan(synthetic_loss({"learning_rate": 0.1}))
