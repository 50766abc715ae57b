"""Larger models that were stopped while they still learned fast."""

from dataclasses import replace

import pytest

from hpsearch import New
from hpsearch.journal.history import History
from hpsearch.journal.outline import outline
from hpsearch.outcome import Outcome
from hpsearch.results.evidence.short_budgets import short_budgets
from tests.searching import evaluation, experiment, opened

LAYERS = """
model: {n_layers: {low: 1, high: 6}}
training: {learning_rate: {low: 1e-4, high: 1e-1, log: true}}
"""
SAID = (
    "warning: n_layers: all 2 trials above 2 were stopped early, while val/loss fell steeply: short trainings penalise "
    "larger models; search longer, or with pruner: none"
)


def study(folder, *trials):
    """A study of trials (n_layers, outcome, losses of the first evaluations, of 20); outcome None: it is paused."""
    made = opened(experiment(ranges=LAYERS), folder)
    for layers, outcome, losses in trials:
        number = made.accept(New({"n_layers": layers, "learning_rate": 1e-3}, seed=len(made.history.trials)))
        made.start(number, device="cpu", threads=1, worker=0)
        for index, loss in enumerate(losses, start=1):
            made.report(number, evaluation(index, loss))
        if outcome is None:
            made.pause(number, "waits", saved=True)
        else:
            made.finish(number, outcome)
    made.journal.close()
    return made


WHOLE = [(1, Outcome.COMPLETED, [4.0] * 20), (2, Outcome.COMPLETED, [3.9] * 20)]
STEEP, FLAT = [6.0, 5.0, 4.5], [4.3, 4.21, 4.2]


def test_larger_ones_that_were_stopped_while_they_fell_are_said(tmp_path):
    made = study(tmp_path / "s", *WHOLE, (4, Outcome.PRUNED, STEEP), (6, None, STEEP))
    assert made.history.origin.sizes == ["n_layers"]  # the rate makes no model larger
    assert short_budgets(made.history) == [SAID]
    listed = History.of(outline(made.journal.path))
    assert len(listed.trials[2].evaluations) == 1  # what `show` reads
    assert short_budgets(listed) == [SAID]


@pytest.mark.parametrize(
    "others",
    [
        [(4, Outcome.PRUNED, STEEP)],  # one says little
        [(4, Outcome.PRUNED, STEEP), (6, Outcome.PRUNED, FLAT)],
        [(4, Outcome.PRUNED, STEEP), (6, Outcome.DIVERGED, STEEP)],
        [(4, Outcome.PRUNED, STEEP), (6, Outcome.COMPLETED, STEEP)],
        [(4, Outcome.PRUNED, STEEP), (1, Outcome.PRUNED, STEEP)],
        [(4, Outcome.PRUNED, STEEP), (6, Outcome.PRUNED, [9.0 - index / 5 for index in range(12)])],  # half of it
        [(4, Outcome.PRUNED, STEEP), (6, Outcome.PRUNED, [5.0])],
    ],
)
def test_nothing_is_said_where_the_budget_was_not_the_reason(tmp_path, others):
    assert short_budgets(study(tmp_path / "s", *WHOLE, *others).history) == []


def test_nothing_is_said_of_a_study_whose_trainer_names_no_sizes(tmp_path):
    found = study(tmp_path / "s", *WHOLE, (4, Outcome.PRUNED, STEEP), (6, None, STEEP)).history
    found.origin = replace(found.origin, sizes=())
    assert short_budgets(found) == []


def test_trials_that_the_budget_cut_are_no_whole_ones(tmp_path):
    """A larger one that cooled down after 5% was not trained out: those above 2 still say that they were stopped."""
    made = study(tmp_path / "s", *WHOLE, (5, Outcome.COMPLETED, STEEP), (4, Outcome.PRUNED, STEEP), (6, None, STEEP))
    assert short_budgets(made.history) == []  # one of 5 layers was trained out, and only one above it was not
    cut = made.history.trials[2]
    cut.best = replace(cut.best, progress=0.05, branch={"training": {"epochs": 0.1}})
    assert short_budgets(made.history) == [SAID]
