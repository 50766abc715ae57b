"""Values as people read them."""

import math

import pytest

from hpsearch.displays.text import confirmed, equals
from hpsearch.journal.history import FIRST_REPEAT, History
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.outcome import Outcome
from hpsearch.output.digits import digits
from tests.journal.test_history import of, trial


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.0, "0.0000"),
        (2.34567, "2.3457"),
        (-1.5, "-1.5000"),
        (123456.789, "123456.7890"),
        (1e6, "1e+06"),
        (math.exp(368), "6.613e+159"),
        (0.00012345, "0.0001234"),
        (math.nan, "nan"),
        (math.inf, "inf"),
    ],
)
def test_a_metric_has_four_decimals_or_an_exponent(value, said):
    assert digits(value) == said


def ties(*values) -> History:
    return of(*(trial(number, value, outcome="completed", value=value) for number, value in enumerate(values)))


def test_a_tie_is_reported_with_its_trials():
    history = ties(3.0, 2.0, 2.5, 2.0, 2.0)
    assert equals(history, history.trials[1]) == (
        "tie: 2 other trials have the same val/loss 2.0000 (3, 4); the first of them, trial 1, is the winner"
    )
    assert equals(history, history.trials[0]) is None
    assert history.best() is history.trials[1]
    assert history.best(among=[4, 3, 1]) is history.trials[1]  # in whatever order they ended


def test_one_fresh_seed_each_confirms_nothing_and_names_ties():
    history = ties(3.0, 2.0, 2.5)
    history.study = "spam"
    for number, value in ((0, 2.25), (1, 2.0), (2, 2.0)):
        at = FIRST_REPEAT + number
        history.repeats[at] = TrialHistory(at, confirms=number, outcome=Outcome.COMPLETED, value=value)
    said = confirmed(history)
    assert said[0] == (
        "trained again with 1 fresh seed each: the winner is trial 1, val/loss 2.0000; a tie with trial 2"
    )
    assert said[-1] == (
        "with one fresh seed each, the noise between seeds is not measured: hpsearch confirm spam --seeds 2 measures "
        "it; the search's best value is the winner's mean"
    )
    history.trials[1].value = 1.99996  # the difference rounds to nothing
    assert confirmed(history)[-1].endswith("; the search's best value is the winner's mean")
    history.trials[1].value = 1.75
    assert confirmed(history)[-1].endswith("; the search's best value is 0.2500 better than the winner's mean")
