"""The optimism gap, from what best.yaml knows and what the test measured."""

import pytest

from hpsearch.results.evidence.optimism import gap

FINALIST = {"trial": 3, "searched": 4.316, "values": [4.33, 4.34], "mean": 4.335, "margin": 0.009}
KNOWN = {"trial": 3, "trials": 16, "val/loss": 4.316, "search_best": 4.316, "search_best_trial": 3}
KNOWN |= {"confirmation": {"finalists": [FINALIST]}}
OTHER = {**KNOWN, "val/loss": 4.32, "search_best_trial": 1}  # trial 3, which fresh seeds have chosen


def test_three_aligned_lines_in_the_objectives_own_metric():
    found = gap(KNOWN, "val/loss", {"test/loss": 4.401, "test/perplexity": 81.5}, minimize=True)
    assert found.lines() == [
        "search minimum  val/loss   4.3160          the best of 16 trials, so it is flattered",
        "fresh seeds     val/loss   4.3350 ± 0.009  its mean over 2 fresh seeds, 0.019 worse than in the search",
        "test            test/loss  4.4010          data that no choice has seen, 0.085 worse than in the search",
    ]
    assert found.metrics() == {
        "optimism/search": 4.316,
        "optimism/own": 4.316,
        "optimism/fresh_seeds": 4.335,
        "optimism/fresh_seeds_margin": 0.009,
        "optimism/test": 4.401,
    }


def test_a_winner_that_is_not_the_searchs_best_is_compared_with_its_own_value():
    found = gap(OTHER, "val/loss", {"test/loss": 4.401}, minimize=True)
    assert found.lines() == [
        "search minimum  val/loss   4.3160          of trial 1, the best of 16",
        "trial 3         val/loss   4.3200          its own value: it is the one trained here",
        "fresh seeds     val/loss   4.3350 ± 0.009  its mean over 2 fresh seeds, 0.015 worse than its own value",
        "test            test/loss  4.4010          data that no choice has seen, 0.081 worse than its own value",
    ]
    assert found.metrics()["optimism/own"] == 4.32
    earlier = {key: value for key, value in OTHER.items() if key != "search_best_trial"}
    first = gap(earlier, "val/loss", {"test/loss": 4.401}, minimize=True).lines()[0]
    assert first.endswith("of another trial, the best of 16")  # an older version did not note which


@pytest.mark.parametrize(
    ("looks", "said"),
    [
        (0, "data that no choice has seen,"),
        (1, "looked at once before,"),
        (3, "looked at 3 times before,"),
    ],
)
def test_what_is_said_of_the_test_data_depends_on_earlier_looks(looks, said):
    assert said in gap(KNOWN, "val/loss", {"test/loss": 4.401}, minimize=True, looks=looks).lines()[-1]


def test_an_older_file_has_two_standard_errors():
    finalist = {**{key: value for key, value in FINALIST.items() if key != "margin"}, "two_standard_errors": 0.008}
    found = gap({**KNOWN, "confirmation": {"finalists": [finalist]}}, "val/loss", {}, minimize=True)
    assert found.margin == 0.008


def test_one_fresh_seed_is_one():
    finalist = {**FINALIST, "values": [4.335], "margin": None}
    found = gap({**KNOWN, "confirmation": {"finalists": [finalist]}}, "val/loss", {}, minimize=True)
    assert "its mean over 1 fresh seed," in found.lines()[-1]


def test_of_a_metric_that_grows_a_higher_value_is_better():
    known = {"trial": 0, "trials": 5, "val/a/f1": 0.8}  # of an earlier version, not confirmed
    found = gap(known, "val/a/f1", {"test/a/f1": 0.85, "test/f1": 0.1}, minimize=False)
    assert found.lines() == [
        "search maximum  val/a/f1   0.8000  the best of 5 trials, so it is flattered",
        "test            test/a/f1  0.8500  data that no choice has seen, 0.05 better than in the search",
    ]


@pytest.mark.parametrize(
    ("known", "tested"),
    [({}, {"test/loss": 4.0}), ({"trial": 0, "val/loss": 4.0}, {}), ({"val/loss": None}, {"test/loss": 4.0})],
)
def test_one_value_alone_is_no_gap(known, tested):
    assert gap(known, "val/loss", tested, minimize=True) is None


def test_another_trials_fresh_seeds_are_not_shown():
    """Of a trial that was exported by its number."""
    known = {**KNOWN, "trial": 4, "val/loss": 4.41}
    found = gap(known, "val/loss", {"test/loss": 4.401}, minimize=True)
    assert [line.split()[0] for line in found.lines()] == ["search", "trial", "test"]
    assert "flattered" not in "".join(found.lines())
    assert found.lines()[-1].endswith("0.009 better than its own value")
    assert (found.searched, found.reference) == (4.316, 4.41)
    assert gap(known, "val/loss", {}, minimize=True) is None  # two values of the search are no gap


def test_a_diverged_mean_is_not_shown():
    finalist = {**FINALIST, "mean": None}
    found = gap({**KNOWN, "confirmation": {"finalists": [finalist]}}, "val/loss", {}, minimize=True)
    assert found is None
