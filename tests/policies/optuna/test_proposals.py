"""What is proposed is new, what Optuna knows is what is trained, and a restart changes neither."""

from collections import Counter

import pytest

from hpsearch import journal
from hpsearch.events import Notice
from hpsearch.policies.optuna.trainings import Trainings
from hpsearch.search.allowance import spent
from tests.search.test_loop import healthy, workers
from tests.searching import Scripted, ask, experiment, go, opened, optuna_trials, policy_of

QUIET = "search: {{pruner: none, overfitting: false, sampler: {}}}\n"
TWELVE = """
training:
  batch_size: {choices: [8, 16, 32, 64]}
  epochs: {choices: [1, 2, 3]}
"""
FIVE = """
model: {context: 16, n_heads: 2, choices: [{n_layers: 2, width: 16}, {n_layers: {low: 3, high: 6}, width: 32}]}
training: {learning_rate: 5e-3, epochs: 1}
"""
BRANCHES = """
training: {epochs: {choices: [1, 2]}}
model: {context: 128, width: 64, choices: [{n_layers: 2}, {n_layers: {low: 3, high: 5}}]}
"""


def asked(wanted, folder, count):
    """The internal values of so many trials, none of which ever ends."""
    study = opened(wanted, folder)
    for _ in range(count):
        ask(study)
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
    assert not any(isinstance(event, Notice) for event in seen)


def test_optuna_knows_the_config_that_took_the_place_of_another(tmp_path):
    wanted = experiment("budget: {trials: 12}\n" + QUIET.format("random"), ranges=TWELVE)
    study, internal = asked(wanted, tmp_path / "home", 12)
    again = opened(wanted, tmp_path / "home")
    for each in (study, again):
        assert [t.params for t in optuna_trials(each)] == internal
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


@pytest.mark.parametrize(
    "sampler", ["tpe", "random", "qmc", "cmaes", "grid", pytest.param("gp", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("seed", range(4))
def test_a_space_of_branches_is_gone_through_once(tmp_path, sampler, seed):
    """A sampler proposes the branch without ranges half of the time; it counts once, over a kill too."""
    body = f"seed: {seed}\nbudget: {{trials: 9}}\n" + QUIET.format(sampler)
    wanted = experiment(body, ranges=FIVE)
    go(wanted, tmp_path / "home", launcher=Scripted(workers(tmp_path), healthy), kill_after=5)
    study, seen = go(wanted, tmp_path / "home", launcher=Scripted(workers(tmp_path), healthy))
    assert sorted(layers(study)) == [2, 3, 4, 5, 6]
    assert [h.line for h in seen if isinstance(h, Notice)] == ["each of the space's 5 configs has had its trial"]
    assert spent(study, policy_of(study))


def layers(study):
    """What the trials of a space of layers are."""
    return [trial.config["model"]["n_layers"] for trial in study.history.trials.values()]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("ranges", "size"), [(BRANCHES, 8), (FIVE, 5)], ids=["eight", "five"])
def test_another_config_may_be_of_another_branch(tmp_path, seed, ranges, size):
    """Optuna's trial then has the parameters of that branch and no others, before a restart and after it."""
    wanted = experiment(f"seed: {seed}\nbudget: {{trials: 8}}\n" + QUIET.format("random"), ranges=ranges)
    assert wanted.space.size == size
    study, internal = asked(wanted, tmp_path / "home", size)
    assert len({tuple(values.items()) for values in internal}) == size
    assert len({len(values) for values in internal}) == 2
    again = opened(wanted, tmp_path / "home")
    for each in (study, again):
        known = optuna_trials(each)
        assert [t.params for t in known] == internal
        assert [t.distributions.keys() for t in known] == [values.keys() for values in internal]
    again.journal.close()


def test_branches_that_come_to_the_same_training_are_one(tmp_path):
    """Eight rows of params, six trainings: two layers stand in both branches."""
    ranges = """
    training: {epochs: {choices: [1, 2]}}
    model: {width: 64, choices: [{n_layers: 2}, {n_layers: {low: 2, high: 4}}]}
    """
    wanted = experiment("budget: {trials: 20}\n" + QUIET.format("tpe"), ranges=ranges)
    study, seen = go(wanted, tmp_path / "home", launcher=Scripted(workers(tmp_path), healthy))
    assert sorted(layers(study)) == [2, 2, 3, 3, 4, 4]
    assert [h.line for h in seen if isinstance(h, Notice)] == ["each of the space's 6 configs has had its trial"]


def test_a_range_without_an_effect_makes_no_trainings(tmp_path):
    """A cosine schedule has no cool-down: endless values of it are one training, and no trial repeats it."""
    ranges = "training: {schedule: {choices: [cosine, linear]}, cooldown: {low: 0.1, high: 0.3}}"
    wanted = experiment("budget: {trials: 9}\n" + QUIET.format("random"), ranges=ranges)
    study, seen = go(wanted, tmp_path / "home", launcher=Scripted(workers(tmp_path), healthy))
    schedules = [trial.config["training"]["schedule"] for trial in study.history.trials.values()]
    assert sorted(schedules) == ["cosine", "linear"]
    assert [h.line for h in seen if isinstance(h, Notice)] == ["each of the space's 2 configs has had its trial"]


def test_what_is_left_is_drawn_evenly(tmp_path):
    """Of twelve configs eleven are left: each comes about as often as the others."""
    wanted = experiment("budget: {trials: 12}\n" + QUIET.format("random"), ranges=TWELVE)
    trainings = Trainings(wanted.space)
    trainings.add(wanted.space.point(7))
    drawn = Counter(tuple(trainings.left(seed).values()) for seed in range(2200))
    assert len(drawn) == 11
    assert all(140 < times < 260 for times in drawn.values())


def test_the_sampler_learns_the_epochs_that_were_trained(tmp_path):
    """A trial that overfits is worth what its cool-down comes to: that of a shorter training."""
    wanted = experiment(
        "budget: {trials: 3}\nsearch: {pruner: none}\n",
        ranges="training: {learning_rate: {low: 1e-3, high: 1e-2, log: true}, epochs: {low: 4.0, high: 20.0}}",
    )
    study, _ = go(wanted, tmp_path)
    again = opened(wanted, tmp_path)
    overfit = [trial for trial in study.history.trials.values() if trial.best.branch]
    assert overfit
    for known in (study, again):
        for trial in overfit:
            params = optuna_trials(known)[trial.number].params
            assert params["epochs"] == max(4.0, trial.best.branch["training"]["epochs"]) < trial.params["epochs"]
            assert params["learning_rate"] == trial.params["learning_rate"]
