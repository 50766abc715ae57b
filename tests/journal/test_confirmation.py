"""The statistics of fresh seeds, against numbers by hand and by scipy."""

import math
from statistics import stdev

import numpy as np
import pytest
from scipy import stats

from hpsearch.journal.confirmation import confirmation, pooled_sigma

SEARCHED = {4: 1.00, 7: 1.01, 2: 1.02}
FRESH = {4: [1.06, 1.08, 1.10], 7: [1.03, 1.05, 1.07], 2: [1.20, 1.22, 1.24]}


def test_the_winner_has_the_best_mean_over_fresh_seeds_whatever_the_search_said():
    found = confirmation(SEARCHED, FRESH)
    assert [(one.trial, round(one.mean, 9)) for one in found.finalists] == [(7, 1.05), (4, 1.08), (2, 1.22)]
    assert found.winner.searched == 1.01
    assert found.optimism == pytest.approx(0.05)  # from the search's 1.00 to 1.05


def test_where_more_is_better_the_highest_mean_wins():
    found = confirmation({1: 0.9, 2: 0.8}, {1: [0.7, 0.7], 2: [0.75, 0.77]}, minimize=False)
    assert found.winner.trial == 2
    assert found.optimism == pytest.approx(0.9 - 0.76)


def test_sigma_is_pooled_over_the_finalists():
    found = confirmation(SEARCHED, FRESH)
    assert (found.sigma, found.freedom) == (pytest.approx(0.02), 6)  # each deviates by 0.02, 0 and 0.02
    assert found.margin(found.winner) == pytest.approx(2.44691 * 0.02 / math.sqrt(3), rel=1e-5)  # t(6)


@pytest.mark.parametrize("sizes", [(3, 3, 3), (2, 5), (1, 4, 3)])
def test_sigma_is_that_of_an_analysis_of_variance(sizes):
    draw = np.random.default_rng(sum(sizes))
    groups = [list(draw.normal(center, 0.3, size)) for center, size in enumerate(sizes)]
    sigma, freedom = pooled_sigma(groups)
    assert freedom == sum(sizes) - len(sizes)
    several = [group for group in groups if len(group) > 1]
    between = sum(len(g) * (np.mean(g) - np.mean(np.concatenate(several))) ** 2 for g in several)
    expected = between / (len(several) - 1) / stats.f_oneway(*several).statistic  # F = between / within
    assert sigma == pytest.approx(math.sqrt(expected))


def test_the_sigma_of_one_config_is_its_standard_deviation():
    assert pooled_sigma([FRESH[4]]) == (pytest.approx(stdev(FRESH[4])), 2)


def test_a_tie_is_below_tukeys_margin_of_the_difference():
    """A table has q(0.95; 3, 6) = 4.339: 4.339 * 0.02 / sqrt(3) = 0.0501; the means differ by 0.03 and 0.17."""
    found = confirmation(SEARCHED, FRESH)
    assert found.margin_between(*found.finalists[:2]) == pytest.approx(0.05010, abs=1e-5)
    assert found.tied == (4,)
    further = {**FRESH, 4: [1.081, 1.101, 1.121]}  # by 0.051
    assert confirmation(SEARCHED, further).tied == ()


def test_the_margin_of_two_finalists_is_students():
    """A t-test of scipy has p = 0.05 where the means differ by just their margin."""
    found = confirmation({1: 1.0, 2: 1.0}, {1: [1.0, 1.1, 1.3], 2: [1.4, 1.5, 1.7]})
    margin = found.margin_between(*found.finalists)
    shifted = [value - 0.4 + margin for value in (1.4, 1.5, 1.7)]
    assert stats.ttest_ind([1.0, 1.1, 1.3], shifted).pvalue == pytest.approx(0.05)


@pytest.mark.parametrize(("finalists", "seeds"), [(2, 2), (3, 2), (3, 3), (5, 3)])
def test_of_equal_configs_one_study_in_twenty_names_a_worse_one(finalists, seeds):
    """The share of studies whose finalists are not all tied with the winner; with 2 standard errors 0.18 to 0.33."""
    draw = np.random.default_rng(finalists * 10 + seeds)
    fresh = draw.normal(size=(2000, finalists, seeds))
    clear = [len(confirmation(dict.fromkeys(range(finalists), 0.0), dict(enumerate(one))).tied) for one in fresh]
    assert np.mean(np.array(clear) < finalists - 1) == pytest.approx(0.05, abs=0.015)


def test_the_interval_of_a_mean_holds_19_times_of_20():
    draw = np.random.default_rng(0)
    found = (confirmation({0: 0.0, 1: 0.0}, dict(enumerate(one))) for one in draw.normal(size=(2000, 2, 2)))
    held = [abs(one.winner.mean) <= one.margin(one.winner) for one in found]
    assert np.mean(held) > 0.93  # the better one of two is a little beside its mean


def test_a_tie_of_unequal_numbers_of_seeds():
    found = confirmation({1: 1.0, 2: 1.0}, {1: [1.00, 1.04], 2: [1.05, 1.06, 1.10, 1.11]})
    expected = stats.t.ppf(0.975, 4) * found.sigma * math.sqrt(1 / 2 + 1 / 4)
    assert found.margin_between(*found.finalists) == pytest.approx(expected)
    assert (found.tied == (2,)) == (expected > 1.08 - 1.02)


def test_one_seed_ranks_and_measures_no_noise():
    found = confirmation({1: 1.0, 2: 1.1}, {1: [1.3], 2: [1.2]})
    assert (found.winner.trial, found.sigma, found.freedom, found.tied) == (2, None, 0, ())
    assert found.margin(found.winner) is None
    equal = confirmation({1: 1.0, 2: 1.1, 3: 1.2}, {1: [0.975], 2: [0.975], 3: [0.976]})
    assert (equal.winner.trial, equal.tied) == (1, (2,))


def test_how_far_fresh_seeds_move_values_shows_the_least_noise():
    """Differences 0.4 and 0.0, from their mean 0.2 by 0.2 each: sqrt(2 * 0.04 / 1) / sqrt(2) = 0.2."""
    found = confirmation({1: 3.0, 2: 2.5}, {1: [3.4], 2: [2.5]})
    assert found.shifts == (pytest.approx(0.2), 2)
    alike = confirmation({1: 3.0, 2: 2.5, 3: 2.6}, {1: [3.4], 2: [2.9], 3: [math.nan]})  # luck that both had
    assert alike.shifts == (pytest.approx(0.0), 2)
    assert confirmation({1: 3.0}, {1: [3.4]}).shifts == (0.0, 0)


def test_a_trial_that_diverges_with_a_fresh_seed_comes_last_and_is_no_noise():
    found = confirmation({1: 1.0, 2: 1.1}, {1: [0.9, math.nan], 2: [1.2, 1.4]})
    assert [one.trial for one in found.finalists] == [2, 1]
    assert (found.sigma, found.freedom) == (pytest.approx(math.sqrt(0.02)), 1)
    assert found.to_dict()["finalists"][1]["mean"] is None


def test_equal_means_are_ranked_by_number():
    assert confirmation({5: 1.0, 3: 1.0}, {5: [1.0], 3: [1.0]}).winner.trial == 3
