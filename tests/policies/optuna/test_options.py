"""Every sampler of a space file samples, and improves where it learns; every pruner prunes the worse trials."""

import math
import statistics
from typing import get_args

import pytest

from hpsearch.outcome import Outcome
from hpsearch.policies.policy import GoOn
from hpsearch.space.pruners import AnyPruner, WrappedName
from hpsearch.space.search import Search
from hpsearch.verdict import Verdict
from tests.searching import evaluation, experiment, opened, policy_of

SAMPLERS = get_args(Search.model_fields["sampler"].annotation)
PRUNERS = [get_args(kind.model_fields["name"].annotation)[0] for kind in get_args(get_args(AnyPruner)[0])]
LEARNING = ["tpe", "curves", "cmaes", pytest.param("gp", marks=pytest.mark.slow)]
RANGES = """
training:
  learning_rate: {low: 1e-4, high: 1e-1, log: true}
  weight_decay: {low: 0.0, high: 1.0}
"""
STEPPED = """
training:
  batch_size: {choices: [8, 16, 32, 64, 128, 256]}
  warmup: {low: 0.0, high: 0.3, step: 0.1}
"""
BODY = "seed: {}\nbudget: {{trials: 100}}\nsearch: {{sampler: {}, pruner: none, overfitting: false}}\n"


def searched(tmp_path, sampler, count, *, ranges=RANGES, seed=0):
    """The trials of a search in which each has one evaluation, the distance from the best config."""
    study = opened(experiment(BODY.format(seed, sampler), ranges=ranges), tmp_path / f"{sampler}{seed}")
    for _ in range(count):
        number = study.accept(policy_of(study).next(study.history))
        params = study.history.trials[number].params
        study.start(number, device="cpu", threads=1, worker=0)
        study.report(number, evaluation(20, 1.0 + distance(params)))
        study.finish(number, Outcome.COMPLETED)
    study.journal.close()
    return list(study.history.trials.values())


def distance(params):
    rate, decay = params.get("learning_rate", 3e-3), params.get("weight_decay", 0.3)
    return math.log10(rate / 3e-3) ** 2 + (decay - 0.3) ** 2


def test_the_samplers_and_pruners_of_a_space_file_are_all_here():
    assert set(SAMPLERS) == {"tpe", "curves", "gp", "random", "qmc", "cmaes", "grid"}
    tested = {"median", "percentile", "hyperband", "successive_halving", "promotion", "patient", "none"}
    assert set(PRUNERS) == tested
    assert set(get_args(WrappedName)) <= tested


@pytest.mark.parametrize(
    "sampler", [pytest.param(name, marks=pytest.mark.slow) if name == "gp" else name for name in SAMPLERS]
)
def test_every_sampler_samples_the_whole_space(tmp_path, sampler):
    """Different configs, from both halves of each range."""
    found = [trial.params for trial in searched(tmp_path, sampler, 16, ranges=STEPPED)]
    assert len({tuple(params.values()) for params in found}) == 16
    assert {params["batch_size"] <= 32 for params in found} == {True, False}
    assert {params["warmup"] <= 0.15 for params in found} == {True, False}


@pytest.mark.parametrize("sampler", LEARNING)
def test_a_sampler_that_learns_comes_nearer(tmp_path, sampler):
    """Median distance of the last twenty of fifty trials, over two seeds, against random search."""

    def late(name):
        return statistics.median(
            distance(trial.params) for seed in (0, 1) for trial in searched(tmp_path, name, 50, seed=seed)[-20:]
        )

    assert late(sampler) < late("random") / 2


# ------------------------------------------------------------------------------------------------------------- pruners

ENDING = {
    "median": "{name: median, startup_trials: 3}",
    "percentile": "{name: percentile, percentile: 40, startup_trials: 3}",
    "hyperband": "{name: hyperband, min_resource: 1, reduction_factor: 3}",
    "successive_halving": "{name: successive_halving, min_resource: 1}",
    "patient": "{name: patient, patience: 2, wrapped: median}",
}


def trained(tmp_path, pruner, *, evaluations=20):
    """Sixteen trials one after the other, the better and the worse in turns; how many evaluations each had."""
    body = BODY.format(0, "random").replace("pruner: none", f"pruner: {pruner}")
    study = opened(experiment(body), tmp_path / "home")
    for number in range(16):
        assert study.accept(policy_of(study).next(study.history)) == number
        study.start(number, device="cpu", threads=1, worker=0)
        outcome = Outcome.COMPLETED
        for index in range(1, evaluations + 1):
            study.report(
                number, evaluation(index, end_of(number) + (1.0 + 0.01 * index if number % 2 else 0.5 / index))
            )
            if policy_of(study).judge(study.history, study.history.trials[number]).verdict is Verdict.PRUNE:
                outcome = Outcome.PRUNED
                break
        study.finish(number, outcome)
    study.journal.close()
    return [(trial.outcome, len(trial.evaluations)) for trial in study.history.trials.values()]


def end_of(number):
    """The even trials are good, the odd ones bad."""
    order = 0.01 * (number * 7 % 16)
    return 2.0 + order if number % 2 == 0 else 4.0 + order


@pytest.mark.parametrize("pruner", ENDING)
def test_every_pruner_that_ends_trials_ends_the_bad_ones(tmp_path, pruner):
    found = trained(tmp_path, ENDING[pruner])
    bad = [outcome for outcome, _ in found[1::2]]
    good = [outcome for outcome, _ in found[0::2]]
    assert bad.count(Outcome.PRUNED) >= 4
    assert bad.count(Outcome.PRUNED) > good.count(Outcome.PRUNED)
    assert found[0] == (Outcome.COMPLETED, 20)
    assert all(length < 20 for outcome, length in found if outcome is Outcome.PRUNED)


def test_no_pruner_ends_nothing(tmp_path):
    assert {outcome for outcome, _ in trained(tmp_path, "none")} == {Outcome.COMPLETED}


def test_the_options_of_the_pruners_act(tmp_path):
    """Each option on its own changes which trials end, or when."""
    without = {name: trained(tmp_path / name, options) for name, options in _folders(tmp_path, ENDING)}
    changed = {
        "median": "{name: median, startup_trials: 3, warmup_evaluations: 7}",
        "percentile": "{name: percentile, percentile: 100, startup_trials: 3}",
        "hyperband": "{name: hyperband, min_resource: 6, reduction_factor: 3}",
        "successive_halving": "{name: successive_halving, min_resource: 5}",
        "patient": "{name: patient, patience: 9, wrapped: median}",
    }
    for name, options in changed.items():
        assert trained(_made(tmp_path / f"{name}2"), options) != without[name], name
    interval = trained(_made(tmp_path / "interval"), "{name: median, startup_trials: 3, interval: 5}")
    assert {length for outcome, length in interval if outcome is Outcome.PRUNED} <= {1, 6, 11, 16, 5, 10, 15}
    late = trained(_made(tmp_path / "late"), "{name: median, startup_trials: 12}")
    assert [outcome for outcome, _ in late[:12]] == [Outcome.COMPLETED] * 12
    factor = trained(_made(tmp_path / "factor"), "{name: successive_halving, min_resource: 1, reduction_factor: 12}")
    assert factor != without["successive_halving"]


def _folders(tmp_path, options):
    return [(name, text) for name, text in options.items() if _made(tmp_path / name)]


def _made(folder):
    folder.mkdir()
    return folder


def test_promotion_resumes_the_good_trials_alone(tmp_path):
    body = BODY.format(0, "random").replace("trials: 100", "trials: 16")
    body = body.replace("pruner: none", "pruner: {name: promotion, min_resource: 1}, confirm: false")
    study = opened(experiment(body), tmp_path / "home")
    for _ in range(60):
        decision = policy_of(study).next(study.history)
        if isinstance(decision, GoOn):
            number = decision.trial
            study.resume(number, until=decision.until)
        elif hasattr(decision, "params"):
            number = study.accept(decision)
        else:
            break
        trial = study.history.trials[number]
        study.start(number, device="cpu", threads=1, worker=0)
        for index in range(max(trial.evaluations, default=0) + 1, (trial.until or 20) + 1):
            study.report(number, evaluation(index, end_of(number) + 0.5 / index))
        if trial.until is None:
            study.finish(number, Outcome.COMPLETED)
        else:
            study.pause(number, "", saved=True)
    study.journal.close()
    lengths = [len(trial.evaluations) for trial in study.history.trials.values()]
    assert len(lengths) == 16
    assert set(lengths[1::2]) == {1}
    assert lengths.count(20) == 1
    assert lengths.count(3) >= 2
