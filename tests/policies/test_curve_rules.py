"""The rules on one trial's own curve, as a policy asks them."""

import pytest

from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.policies.curve_rules import CurveRules, points
from hpsearch.space.settings import Overfitting
from tests.searching import evaluation


@pytest.mark.parametrize("order", [[1, 2, 3, 4, 5], [1, 3, 2, 5, 4], [5, 4, 3, 2, 1]])
def test_a_curve_kept_at_hand_is_the_curve_read_anew(order):
    rules, history = CurveRules(Overfitting()), History()
    for number in (0, 1):
        history.trials[number] = TrialHistory(number)
        for index in order:
            history.trials[number].evaluations[index] = evaluation(index, 3.0 - index / 10)
            assert rules._curve(history, history.trials[number]) == points(history.trials[number])
    again = TrialHistory(0, evaluations={1: evaluation(1, 9.0)})
    assert rules._curve(History(trials={0: again}), again) == points(again)
