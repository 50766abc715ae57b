"""Priors are distributions to draw from: three quarters of the draws, in every sampler that draws."""

import math

import numpy as np
import pytest

from hpsearch.document.ranges import Prior
from hpsearch.errors import ConfigError
from hpsearch.policies.curves.encoding import Encoding
from hpsearch.policies.loading import load
from hpsearch.policies.optuna.policy import OptunaPolicy
from hpsearch.policies.optuna.priors import Draws
from hpsearch.space.priors import description, priors
from tests.searching import FACTS, experiment, go

RANGES = """
training:
  learning_rate: {low: 1e-5, high: 1e-1, log: true, prior: {center: 3e-3, spread: 0.1}}
  epochs: {low: 1, high: 12}
  batch_size: {choices: [8, 16, 32, 64]}
model:
  dropout: {low: 0.0, high: 0.4, prior: off}
  n_layers: {low: 1, high: 6, prior: {center: 2, spread: 0.4}}
"""
SETS = FACTS["sets"]
UNIFORM = (np.arange(4096) + 0.5)[:, None] / 4096


def space(body="", *, ranges=RANGES):
    return experiment(body, ranges=ranges)


def drawn(wanted, name):
    """The values at evenly spread positions, through the prior."""
    draws = Draws(wanted.space, priors(wanted, SETS))
    encoding = Encoding({name: wanted.space.distribution(name)})
    node = wanted.space.params[name]
    return [node.value(encoding.params(at)[name]) for at in draws.through([name], UNIFORM)]


def test_three_quarters_are_drawn_around_the_center_and_the_rest_uniformly():
    rates = np.log10(drawn(space(), "learning_rate"))
    near = np.abs(rates - math.log10(3e-3)) < 0.25
    assert near.mean() == pytest.approx(0.75 + 0.25 * 0.5 / 4, abs=0.02)
    assert rates[near].std() == pytest.approx(0.1, abs=0.02)
    assert np.histogram(rates[~near], bins=4)[0].min() > 0.25 / 4 * 4096 * 0.6
    layers = np.bincount(drawn(space(), "n_layers"))[1:] / 4096
    assert layers[1] > 0.7
    assert layers[4:] == pytest.approx([0.25 / 6] * 2, abs=0.01)


def test_positions_are_monotone_and_stay_inside():
    draws = Draws(space().space, priors(space(), SETS))
    for name in ("learning_rate", "n_layers"):
        found = draws.through([name], UNIFORM)[:, 0]
        assert np.all(np.diff(found) > 0)
        assert 0 < found[0] < found[-1] < 1
    assert np.array_equal(draws.through(["epochs"], UNIFORM), UNIFORM)


def test_a_prior_of_choices_is_by_ratio():
    wanted = space()
    known = {"batch_size": Prior(32.0, 0.05, decades=True)}
    found = Draws(wanted.space, known).through(["batch_size"], UNIFORM)[:, 0]
    assert np.bincount((found * 4).astype(int)) / 4096 == pytest.approx([0.0625, 0.0625, 0.8125, 0.0625], abs=0.01)
    far = Draws(wanted.space, {"batch_size": Prior(5000.0, 0.05, decades=True)}).through(["batch_size"], UNIFORM)
    assert (far[:, 0] > 0.75).mean() == pytest.approx(0.8125, abs=0.01)


def test_rules_give_priors_where_the_space_file_has_none_and_does_not_say_off():
    wanted = space("search: {prior: true}\n")
    found = priors(wanted, SETS)
    assert set(found) == {"learning_rate", "batch_size", "n_layers"}
    assert found["learning_rate"] == Prior(3e-3, 0.1, decades=True)
    assert (found["batch_size"].spread, found["batch_size"].decades) == (0.5, True)
    assert "Step Law" in found["batch_size"].source
    assert set(priors(space(), SETS)) == {"learning_rate", "n_layers"}
    assert priors(wanted, {})["n_layers"] == Prior(2.0, 0.4, decades=False)


def test_the_head_line_names_center_spread_and_source():
    assert description(space(), SETS) == (
        "priors: learning_rate 0.003 ± 0.1 decades (of the space file); n_layers 2 ± 0.4 (of the space file)"
    )
    assert description(space(ranges="training: {epochs: {low: 1, high: 2}}\n"), SETS) == ""
    for sampler in ("qmc", "grid"):
        ranges = RANGES if sampler == "qmc" else "model: {n_layers: {low: 1, high: 6, prior: {center: 2, spread: 1}}}\n"
        line = description(space(f"search: {{sampler: {sampler}}}\n", ranges=ranges), SETS)
        assert line.startswith(f"the sampler {sampler} ignores priors (")


@pytest.mark.parametrize("sampler", ["tpe", "curves", "gp", "cmaes", "random"])
def test_the_first_trials_of_every_sampler_are_drawn_through_them(tmp_path, sampler):
    body = f"budget: {{trials: 4}}\nsearch: {{sampler: {sampler}, default: false, pruner: none, overfitting: false}}\n"
    sharp = "training: {learning_rate: {low: 1e-9, high: 1e-1, log: true, prior: {center: 3e-3, spread: 0.02}}}\n"
    near = {}
    for name, ranges in (("with", sharp), ("without", sharp.replace(", prior: {center: 3e-3, spread: 0.02}", ""))):
        study, _ = go(space(body, ranges=ranges), tmp_path / name)
        rates = [trial.params["learning_rate"] for trial in study.history.trials.values()]
        near[name] = sum(abs(math.log10(rate / 3e-3)) < 0.1 for rate in rates)
    assert near["with"] >= 2
    assert near["without"] == 0


def test_later_trials_of_random_are_drawn_through_them_and_those_of_tpe_are_its_own():
    def sampler(name, number):
        proposals = OptunaPolicy(space(f"search: {{sampler: {name}}}\n")).proposals
        proposals.ask(number)
        return type(proposals.study.sampler).__name__

    assert sampler("random", 50) == sampler("tpe", 0) == "PriorSampler"
    assert sampler("tpe", 50) == "BoundedTPE"


def test_a_killed_study_draws_the_same(tmp_path):
    wanted = space("budget: {trials: 5}\nsearch: {prior: true, pruner: none}\n")
    whole, _ = go(wanted, tmp_path / "whole")
    go(wanted, tmp_path / "killed", kill_after=30)
    resumed, _ = go(wanted, tmp_path / "killed")
    assert [t.params for t in resumed.history.trials.values()] == [t.params for t in whole.history.trials.values()]


def test_a_prior_may_change_when_a_study_is_resumed(tmp_path):
    go(space("budget: {trials: 1}\n"), tmp_path / "toy")
    other = RANGES.replace("center: 3e-3", "center: 1e-3").replace(", prior: off", "")
    study, _ = go(space("budget: {trials: 2}\n", ranges=other), tmp_path / "toy")
    assert len(study.history.trials) == 2


def test_the_journal_can_read_its_own_priors():
    wanted = space("search: {prior: true}\n")
    again = type(wanted).of({key: one for key, one in wanted.normalised().items() if one is not None}, study="toy")
    assert again.identity() == wanted.identity()
    assert priors(again, SETS) == priors(wanted, SETS)


def test_a_rule_that_does_not_hold_is_said(tmp_path):
    large = "model: {width: 2048, n_heads: 16, n_layers: {low: 8, high: 12}}\n"
    large += "training: {learning_rate: {low: 1e-5, high: 1e-2, log: true}}\n"
    study, _ = go(space("budget: {trials: 1}\n", ranges=large), tmp_path / "toy")
    of_rules = load(space("search: {prior: true}\n", ranges=large)).doubts(study.history)
    assert of_rules[0].startswith("learning_rate: Step Law's exponent in N does not hold for ")
    assert load(space(ranges=large)).doubts(study.history) == []  # trial 0 has been tried


@pytest.mark.parametrize(
    ("prior", "said"),
    [
        ("{center: 3e-3}", "training.learning_rate.prior: 'spread' is missing; a prior needs center and spread"),
        ("{center: 3, spread: 1}", "training.learning_rate.prior.center: 3 is not in the range from 0.0001 to 0.1"),
        ("{center: 3e-3, spread: 0}", "training.learning_rate.prior.spread: must be above 0, not 0"),
        ("{center: 3e-3, spread: wide}", "training.learning_rate.prior.spread: must be a finite number, not 'wide'"),
        ("{center: true, spread: 1}", "training.learning_rate.prior.center: must be a finite number, not true"),
        ("{centre: 3e-3, spread: 1}", "training.learning_rate.prior.centre: unknown key; did you mean 'center'?"),
        ("on", "training.learning_rate.prior: must be {center: ..., spread: ...} or off, not 'on'"),
    ],
)
def test_a_wrong_prior_is_refused_with_its_place(prior, said):
    ranges = f"training:\n  learning_rate: {{low: 1e-4, high: 1e-1, log: true, prior: {prior}}}\n"
    with pytest.raises(ConfigError) as refused:
        space(ranges=ranges)
    place, _, what = str(refused.value).partition(": ")
    assert what == said
    assert place.startswith("./space.yaml:4:")


def test_choices_and_other_sections_have_no_prior():
    for body, said in (
        ("training: {batch_size: {choices: [8, 16], prior: off}}\n", "prior cannot stand beside choices"),
        ("evaluation: {times: {low: 1, high: 3, prior: off}}\n", "a range is allowed only in"),
    ):
        with pytest.raises(ConfigError, match=said):
            space(ranges=body)
