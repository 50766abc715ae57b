"""The rules on one trial's own curve, as a policy asks them."""

import math

import pytest

from hpsearch.contract import Evaluation
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.policies.curve_rules import CurveRules, points, why_behind
from hpsearch.policies.policy import Judgement
from hpsearch.space.search import Overfitting
from hpsearch.training.config import TrainConfig
from hpsearch.verdict import Verdict
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


LOSSES = [3.0, 2.5, 2.2, 2.1, 2.05, 2.02, 2.0, 1.99, 1.985, 1.98, 1.981, 1.983, 1.987, 1.991, 1.994, 1.998]  # of 20


def trial_of(**training):
    """A trial whose curve has risen a little at the last evaluation before the cool-down of wsd."""
    config = TrainConfig.model_validate(
        {"data": {"text": {"task": "text", "dataset": "python:a:b"}}, "training": {"epochs": 9, **training}}
    )
    trial = TrialHistory(0, config=config.model_dump(mode="json"))
    for index, loss in enumerate(LOSSES, start=1):
        metrics = {"val/loss": loss, "train/interval_loss": 3.0 - index / 10}
        trial.evaluations[index] = Evaluation(index, index * 10, index / 20, metrics)
    return trial


def test_a_trial_that_can_go_back_is_judged_more_strictly_before_its_cooldown():
    """It would cool down from weights that have overfitted a little: less than ends a trial at other evaluations."""
    rules, trial = CurveRules(Overfitting()), trial_of()
    assert rules.judge(History(trials={0: trial}), trial).verdict is Verdict.OVERFIT
    shorter = trial_of()
    del shorter.evaluations[16]  # not the last one yet
    assert rules.judge(History(trials={0: shorter}), shorter).verdict is Verdict.CONTINUE
    for training in ({"schedule": "cosine"}, {"cooldown": 0.0}):  # no cool-down to go back to
        other = trial_of(**training)
        assert rules.judge(History(trials={0: other}), other).verdict is Verdict.CONTINUE


def accuracies(values, **metrics):
    """A trial that measured an accuracy at each evaluation, and the history of a search that maximizes it."""
    trial = TrialHistory(0, config=trial_of().config)
    for index, value in enumerate(values, start=1):
        trial.evaluations[index] = Evaluation(index, index * 10, index / 20, {"val/acc": value, **metrics})
    return History(trials={0: trial}, metric="val/acc", direction="maximize"), trial


@pytest.mark.parametrize("values", [[0.1], [0.1, 0.9], [0.9, *[0.1] * 12], [32.5, 900.0]])
def test_without_a_loss_no_trial_overfits_and_a_finite_objective_never_diverges(values):
    history, trial = accuracies(values, **{"train/loss": 1.0})
    assert CurveRules(Overfitting()).judge(history, trial).verdict is Verdict.CONTINUE


@pytest.mark.parametrize(("value", "word"), [(math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf")])
def test_without_a_loss_a_trial_diverges_where_its_objective_is_not_finite(value, word):
    found = CurveRules(Overfitting()).judge(*accuracies([0.5, value]))
    assert found == Judgement(Verdict.DIVERGED, f"val/acc {word} at evaluation 2 is not a finite number")


def test_a_loss_beside_another_objective_is_judged_where_it_was_measured():
    """Evaluations 1 and 2 have the accuracy alone, 3 has the loss alone, 4 a loss that is no number."""
    history, trial = accuracies([0.5, 0.6])
    rules = CurveRules(Overfitting())
    assert rules.judge(history, trial).verdict is Verdict.CONTINUE
    trial.evaluations[3] = evaluation(3, 2.0)
    assert rules.judge(history, trial).verdict is Verdict.CONTINUE
    trial.evaluations[4] = evaluation(4, math.nan)
    found = rules.judge(history, trial)
    assert found == Judgement(Verdict.DIVERGED, "validation loss nan at evaluation 4 is not a finite number")
    assert [point.index for point in rules._curve(history, trial)] == [3, 4]


def test_a_trial_that_measures_neither_the_loss_nor_the_objective_ends_at_once():
    history, trial = accuracies([0.5])
    history.metric = "val/f1"
    assert CurveRules(Overfitting()).judge(history, trial) == Judgement(Verdict.DIVERGED, "val/f1 is not measured")


def test_a_trial_is_behind_by_the_objective():
    history, trial = accuracies([0.25, 0.75, 0.5])
    assert why_behind(history, trial) == "val/acc 0.5 at evaluation 3 (best 0.75) is behind the other trials' there"
    history.direction = "minimize"
    assert why_behind(history, trial) == "val/acc 0.5 at evaluation 3 (best 0.25) is behind the other trials' there"
