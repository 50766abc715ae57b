"""`search.stop`: a search ends once as many trials again would gain less than the noise between seeds."""

import math
from itertools import combinations
from statistics import fmean

import pytest

import hpsearch
from hpsearch.events import Notice
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.outcome import Outcome
from hpsearch.policies.budget.saturation import FEWEST, expected_gain, saturation
from hpsearch.space.search import Stop
from tests.search.test_loop import workers
from tests.searching import Scripted, experiment, go, says

LAST_BEST = [3.0, 2.9, 2.7, 2.6, 2.5, 2.0]


def test_the_gain_is_what_a_random_half_lacks_on_average():
    values = [2.0, 2.5, 2.6, 2.7, 2.9, 3.0, 3.1]  # the best one comes first: the order says nothing is to be gained
    halves = fmean(min(half) for half in combinations(values, 3))
    assert expected_gain(values) == pytest.approx(halves - 2.0)


def test_what_the_second_half_really_gained_counts_if_it_is_more():
    assert expected_gain(LAST_BEST) == pytest.approx(2.7 - 2.0)
    assert expected_gain(LAST_BEST[::-1]) < 0.4


def test_trials_that_ended_early_are_as_bad_as_the_worst_and_a_few_values_say_nothing():
    nan = math.nan
    assert expected_gain([1.0, 2.0, 3.0, 4.0, nan, nan]) is None
    assert expected_gain([1.0, 2.0, 3.0, 4.0, 5.0, nan]) == expected_gain([1.0, 2.0, 3.0, 4.0, 5.0, 5.0])


def history(values, metric="val/loss", direction="minimize"):
    trials = {n: TrialHistory(n, outcome=Outcome.COMPLETED, value=v, config={"x": 1}) for n, v in enumerate(values)}
    return History(metric=metric, direction=direction, trials=trials, finished=list(trials))


def test_the_noise_of_seeds_or_a_gain_of_ones_own_decides():
    close = [2.0 + 0.0001 * n for n in range(FEWEST)]
    found = saturation(history(close), Stop())
    assert found.is_reached
    assert str(found) == (
        "the search ends by search.stop: another 24 trials are expected to improve the best value by 9.2e-05, less "
        "than 0.01 (1 sigma of seeds, assumed)"
    )
    assert saturation(history(close[::-1]), Stop(gain=0.0005)).is_reached is False
    assert saturation(history([-v for v in close], "val/f1", "maximize"), Stop(gain=0.01)).is_reached
    assert saturation(history([-v for v in close], "val/f1", "maximize"), Stop()) is None  # its noise is not known
    assert saturation(history(close), Stop(enabled=False)) is None
    assert saturation(history(close[1:]), Stop()) is None


def test_a_search_ends_by_it_says_so_and_a_resume_stays_ended(tmp_path):
    def script(task):
        return says(task, 3.0, 2.0 + 0.0001 * task.trial)

    wanted = experiment("budget: {trials: 40}\nsearch: {pruner: none, overfitting: false, stop: true}\n")
    study, seen = go(wanted, tmp_path / "home", launcher=Scripted(workers(tmp_path, 1), script))
    assert len(study.history.trials) == FEWEST
    [line] = [event.line for event in seen if isinstance(event, Notice)]
    assert line.startswith("the search ends by search.stop: another 24 trials are expected to improve")
    study, seen = go(wanted, tmp_path / "home", launcher=Scripted(workers(tmp_path, 1), script))
    assert len(study.history.trials) == FEWEST
    without = experiment("budget: {trials: 26}\nsearch: {pruner: none, overfitting: false}\n")
    study, _ = go(without, tmp_path / "home", launcher=Scripted(workers(tmp_path, 1), script))
    assert len(study.history.trials) == 26


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("search: {stop: {gain: 0}}\n", r"space.yaml:\d+:\d+: search.stop.gain"),
        ("search: {stop: {loss: 1}}\n", r"space.yaml:\d+:\d+: search.stop.loss: unknown key"),
        ("search: {stop: maybe}\n", r"space.yaml:\d+:\d+: search.stop"),
        (
            "objective: {metric: val/perplexity}\nsearch: {stop: true}\n",
            r"space.yaml:\d+:\d+: search.stop: the noise of val/perplexity between seeds is not known",
        ),
    ],
)
def test_a_wrong_stop_is_one_line_with_its_place(body, said):
    with pytest.raises(hpsearch.ConfigError, match=said):
        experiment(body)
