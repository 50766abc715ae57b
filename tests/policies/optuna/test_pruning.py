"""The share of a training that the study's own pruner leaves of simulated trials."""

import pytest

from hpsearch.policies.optuna.pruning import expected_share
from hpsearch.space.search import Search


def share(pruner, *, sampler="tpe", trials=40, evaluations=20):
    wanted = Search.model_validate({"pruner": pruner}).pruner
    return expected_share(wanted, sampler=sampler, evaluations=evaluations, trials=trials, params=6).mean


def test_nothing_is_saved_without_a_pruner():
    assert share("none") == 1.0


def test_a_study_of_40_trials_has_the_share_that_a_real_one_had():
    assert share("successive_halving") == pytest.approx(0.535, abs=0.03)


def test_the_first_trials_are_not_pruned():
    assert share("successive_halving", trials=3) == 1.0
    assert share("median", trials=5) == 1.0


def test_trials_that_get_no_better_are_pruned_more():
    assert share("successive_halving", sampler="random") < share("successive_halving") < 1.0


def test_small_studies_differ_more():
    wanted = Search().pruner
    small, large = (
        expected_share(wanted, sampler="tpe", evaluations=20, trials=n, params=6).deviation for n in (10, 50)
    )
    assert 0.2 > small > large > 0


def test_it_is_the_same_each_time():
    assert share("successive_halving", trials=12) == share("successive_halving", trials=12)


@pytest.mark.parametrize("pruner", ["percentile", "hyperband", {"name": "patient", "wrapped": "median"}])
def test_every_pruner_has_a_share(pruner):
    assert 0 < share(pruner, trials=12, evaluations=9) <= 1.0
