"""The rules for language models, against numbers worked out by hand."""

import math

import pytest
import torch

from hpsearch.trainers.causal_lm.rules import batch_tokens, dropout, learning_rate, parameters, rules
from hpsearch.training.config import ModelConfig
from hpsearch.training.model import Llama
from tests.training.tiny import PAIRS, TEXT, tiny


def test_step_law_where_it_was_fitted():
    # 1.79 * 60e6^-0.713 * 1e10^0.307 and 0.58 * 1e10^0.571, by logarithms to the base 10
    by_hand = 10 ** (math.log10(1.79) - 0.713 * math.log10(60e6) + 3.07)
    assert learning_rate(60_000_000, 1e10).value == pytest.approx(by_hand)
    assert by_hand == pytest.approx(5.99e-3, rel=0.01)
    assert batch_tokens(1e10) == pytest.approx(10 ** (math.log10(0.58) + 5.71))


def test_the_exponents_in_tokens():
    rates = [learning_rate(60_000_000, tokens).value for tokens in (1e9, 1e10)]
    assert math.log10(rates[1] / rates[0]) == pytest.approx(0.262)
    assert math.log10(batch_tokens(1e10) / batch_tokens(1e9)) == pytest.approx(0.574)


def test_small_models_go_over_into_a_fixed_rate_on_a_slope():
    assert learning_rate(1_000, 1e6).value == learning_rate(2_000_000, 1e11).value == 3e-3
    for n in (2_000_000, 20_000_000):  # no step at the ends of the slope
        below, above = (learning_rate(round(n * share), 1e9).value for share in (0.9999, 1.0001))
        assert above == pytest.approx(below, rel=1e-3)
    half = learning_rate(round(math.sqrt(2e6 * 20e6)), 1e9).value
    law = 1.79 * math.sqrt(2e6 * 20e6) ** -0.713 * 1e10**0.307 * 0.1**0.262
    assert half == pytest.approx(math.sqrt(law * 3e-3), rel=1e-6)


def test_the_source_says_where_the_law_does_not_hold():
    assert learning_rate(60_000_000, 1e10).source == "Step Law, arXiv 2503.04715"
    assert learning_rate(60_000_000, 1e10).doubt == ""
    assert learning_rate(368_000_000, 1e10).doubt == (
        "Step Law's exponent in N does not hold for 368M parameters: the rate may be too low"
    )
    assert "small models" in learning_rate(5_000_000, 1e10).source


@pytest.mark.parametrize(("epochs", "rate"), [(0.5, 0), (1, 0), (2, 0.05), (4, 0.1), (16, 0.2), (100, 0.2)])
def test_dropout_by_epochs(epochs, rate):
    assert dropout(epochs).value == pytest.approx(rate)


@pytest.mark.parametrize("given", [{}, {"n_kv_heads": 1}, {"mlp_width": 24}, {"n_layers": 3, "tied_embeddings": False}])
def test_parameters_are_those_of_the_layers_matrices(given):
    config = ModelConfig(**{"n_layers": 2, "width": 32, "n_heads": 4, "context": 16, **given})
    matrices = [
        weight
        for name, weight in Llama(config, vocab_size=100).named_parameters()
        if weight.dim() == 2 and torch.Size([100, 32]) != weight.shape
    ]
    assert parameters(config) == sum(weight.numel() for weight in matrices)


def test_a_batch_of_text_counts_contexts_and_of_pairs_examples():
    sets = {
        "text": {"train": {"examples": 1, "tokens": 80_000}},
        "pairs": {"train": {"examples": 4000, "tokens": 80_000}},
    }
    text = rules(tiny({"text": TEXT}, training={"epochs": 10}, model={"context": 64}), sets)["training"]["batch_size"]
    assert text.value == pytest.approx(batch_tokens(800_000) / 64)
    pairs = rules(tiny({"pairs": PAIRS}, training={"epochs": 10}, model={"context": 64}), sets)["training"][
        "batch_size"
    ]
    assert pairs.value == pytest.approx(batch_tokens(800_000) / 20)  # 80,000 tokens in 4,000 examples
    long = rules(tiny({"pairs": PAIRS}, training={"epochs": 10}, model={"context": 16}), sets)["training"]["batch_size"]
    assert long.value == pytest.approx(batch_tokens(800_000) / 16)  # longer examples are cut


def test_unknown_data_have_no_rule_for_rate_and_batch():
    found = rules(tiny({"text": TEXT}), {})
    assert not {"learning_rate", "batch_size"} & set(found["training"])
    assert found["training"]["weight_decay"].value == 0.1
