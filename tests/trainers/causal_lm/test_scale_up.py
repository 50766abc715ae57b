"""A larger training by the published laws, as ratios from the trial's values."""

import math
import re

import pytest

from hpsearch.document.document import Fault
from hpsearch.trainers.causal_lm import scale_rules as laws
from hpsearch.trainers.causal_lm.rules import parameters
from hpsearch.trainers.causal_lm.scale_up import scaled
from hpsearch.training.config import TrainConfig

SETS = {"text": {"train": {"tokens": 1_000_000, "examples": 1}}}
ALL = [("training", key) for key in ("learning_rate", "batch_size", "weight_decay")]


def config(model=None, **training):
    return TrainConfig.model_validate(
        {
            "data": {"text": {"task": "text", "files": {"train": "a.txt"}}},
            "model": {"width": 64, "n_heads": 4, "n_layers": 2, "context": 64} | (model or {}),
            "training": {"learning_rate": 4e-3, "batch_size": 16, "epochs": 1} | training,
        }
    )


def larger(given, trial=None, *, sets=SETS, searched=ALL):
    return scaled(trial or config(), given, sets=sets, searched=searched)


def change(found, key):
    return next(one for one in found.changes if one.key == key)


def other(found, key, rule):
    return next(one.value for one in change(found, key).others if one.rule == rule)


def test_the_rate_falls_with_the_width_and_the_root_of_the_depth():
    assert larger({"width": 256}).config.training.learning_rate == pytest.approx(4e-3 / 4)
    assert larger({"n_layers": 8}).config.training.learning_rate == pytest.approx(4e-3 / 2)
    assert larger({"width": 256, "n_layers": 8}).config.training.learning_rate == pytest.approx(4e-3 / 8)


def test_the_rate_grows_with_the_tokens_in_all_but_small_models():
    trial = config({"width": 512, "n_layers": 8, "n_heads": 8})
    found = larger({"tokens": 1e8, "epochs": 1}, trial)
    assert found.config.training.learning_rate == pytest.approx(4e-3 * 100**0.26, rel=0.01)
    assert larger({"tokens": 1e8, "epochs": 1}).config.training.learning_rate == 4e-3


def test_the_batch_grows_with_the_tokens():
    found = larger({"tokens": 1e8, "epochs": 1})
    assert found.config.training.batch_size == round(16 * 100**0.571)
    assert other(found, "batch_size", "Power Lines") == round(16 * 100**0.383)


def test_the_other_laws_are_named_with_their_values():
    found = larger({"width": 256, "tokens": 1e8, "epochs": 1})
    size = found.sizes["parameters"][1] / found.sizes["parameters"][0]
    assert found.sizes["parameters"] == (parameters(config().model), parameters(found.config.model))
    assert other(found, "learning_rate", "Step Law") == pytest.approx(4e-3 * size**-0.713 * 100**0.307, rel=0.01)
    assert other(found, "learning_rate", "independent grid") == pytest.approx(
        4e-3 * size**-0.477 * 100**0.262, rel=0.01
    )
    assert all(one.source and one.holds for one in change(found, "learning_rate").others)


def test_models_that_grow_alike_in_width_and_depth_have_the_rate_of_the_independent_grid():
    found = larger({"width": 1024, "n_layers": 32})
    ratio = found.config.training.learning_rate / other(found, "learning_rate", "independent grid")
    assert 0.7 < ratio < 1.1


def test_a_batch_of_ones_own_moves_the_rate_by_its_root():
    best = larger({"tokens": 1e8, "epochs": 1})
    own = larger({"tokens": 1e8, "epochs": 1, "batch_size": 4 * best.config.training.batch_size})
    assert own.config.training.batch_size == 4 * best.config.training.batch_size
    ratio = own.config.training.learning_rate / best.config.training.learning_rate
    assert ratio == pytest.approx(2, rel=0.01)
    assert change(own, "batch_size").by.rule == "given"


def test_a_longer_context_has_fewer_sequences_of_as_many_tokens():
    assert larger({"context": 256}).config.training.batch_size == 4
    assert larger({"context": 256}).config.training.learning_rate == pytest.approx(4e-3)


def test_a_searched_weight_decay_keeps_its_time_scale():
    found = larger({"width": 256, "tokens": 1e8, "epochs": 1})
    now, was = found.config.training, config().training

    def tau(training, tokens):
        return training.batch_size * 64 / (training.learning_rate * training.weight_decay * tokens)

    moved = tau(now, 1e8) / tau(was, 1e6)
    per_parameter = 100 / (found.sizes["parameters"][1] / found.sizes["parameters"][0])
    assert moved == pytest.approx(per_parameter**-0.527, rel=0.02)
    constant = other(found, "weight_decay", "constant time scale")
    assert constant == pytest.approx(
        was.weight_decay * now.batch_size / 16 / (now.learning_rate / 4e-3) / 100, rel=0.02
    )


def test_a_weight_decay_that_was_not_searched_stays():
    found = larger({"tokens": 1e8, "epochs": 1}, searched=[("training", "learning_rate")])
    assert found.config.training.weight_decay == 0.1
    assert "not search" in change(found, "weight_decay").why
    assert {one.rule for one in change(found, "weight_decay").others} == {"Power Lines", "constant time scale"}
    assert any("no measured optimum: batch_size, weight_decay" in line for line in found.warnings)


def test_no_weight_decay_stays_none():
    assert larger({"width": 256}, config(weight_decay=0)).config.training.weight_decay == 0


def test_dropout_goes_with_the_repeats():
    trial = config({"dropout": 0.1}, epochs=4)
    assert larger({"epochs": 16}, trial).config.model.dropout == pytest.approx(0.2)
    assert larger({"width": 128}, trial).config.model.dropout == pytest.approx(0.1)
    assert larger({"tokens": 1e8, "epochs": 1}, trial).config.model.dropout == 0


@pytest.mark.parametrize(
    ("trial", "given", "warmup"),
    [
        (config(warmup=0.05), {"tokens": 1e8, "epochs": 1}, 0.05),  # long enough
        (config(warmup=0.01), {"epochs": 2}, 40 / math.ceil(2e6 / 64 / 24)),  # 40 steps for beta2 0.95
        (config(warmup=0.01, batch_size=4096), {"epochs": 2}, 0.1),  # hardly a step
        (config(warmup=0), {"epochs": 2}, 0),  # as the trial was best
    ],
)
def test_the_warm_up_is_the_same_share_or_long_enough_for_adam(trial, given, warmup):
    assert larger(given, trial).config.training.warmup == pytest.approx(warmup, rel=0.01)


def test_heads_stay_as_wide_and_what_depends_on_the_width_follows():
    found = larger({"width": 256}, config({"n_kv_heads": 2, "mlp_width": 192})).config.model
    assert (found.n_heads, found.n_kv_heads, found.mlp_width) == (16, 8, 768)
    assert larger({"width": 256, "n_heads": 2}).config.model.n_heads == 2


def test_a_training_that_ended_early_is_followed_by_a_whole_one():
    found = larger({"width": 128}, config(epochs=4, stop_at=0.5))
    assert (found.config.training.stop_at, found.config.training.epochs) == (1.0, 2.0)
    assert found.sizes["tokens"] == (2e6, 2e6)


def test_the_length_is_given_by_tokens_by_epochs_or_by_both():
    assert larger({"tokens": 3e6}).config.training.epochs == 3
    assert larger({"epochs": 3}).sizes["tokens"][1] == 3e6
    both = larger({"tokens": 2e9, "epochs": 2})
    assert (both.config.training.epochs, both.sizes["tokens"][1]) == (2, 2e9)
    assert any("name data of 1B tokens there" in line for line in both.warnings)
    assert any("20 passes over the study's data" in line for line in larger({"tokens": 2e7}).warnings)


def test_what_lies_outside_of_a_law_is_warned_of():
    found = larger({"width": 1024, "n_layers": 24})
    assert any("fitted on 46M to 2.9B parameters" in line and "106k to 304M" in line for line in found.warnings)
    assert any("a factor of 4 at 4.7B" in line for line in found.warnings)
    assert any(line.startswith("heads of 16 are narrow") for line in found.warnings)
    inside = laws.Growth(2, 2, (1e8, 8e8), (2e8, 1e9))
    assert laws.WIDTH_DEPTH.outside(inside) == ""


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"widht": 64}, "widht: unknown key; did you mean 'width'?"),
        (
            {"width": 250},
            "width: 250 is no multiple of the trial's head width 16; allowed: 240 or 256, or",
        ),
        ({"width": 250, "n_heads": 4}, "n_heads 4 does not divide width 250"),
        ({"width": math.nan}, "width: must be"),
        ({"tokens": math.nan}, "tokens: must be a finite number"),
        ({"width": 128.0}, "width: must be an integer"),
        (
            {"tokens": 10},
            "tokens: 10 tokens are fewer than those of the trial's training; allowed: 1,000,000",
        ),
        ({"epochs": 0.5}, "epochs: 500,000 tokens are fewer"),
        ({"tokens": 0}, "tokens: must be above 0, not 0"),
        ({}, "nothing is larger than in the trial; allowed: width, n_layers"),
        ({"width": 64}, "nothing is larger than in the trial"),
    ],
)
def test_a_target_that_is_wrong_is_named(given, words):
    with pytest.raises(Fault, match=re.escape(words) if "must be" not in words else words):
        larger(given)


def test_unknown_counts_are_named():
    with pytest.raises(Fault, match="does not know how many tokens its data have"):
        larger({"width": 128}, sets={})


def test_a_law_of_the_tokens_is_not_warned_of_where_they_stay():
    assert not any("law of the batch" in line for line in larger({"width": 128}).warnings)
    assert any("law of the batch" in line for line in larger({"tokens": 1e7}).warnings)
