"""What a trial says of its end, by hand."""

import pytest

from hpsearch.contract import Evaluation
from hpsearch.journal.trial_history import BestEvaluation, TrialHistory
from hpsearch.outcome import Outcome


def trial(outcome="completed", *, share=0.05, best=True, **params):
    """A trial of 2.4 epochs that left its curve to cool down, and ended there after a share of its training."""
    end = Evaluation(1, 5, share, {"val/loss": 3.0}, branch={"training": {"epochs": 0.16, "warmup": 0.3}})
    found = TrialHistory(0, params={"epochs": 2.4, "batch_size": 32, **params}, outcome=Outcome(outcome))
    found.branches[1] = end
    found.best = BestEvaluation.of(end, "val/loss") if best else BestEvaluation(2, 3.0, progress=0.4)
    return found


@pytest.mark.parametrize(
    ("found", "cut", "is_whole", "ending"),
    [
        (trial(), 0.05, False, "cut by the budget at 5 %"),
        (trial(share=0.9), 0.9, True, "cut by the budget at 90 %"),
        (trial(share=0.5, best=False), 0.5, False, "cut by the budget at 50 %"),  # it was better before
        (trial("overfit"), None, True, "cooled down"),
        (trial("overfit", best=False), None, True, ""),
        (trial("pruned"), None, False, "cooled down"),
        (TrialHistory(0, outcome=Outcome.COMPLETED), None, True, ""),
        (TrialHistory(0), None, False, ""),
    ],
)
def test_the_budget_cut_what_completed_in_a_cool_down(found, cut, is_whole, ending):
    assert (found.cut, found.is_whole, found.ending) == (cut, is_whole, ending)


def test_params_are_those_of_the_value_beside_the_sampled_ones():
    found = trial()
    assert found.trained_params == {"epochs": 0.16, "batch_size": 32}
    assert found.told_params == {"epochs": "2.4 -> 0.16", "batch_size": 32}
    assert found.replaced == {"epochs": 2.4}
    whole = trial(best=False)
    assert whole.told_params == whole.trained_params == whole.params
    assert whole.replaced == {}
