"""Verdicts on curves with a known answer."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from hpsearch.testing import SyntheticCurve
from hpsearch.verdict import Point, Verdict, diverged, is_last_stable, noise, overfitting, reason, stale

WARMUP, COOLDOWN = 0.05, 0.8
NOISES = (0.002, 0.005, 0.01, 0.02, 0.04)


def make(val: Sequence[float], train: Sequence[float], *, stderr: float = 0.0, evaluations: int = 20) -> list[Point]:
    """Returns a curve from its losses, the first of some number of evaluations."""
    return [Point(k, k / evaluations, v, t, stderr) for k, (v, t) in enumerate(zip(val, train, strict=True), start=1)]


def stopped_at(curve: Sequence[Point], rule: Callable[..., bool] = overfitting, **settings: float) -> int | None:
    """Returns the evaluation (1, 2, ...) at which the rule stops a trial."""
    phases = {"warmup_until": WARMUP, **({"cooldown_from": COOLDOWN} if rule is overfitting else {}), **settings}
    return next((k for k in range(1, len(curve) + 1) if rule(curve[:k], **phases)), None)


def lowest(curve: Sequence[Point]) -> int:
    return min(curve, key=lambda point: point.val_loss).index


class TestNoise:
    def test_recovers_the_deviation_of_jitter_on_a_slope(self) -> None:
        draw = random.Random(0)
        values = [5 - 0.1 * k + draw.gauss(0, 0.02) for k in range(2000)]
        assert noise(values) == pytest.approx(0.02, rel=0.1)

    def test_straight_lines_and_parabolas_have_none(self) -> None:
        assert noise([3.0, 2.5, 2.0, 1.5, 1.0]) == pytest.approx(0, abs=1e-12)
        assert noise([0.0, 1.0, 4.0, 9.0, 16.0, 25.0]) == pytest.approx(0, abs=1e-12)

    def test_one_spike_is_ignored(self) -> None:
        draw = random.Random(1)
        values = [draw.gauss(3, 0.01) for _ in range(40)]
        calm = noise(values)
        values[20] += 5
        assert noise(values) < 1.5 * calm

    @pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0], [1.0, 5.0, 2.0]])
    def test_three_values_or_fewer_have_no_noise(self, values: list[float]) -> None:
        assert noise(values) == 0.0


class TestOverfittingStops:
    @pytest.mark.parametrize("begins", [0.2, 0.3, 0.4, 0.5])
    @pytest.mark.parametrize("evaluations", [16, 20, 40])
    def test_a_clear_case_soon_after_the_minimum(self, begins: float, evaluations: int) -> None:
        curve = SyntheticCurve(overfits_from=begins, overfits_by=3.0).points(evaluations)
        stop = stopped_at(curve)
        assert stop is not None
        assert 3 <= stop - lowest(curve) <= max(5, evaluations // 5)

    def test_nearly_every_noisy_case(self) -> None:
        stops, delays = 0, []
        for seed in range(200):
            made = SyntheticCurve(overfits_from=0.3, noise=0.01, train_noise=0.01, stderr=0.02, seed=seed)
            stop, best = stopped_at(made.points()), lowest(replace(made, noise=0.0).points())
            stops += stop is not None
            delays.append((stop or 20) - best)
        assert stops >= 196
        assert sorted(delays)[len(delays) // 2] <= 5

    def test_real_overfitting_on_a_small_validation_set(self) -> None:
        """The standard error over tokens is as large as the rise, but both evaluations saw the same tokens."""
        val = [4.40, 4.02, 3.75, 3.55, 3.41, 3.31, 3.24, 3.20, 3.25, 3.33, 3.45]
        train = [4.35, 3.95, 3.65, 3.42, 3.24, 3.10, 2.98, 2.88, 2.79, 2.71, 2.64]
        assert stopped_at(make(val, train, stderr=0.05)) == 11

    def test_a_minimum_at_the_very_first_evaluation(self) -> None:
        val = [3.00, 3.10, 3.22, 3.35, 3.50, 3.66]
        assert stopped_at(make(val, [2.9, 2.6, 2.3, 2.0, 1.7, 1.4])) == 4

    def test_longer_patience_stops_later(self) -> None:
        curve = SyntheticCurve(overfits_from=0.2, overfits_by=3.0).points()
        assert (stopped_at(curve, evaluations=5) or 0) > (stopped_at(curve, evaluations=2) or 99)


class TestOverfittingSpares:
    @pytest.mark.parametrize("sd", NOISES)
    def test_healthy_descents_with_noise(self, sd: float) -> None:
        for seed in range(100):
            curve = SyntheticCurve(noise=sd, train_noise=3 * sd, stderr=0.02, seed=seed).points()
            assert stopped_at(curve) is None

    @pytest.mark.parametrize("sd", NOISES)
    def test_plateaus_with_noise(self, sd: float) -> None:
        """From the third evaluation on validation loss is flat, while training loss falls."""
        wrong = 0
        for seed in range(100):
            draw = random.Random(seed)
            val = [4.0, 3.3, *[3.0 + draw.gauss(0, sd) for _ in range(18)]]
            train = [4.0, 3.2, *[2.9 - 0.01 * k for k in range(18)]]
            stop = stopped_at(make(val, train))
            wrong += stop is not None and min(val[stop:]) < min(val[:stop])
        assert wrong <= 2

    def test_single_and_double_spikes(self) -> None:
        for at in range(4, 15):
            for width in (1, 2):
                curve = SyntheticCurve(noise=0.01, train_noise=0.01, seed=at).points()
                spiked = [replace(p, val_loss=p.val_loss + (at <= p.index < at + width)) for p in curve]
                assert stopped_at(spiked) is None

    def test_a_rise_in_which_training_loss_rises_too(self) -> None:
        """The training is unstable; it does not overfit."""
        val = [4.0, 3.5, 3.2, 3.0, 3.2, 3.3, 3.4, 3.5]
        assert stopped_at(make(val, [v - 0.1 for v in val])) is None

    def test_the_warm_up(self) -> None:
        curve = SyntheticCurve(overfits_from=0.1, overfits_by=3.0).points()
        stop = stopped_at(curve)
        assert stop is not None
        assert (stopped_at(curve, warmup_until=0.6) or 0) >= 0.6 * 20 + 2

    def test_the_cool_down_in_which_the_loss_may_still_fall(self) -> None:
        made = SyntheticCurve(overfits_from=0.65, overfits_by=1.5, cools_from=0.8, cools_by=0.3)
        assert stopped_at(made.points()) is None
        assert stopped_at(made.points(), cooldown_from=1.0) is not None

    def test_a_trial_at_its_end(self) -> None:
        curve = SyntheticCurve(overfits_from=0.3).points()
        assert not overfitting(curve, warmup_until=WARMUP, cooldown_from=1.0)

    def test_a_rise_within_the_error_of_a_tiny_validation_set(self) -> None:
        val = [4.40, 4.02, 3.75, 3.55, 3.41, 3.31, 3.24, 3.20, 3.23, 3.25, 3.26]
        train = [4.35, 3.95, 3.65, 3.42, 3.24, 3.10, 2.98, 2.88, 2.79, 2.71, 2.64]
        assert stopped_at(make(val, train, stderr=0.2)) is None

    @pytest.mark.parametrize("length", [0, 1, 2, 3])
    def test_curves_too_short_to_tell(self, length: int) -> None:
        assert stopped_at(make([3.0, 4.0, 5.0][:length], [3.0, 2.0, 1.0][:length])) is None

    def test_evaluations_that_are_not_numbers(self) -> None:
        curve = SyntheticCurve(overfits_from=0.2, overfits_by=3.0).points()
        broken = [*curve[:11], replace(curve[11], val_loss=math.nan)]
        assert not overfitting(broken, warmup_until=WARMUP, cooldown_from=COOLDOWN)


class TestDiverged:
    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    @pytest.mark.parametrize("index", [0, 5])
    def test_not_finite_at_once(self, value: float, index: int) -> None:
        curve = SyntheticCurve().points()[: index + 1]
        assert diverged([*curve[:-1], replace(curve[-1], val_loss=value)], warmup_until=0.5)

    def test_finite_but_absurd(self) -> None:
        curve = make([4.0, 3.5, 1e30], [4.0, 3.5, 3.4])
        assert diverged(curve, warmup_until=WARMUP)

    def test_a_loss_half_a_nat_above_the_first_with_training_loss_rising(self) -> None:
        assert diverged(make([4.0, 3.5, 4.6], [3.9, 3.4, 4.7]), warmup_until=WARMUP)
        assert not diverged(make([4.0, 3.5, 4.4], [3.9, 3.4, 4.5]), warmup_until=WARMUP)

    def test_overfitting_is_not_divergence_however_high_it_climbs(self) -> None:
        curve = make([3.0, 3.3, 3.7, 4.2], [2.9, 2.0, 1.2, 0.6])
        assert not diverged(curve, warmup_until=WARMUP)
        assert overfitting(curve, warmup_until=WARMUP, cooldown_from=COOLDOWN)

    def test_the_warm_up_is_ignored(self) -> None:
        curve = make([4.0, 4.8], [4.0, 4.9])
        assert diverged(curve, warmup_until=0.05)
        assert not diverged(curve, warmup_until=0.3)

    def test_a_last_good_evaluation_after_a_bad_one(self) -> None:
        assert not diverged(make([4.0, math.nan, 3.0], [4.0, 9.0, 3.0]), warmup_until=WARMUP)

    def test_healthy_and_overfitting_curves_never(self) -> None:
        for seed in range(50):
            made = SyntheticCurve(noise=0.04, train_noise=0.04, overfits_from=0.3 if seed % 2 else None, seed=seed)
            assert stopped_at(made.points(), diverged) is None

    def test_a_learning_rate_far_too_high_within_two_evaluations(self) -> None:
        curve = SyntheticCurve(diverges_from=0.5).points()
        assert stopped_at(curve, diverged) in (11, 12)

    def test_no_evaluation_yet(self) -> None:
        assert not diverged([], warmup_until=WARMUP)


class TestStale:
    def test_an_f1_that_still_rises_is_not(self) -> None:
        assert not stale([0.5, 0.6, 0.62, 0.63, 0.64], maximize=True)

    def test_a_best_value_older_than_the_last_three_is(self) -> None:
        assert stale([0.5, 0.7, 0.69, 0.68, 0.7], maximize=True)
        assert stale([3.0, 2.0, 2.1, 2.2, 2.3])

    def test_too_few_values_and_gaps(self) -> None:
        assert not stale([2.0, 2.1, 2.2])
        assert not stale([2.0, math.nan, 2.1, math.nan, 2.2])


class TestReason:
    def test_overfitting_names_the_losses_and_the_evaluation(self) -> None:
        curve = make([2.6, 2.3, 2.1, 2.2, 2.25, 2.31], [2.5, 2.1, 1.8, 1.7, 1.6, 1.52])
        assert reason(Verdict.OVERFIT, curve) == (
            "validation loss 2.310 has stood above its best 2.100 (evaluation 3) for 3 evaluations"
            " while training loss fell from 1.800 to 1.520"
        )

    def test_divergence_tells_numbers_from_none(self) -> None:
        finite = make([4.0, 1e30], [4.0, 1e30])
        assert reason(Verdict.DIVERGED, finite) == (
            "validation loss 1e+30 at evaluation 2 is far above the 4.000 of evaluation 1"
        )
        assert "nan at evaluation 1 is not a finite number" in reason(Verdict.DIVERGED, make([math.nan], [1.0]))

    @pytest.mark.parametrize("verdict", list(Verdict))
    @pytest.mark.parametrize("values", [[], [math.nan], [3.0], [3.0, 2.0, math.inf]])
    def test_always_one_line(self, verdict: Verdict, values: list[float]) -> None:
        text = reason(verdict, make(values, values))
        assert text
        assert "\n" not in text


@pytest.mark.parametrize(("cooldown_from", "last"), [(0.8, 16), (0.81, 16), (0.79, 15), (1.0, None)])
def test_the_last_stable_evaluation(cooldown_from: float, last: int | None) -> None:
    curve = make([1.0] * 20, [1.0] * 20)
    found = [point.index for point in curve if is_last_stable(point, cooldown_from=cooldown_from)]
    assert found == ([] if last is None else [last])
