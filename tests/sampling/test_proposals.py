"""What is proposed is new, what Optuna knows is what is trained, and a restart changes neither."""

import pytest

from hpsearch import journal
from hpsearch.happenings import Notice
from tests.searching import Scripted, experiment, go, opened
from tests.test_search import healthy, workers

QUIET = "search: {{pruner: none, overfitting: false, sampler: {}}}\n"
TWELVE = """
training:
  batch_size: {choices: [8, 16, 32, 64]}
  epochs: {choices: [1, 2, 3]}
"""
BRANCHES = """
training: {epochs: {choices: [1, 2]}}
model: {context: 128, width: 64, choices: [{n_layers: 2}, {n_layers: {low: 3, high: 5}}]}
"""


def asked(wanted, folder, count):
    """The internal values of so many trials, none of which ever ends."""
    study = opened(wanted, folder)
    for _ in range(count):
        study.ask()
    study.journal.close()
    return study, [trial.internal for trial in study.history.trials.values()]


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "grid"])
def test_a_space_of_choices_is_gone_through_once(tmp_path, sampler):
    """However many trials the budget has; people are told why there are no more."""
    wanted = experiment("budget: {trials: 30}\n" + QUIET.format(sampler), ranges=TWELVE)
    study, seen = go(wanted, tmp_path / "home", launcher=Scripted(workers(tmp_path), healthy))
    tried = {(t.params["batch_size"], t.params["epochs"]) for t in study.history.trials.values()}
    assert len(study.history.trials) == len(tried) == 12
    assert [h.line for h in seen if isinstance(h, Notice)] == ["each of the space's 12 configs has had its trial"]
    _, seen = go(wanted, tmp_path / "home", launcher=Scripted(workers(tmp_path), healthy))
    assert [type(h) for h in seen] == [Notice]


def test_a_budget_that_the_space_can_give_is_spent_without_a_word(tmp_path):
    wanted = experiment("budget: {trials: 12}\n" + QUIET.format("tpe"), ranges=TWELVE)
    study, seen = go(wanted, tmp_path / "home", launcher=Scripted(workers(tmp_path), healthy))
    assert len(study.history.trials) == 12
    assert not any(isinstance(happening, Notice) for happening in seen)


def test_optuna_knows_the_config_that_took_the_place_of_another(tmp_path):
    wanted = experiment("budget: {trials: 12}\n" + QUIET.format("random"), ranges=TWELVE)
    study, internal = asked(wanted, tmp_path / "home", 12)
    again = opened(wanted, tmp_path / "home")
    for each in (study, again):
        assert [t.params for t in each.proposals.study.get_trials(deepcopy=False)] == internal
    again.journal.close()


def test_a_restart_proposes_what_an_undisturbed_study_does(tmp_path):
    wanted = experiment("budget: {trials: 12}\n" + QUIET.format("tpe"), ranges=TWELVE)
    _, whole = asked(wanted, tmp_path / "whole", 12)
    for count in (3, 5, 4):
        _, parts = asked(wanted, tmp_path / "parts", count)
    assert parts == whole


def test_a_journal_with_a_config_twice_from_before_goes_on(tmp_path):
    wanted = experiment("budget: {trials: 12}\n" + QUIET.format("random"), ranges=TWELVE)
    study, _ = asked(wanted, tmp_path / "home", 1)
    first = next(e for e in journal.read(study.journal.path) if e["event"] == "trial_asked")
    study = opened(wanted, tmp_path / "home")
    study.record("trial_asked", trial=1, **{name: first[name] for name in ("params", "internal", "config")})
    study.journal.close()
    _, internal = asked(wanted, tmp_path / "home", 3)
    assert internal[0] == internal[1]
    assert len({tuple(values.items()) for values in internal}) == 4


def test_another_config_stays_in_its_branch(tmp_path):
    """Optuna's trial keeps its parameters; where a branch is used up, its config comes again."""
    wanted = experiment("budget: {trials: 8}\n" + QUIET.format("random"), ranges=BRANCHES)
    assert wanted.space.size == 8
    study, internal = asked(wanted, tmp_path / "home", 8)
    for trial, values in zip(study.proposals.study.get_trials(deepcopy=False), internal, strict=True):
        assert trial.params == values
    assert {len(values) for values in internal} == {2, 3}
