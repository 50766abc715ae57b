"""Mean, deviation and interval over seeds, against scipy's own interval."""

import math

import pytest
from scipy import stats

from hpsearch.results.evidence.seeds import SeedResult, spread, summary

VALUES = [0.91, 0.93, 0.90, 0.94]


def test_the_interval_is_that_of_students_t():
    found = spread(VALUES)
    low, high = stats.t.interval(0.95, len(VALUES) - 1, loc=found.mean, scale=stats.sem(VALUES))
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert (found.mean, found.deviation) == (pytest.approx(0.92), pytest.approx(stats.tstd(VALUES)))


def test_only_test_metrics_that_several_seeds_have_are_summed_up():
    results = [
        SeedResult(3, {"val/loss": 1.0, "test/loss": 2.0, "test/loss_stderr": 0.1, "test/bleu": 7.0}),
        SeedResult(4, {"val/loss": 0.9, "test/loss": 4.0, "test/loss_stderr": 0.1}),
        SeedResult(5, {}),
    ]
    found = summary(results, chosen=4, metric="val/loss")
    assert list(found.spreads) == ["test/loss"]
    assert (found.spreads["test/loss"].mean, found.spreads["test/loss"].seeds) == (3.0, 2)
    assert found.metrics()["seeds/test/loss/deviation"] == pytest.approx(math.sqrt(2))
    lines = list(found.lines())
    assert lines[0].startswith("test/loss  3.0000 ± 1.4 over 2 seeds; 95% interval of the mean 0.0000 to")
    assert lines[1] == "warning: no model came of seed 5: not among these"
    assert lines[2] == "the model is that of seed 4, the best of 3 by val/loss, not by its test"


def test_a_value_that_is_not_finite_has_no_mean():
    results = [SeedResult(1, {"test/loss": 1.0}), SeedResult(2, {"test/loss": math.nan})]
    assert summary(results, chosen=1, metric="val/loss").spreads == {}


def test_an_interval_does_not_leave_the_range_of_its_metric():
    """Two accuracies of 0.99 and 1.0: t(1) = 12.7, so 0.995 ± 0.064 by itself."""
    found = spread([0.99, 1.0], "test/accuracy")
    assert (found.low, found.high) == (pytest.approx(0.995 - 12.7062 * 0.005, abs=1e-4), 1.0)
