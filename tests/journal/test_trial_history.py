"""What a trial says of its end, by hand."""

import pytest

from hpsearch.contract import Evaluation
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import BestEvaluation, TrialHistory
from hpsearch.outcome import Outcome


def trial(outcome="completed", *, share=0.05, best=True, **params):
    """A trial of 2.4 epochs that left its curve to cool down, and ended there after a share of its training."""
    end = Evaluation(1, 5, share, {"val/loss": 3.0}, branch={"training": {"epochs": 0.16, "warmup": 0.3}})
    found = TrialHistory(0, params={"epochs": 2.4, "batch_size": 32, **params}, outcome=Outcome(outcome))
    found.branches[1], found.reached = end, share
    found.best = BestEvaluation.of(end, "val/loss") if best else BestEvaluation(2, 3.0, progress=0.4)
    return found


@pytest.mark.parametrize(
    ("found", "cut", "is_whole", "ending"),
    [
        (trial(), 0.05, False, "cut by the budget at 5%"),
        (trial(share=0.9), 0.9, True, "cut by the budget at 90%"),
        (trial(share=0.5, best=False), 0.5, False, "cut by the budget at 50%"),  # it was better before
        (trial("overfit"), None, True, "cooled down"),
        (trial("overfit", best=False), None, True, ""),
        (trial("pruned"), None, False, "cooled down"),
        (TrialHistory(0, outcome=Outcome.COMPLETED), None, True, ""),
        (TrialHistory(0), None, False, ""),
    ],
)
def test_the_budget_cut_what_completed_in_a_cool_down(found, cut, is_whole, ending):
    assert (found.cut, found.is_whole, found.ending) == (cut, is_whole, ending)


def test_one_word_says_and_counts_a_cut_and_its_share_is_how_far_it_came():
    assert (trial(share=0.69).said, trial(share=0.69).kind) == ("cut by the budget at 69%", "cut by the budget")
    assert (trial("overfit").said, trial("overfit").kind) == ("overfit, cooled down", "overfit")
    assert (TrialHistory(0, outcome=Outcome.OUT_OF_MEMORY).said) == "out of memory"
    found = trial(share=0.05)
    found.reached = 0.31  # to which its curve came: its cool-down went back
    assert (found.ending, found.furthest) == ("cut by the budget at 31%", 0.31)


def test_how_far_it_came_is_kept_in_its_end_and_else_told_by_what_was_measured():
    """Its curve came to 45%, its cool-down went back and ended at 7%; the value is of either."""
    created = {"event": "study_created", "time": 0.0, "study": "s"}
    created |= {"objective": {"metric": "val/loss", "direction": "minimize"}}
    end = Evaluation(1, 5, 0.07, {"val/loss": 4.0}, branch={"training": {"epochs": 2}}).to_dict()
    curve = [Evaluation(i, i, share, {"val/loss": 3.0}).to_dict() for i, share in ((1, 0.05), (9, 0.45))]
    measured = [{"event": "evaluation", "time": 1.0, "trial": 0, "evaluation": one} for one in [*curve, end]]
    last = {"event": "trial_finished", "time": 2.0, "trial": 0, "outcome": "completed", "value": 3.0}
    last |= {"best_evaluation": {"index": 1, "progress": 0.05}}
    assert History.of([created, *measured, last]).trials[0].cut == 0.45
    assert History.of([created, *measured[:1], {**last, "reached": 0.45}]).trials[0].cut == 0.45  # an outline
    assert History.of([created, *measured[:2], last]).trials[0].cut is None


def test_params_are_those_of_the_value_beside_the_sampled_ones():
    found = trial()
    assert found.trained_params == {"epochs": 0.16, "batch_size": 32}
    assert found.told_params == {"epochs": "2.4 -> 0.16", "batch_size": 32}
    assert found.replaced == {"epochs": 2.4}
    whole = trial(best=False)
    assert whole.told_params == whole.trained_params == whole.params
    assert whole.replaced == {}
