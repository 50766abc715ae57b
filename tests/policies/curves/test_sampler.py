"""CurvesSampler on Optuna studies, without hpsearch."""

import copy
import math
import time
import warnings

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from hpsearch.policies.curves.sampler import CurvesSampler

optuna.logging.set_verbosity(optuna.logging.WARNING)
STEPS = 20


def distance(trial):
    """From the best config: in a mixed space with a parameter that only one branch has."""
    rate = trial.suggest_float("rate", 1e-5, 1e-1, log=True)
    layers = trial.suggest_int("layers", 1, 8)
    batch = trial.suggest_categorical("batch", [8, 16, 32, 64])
    off = (math.log10(rate) + 3) ** 2 + 0.1 * (layers - 5) ** 2 + 0.2 * (batch != 32)
    if trial.suggest_categorical("schedule", ["constant", "decay"]) == "decay":
        return off + (trial.suggest_float("share", 0.0, 1.0) - 0.3) ** 2
    return off + 0.5


def objective(trial, *, pruned=False, sign=1.0):
    end = distance(trial)
    for step in range(1, STEPS + 1):
        trial.report(sign * (end + 3.0 / step), step)
        if pruned and trial.should_prune():
            raise optuna.TrialPruned
    return sign * end


def searched(sampler, trials=40, *, pruner=None, direction="minimize", **options):
    study = optuna.create_study(sampler=sampler, pruner=pruner or optuna.pruners.NopPruner(), direction=direction)
    study.optimize(lambda trial: objective(trial, **options), n_trials=trials)
    return study


def params(study):
    return [trial.params for trial in study.trials]


@pytest.mark.parametrize("seed", range(3))
def test_it_finds_the_optimum_of_a_mixed_conditional_space(seed):
    ours = searched(CurvesSampler(seed=seed)).best_value
    random = searched(optuna.samplers.RandomSampler(seed=seed)).best_value
    assert ours < 0.1
    assert ours < random / 3


def test_it_learns_from_trials_that_are_pruned():
    """Of 60 trials only the first few are trained out."""
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
    study = searched(CurvesSampler(seed=0, max_resource=STEPS), 60, pruner=pruner, pruned=True)
    states = [trial.state for trial in study.trials]
    assert states.count(TrialState.PRUNED) > 20
    best = min(study.trials, key=lambda t: t.intermediate_values[t.last_step] - 3.0 / t.last_step)
    assert best.intermediate_values[best.last_step] - 3.0 / best.last_step < 0.1


def test_it_learns_from_trials_that_run():
    """Nothing ever ends: intermediate values are all there is."""
    study = optuna.create_study(sampler=CurvesSampler(seed=0, max_resource=STEPS, random_share=0.0))
    ends = []
    for _ in range(50):
        trial = study.ask()
        ends.append(distance(trial))
        trial.report(ends[-1] + 3.0, 1)
    assert not any(trial.state.is_finished() for trial in study.trials)
    assert np.median(ends[25:]) < np.median(ends[:8]) / 2
    assert min(ends) < 0.3


def test_it_maximizes():
    study = searched(CurvesSampler(seed=0), direction="maximize", sign=-1.0)
    assert study.best_value > -0.1


def test_it_searches_without_intermediate_values():
    study = optuna.create_study(sampler=CurvesSampler(seed=0))
    study.optimize(distance, n_trials=40)
    assert study.best_value < 0.1


def test_steps_may_be_counted_from_0():
    study = optuna.create_study(sampler=CurvesSampler(seed=0))

    def from_0(trial):
        end = distance(trial)
        for step in range(STEPS):
            trial.report(end + 3.0 / (step + 1), step)
        return end

    study.optimize(from_0, n_trials=40)
    assert study.best_value < 0.1


def test_the_same_seed_proposes_the_same_trials():
    assert params(searched(CurvesSampler(seed=5), 25)) == params(searched(CurvesSampler(seed=5), 25))
    assert params(searched(CurvesSampler(seed=5), 3)) != params(searched(CurvesSampler(seed=6), 3))


def test_a_proposal_depends_on_the_study_alone():
    """Not on what the sampler was asked before: a study that is resumed continues as an undisturbed one."""
    whole, parts = searched(CurvesSampler(seed=1), 24), optuna.create_study()
    for _ in range(24):
        parts.sampler = CurvesSampler(seed=1)
        parts.optimize(objective, n_trials=1)
    assert params(whole) == params(parts)


def test_a_copy_with_a_new_seed_proposes_other_trials():
    sampler = CurvesSampler(seed=1, n_startup_trials=3, random_share=0.5)
    other = copy.deepcopy(sampler)
    other.reseed_rng()
    assert params(searched(sampler, 3)) != params(searched(other, 3))


def test_the_first_trials_are_spread_evenly():
    """A scrambled Sobol sequence: each eighth of a range has one of eight points."""
    space = {"x": FloatDistribution(0.0, 1.0), "y": FloatDistribution(0.0, 1.0)}
    study = optuna.create_study(sampler=CurvesSampler(seed=3, search_space=space))
    drawn = [study.ask(space).params for _ in range(8)]
    for name in space:
        assert sorted(int(8 * point[name]) for point in drawn) == list(range(8))


def test_a_prior_decides_where_trials_are_drawn():
    space = {"x": FloatDistribution(0.0, 1.0)}
    sampler = CurvesSampler(seed=0, search_space=space, random_share=1.0, prior=lambda uniform: 0.9 + 0.1 * uniform)
    study = optuna.create_study(sampler=sampler)
    assert all(study.ask(space).params["x"] >= 0.9 for _ in range(20))


def test_pending_trials_are_not_proposed_again():
    """Sixteen workers ask at once, while nothing new is known."""
    study = searched(CurvesSampler(seed=0, random_share=0.0), 20)
    asked = [study.ask() for _ in range(16)]
    for trial in asked:
        distance(trial)
    rates = sorted(math.log10(trial.params["rate"]) for trial in asked)
    assert len({tuple(trial.params.values()) for trial in asked}) == 16
    assert rates[-1] - rates[0] > 0.1


def test_a_countable_space_is_not_proposed_twice_by_the_model():
    space = {"a": IntDistribution(0, 5), "b": IntDistribution(0, 5)}
    study = optuna.create_study(sampler=CurvesSampler(seed=0, random_share=0.0, search_space=space))
    for _ in range(30):
        trial = study.ask(space)
        study.tell(trial, (trial.params["a"] - 2) ** 2 + (trial.params["b"] - 3) ** 2)
    later = [tuple(trial.params.values()) for trial in study.trials[8:]]
    assert len(set(later)) == len(later)
    assert (2, 3) in [tuple(trial.params.values()) for trial in study.trials]


def test_failed_trials_and_values_that_are_not_finite_do_no_harm():
    study = optuna.create_study(sampler=CurvesSampler(seed=0))

    def sometimes(trial):
        end = distance(trial)
        trial.report(math.nan if trial.number % 5 == 0 else end, 1)
        if trial.number % 7 == 0:
            raise optuna.TrialPruned
        return math.nan if trial.number % 3 == 0 else end  # Optuna fails the trial

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study.optimize(sometimes, n_trials=40)
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED}


def test_a_range_of_a_single_value_and_a_range_that_changes():
    study = optuna.create_study(sampler=CurvesSampler(seed=0))

    def changing(trial):
        low = trial.suggest_float("low", 0.0, 1.0 if trial.number < 15 else 0.5)
        return low + trial.suggest_float("fixed", 2.0, 2.0) + trial.suggest_int("one", 3, 3)

    study.optimize(changing, n_trials=30)
    assert all(trial.params["low"] <= 0.5 for trial in study.trials[15:])


def test_several_objectives_are_refused():
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=CurvesSampler(seed=0))
    with pytest.raises(ValueError, match="one objective"):
        study.optimize(lambda trial: (trial.suggest_float("x", 0, 1), 1.0), n_trials=1)


def test_it_works_on_a_study_in_a_database_that_others_share(tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    optuna.create_study(storage=url, study_name="shared")
    for seed in (1, 2):
        optuna.load_study(storage=url, study_name="shared", sampler=CurvesSampler(seed=seed)).optimize(
            objective, n_trials=12
        )
    assert len(optuna.load_study(storage=url, study_name="shared").trials) == 24


def filled(trials):
    """A long study: every second trial was stopped at step 3."""
    rng = np.random.default_rng(0)
    space = {f"x{i}": FloatDistribution(0.0, 1.0) for i in range(8)}
    study = optuna.create_study()
    frozen = []
    for number in range(trials):
        point = {name: float(rng.random()) for name in space}
        end = sum((value - 0.4) ** 2 for value in point.values())
        until = STEPS if number % 2 else 3
        reports = {step: end + 1.0 / step for step in range(1, until + 1)}
        state, value = (TrialState.COMPLETE, end) if number % 2 else (TrialState.PRUNED, None)
        frozen.append(
            create_trial(params=point, distributions=space, intermediate_values=reports, state=state, value=value)
        )
    study.add_trials(frozen)
    return study, space


@pytest.mark.parametrize("trials", [200, 10_000])
def test_the_cost_of_a_proposal_is_bounded(trials):
    """Processor time; the target is 0.1 s, and the limit leaves room for a slow machine."""
    study, space = filled(trials)
    study.sampler = CurvesSampler(seed=0, random_share=0.0, max_resource=STEPS)
    study.ask(space)
    began = time.process_time()
    points = [study.ask(space).params for _ in range(5)]
    assert (time.process_time() - began) / 5 < 1.0
    assert np.mean([abs(value - 0.4) for point in points for value in point.values()]) < 0.2
