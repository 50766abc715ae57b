"""Which trials no pruner may end."""

import pytest

from hpsearch.outcome import Outcome
from hpsearch.policies.optuna.policy import OptunaPolicy
from hpsearch.policies.policy import Judgement
from hpsearch.space.experiment import Experiment
from hpsearch.verdict import Verdict
from tests.searching import ask, evaluation, judged, opened, policy_of

PRUNERS = (
    "{name: successive_halving, min_resource: 2, reduction_factor: 2}",
    "{name: promotion, min_resource: 2}",
)


def study_of(folder, pruner, metric):
    """Eight trials with 0.5 and then 0.8 of the metric, or 1.5 and 1.2 of the loss, at their first rung."""
    data = "data: {reviews: {task: classification, dataset: 'python:a:b'}}\n"
    body = f"study: toy\nobjective: {{metric: {metric}}}\nsearch: {{sampler: random, pruner: {pruner}}}\n"
    ranges = "training: {learning_rate: {low: 1e-4, high: 1e-1, log: true}}\n"
    study = opened(Experiment.loads(data + body + ranges, path=folder / "space.yaml"), folder / "home")
    for _ in range(8):
        judge(study, *((1.5, 1.2) if metric == "val/loss" else (0.5, 0.8)))
    return study


def judge(study, *values):
    """The judgement of a new trial at its second evaluation, by this policy and by one that reads the history anew."""
    number, of_loss = ask(study), study.history.metric == "val/loss"
    study.history.trials[number].until = 2
    for index, value in enumerate(values, start=1):
        scores = {} if of_loss else {study.history.metric: value}
        found = judged(study, number, evaluation(index, value if of_loss else 0.03 * index, train=0.9, **scores))
    trial = study.history.trials[number]
    assert policy_of(study).judge(study.history, trial) == found
    assert OptunaPolicy(study.experiment).judge(study.history, trial) == found
    study.finish(number, Outcome.PRUNED if found.verdict is Verdict.PRUNE else Outcome.COMPLETED, found.reason)
    return found


@pytest.mark.parametrize("pruner", PRUNERS)
def test_a_trial_with_the_best_value_so_far_is_not_pruned(tmp_path, pruner):
    """Its loss rises, and its latest F1 is behind those of eight others."""
    study = study_of(tmp_path, pruner, "val/f1_macro")
    behind = "val/f1_macro 0.6 at evaluation 2 (best {}) is behind the other trials' there"
    assert judge(study, 0.79, 0.6) == Judgement(Verdict.PRUNE, behind.format(0.79))
    assert judge(study, 0.9, 0.6) == Judgement()
    assert judge(study, 0.9, 0.6) == Judgement()  # equal to the best
    assert judge(study, 0.89, 0.6) == Judgement(Verdict.PRUNE, behind.format(0.89))


@pytest.mark.parametrize("pruner", PRUNERS)
def test_with_a_loss_as_the_objective_the_latest_value_decides(tmp_path, pruner):
    study = study_of(tmp_path, pruner, "val/loss")
    why = "validation loss 1.400 at evaluation 2 (best 1.100) is behind the other trials' there"
    assert judge(study, 1.1, 1.4) == Judgement(Verdict.PRUNE, why)
