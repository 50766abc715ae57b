"""Which configs are the same training, and how many different ones a space has."""

import pytest

from hpsearch.policies.optuna.trainings import Trainings
from hpsearch.space.space import Space

SAME = {
    "heads that share no keys": ({"model": {"n_kv_heads": {"choices": [None, 4]}}}, 1),
    "the width of the MLP as it is by default": ({"model": {"width": 128, "mlp_width": {"choices": [None, 352]}}}, 1),
    "another width of the MLP": ({"model": {"width": 128, "mlp_width": {"choices": [None, 256]}}}, 2),
    "micro batches that hold the batch": ({"training": {"micro_batch_size": {"choices": [None, 32, 64, 8]}}}, 2),
    "a cool-down that no schedule has": (
        {"training": {"schedule": {"choices": ["wsd", "cosine", "linear"]}, "cooldown": {"choices": [0.1, 0.2]}}},
        4,
    ),
    "a last rate that a constant one never has": (
        {"training": {"schedule": {"choices": ["wsd", "constant"]}, "min_lr": {"choices": [0.0, 0.1]}}},
        3,
    ),
    "bytes have no vocabulary to choose": (
        {"tokenizer": {"kind": {"choices": ["bytes", "bpe"]}, "vocab_size": {"choices": [300, 600]}}},
        3,
    ),
    "a default, and the same written out": (
        {"model": {"choices": [{"dropout": 0.1}, {"n_layers": 4, "dropout": 0.1}]}},
        1,
    ),
    "floats of the last bit": ({"training": {"weight_decay": {"choices": [0.3, 0.1 + 0.2]}}}, 1),
    "rates that are near": ({"training": {"learning_rate": {"choices": [0.001, 0.0010001]}}}, 2),
    "whole numbers as floats": ({"training": {"choices": [{"epochs": 1}, {"epochs": 1.0, "warmup": 0.05}]}}, 1),
    "whole numbers in the logarithm": ({"model": {"n_layers": {"low": 1, "high": 6, "log": True}}}, 6),
}


@pytest.mark.parametrize("name", SAME)
def test_trainings_are_counted_by_what_they_do(name):
    raw, expected = SAME[name]
    space = Space.parse(raw)
    trainings = Trainings(space)
    for count in range(expected):
        assert not trainings.used_up
        left = trainings.left(seed=count)
        assert not trainings.has(left)
        trainings.add(left)
    assert trainings.used_up
    assert trainings.left(seed=9) is None
    assert all(trainings.has(space.point(index)) for index in range(space.size))


def test_a_step_between_floats_has_one_value_however_it_was_reached():
    space = Space.parse({"training": {"warmup": {"low": 0.1, "high": 0.5, "step": 0.1}}})
    trainings = Trainings(space)
    trainings.add({"warmup": 0.1 + 0.2})
    assert trainings.has({"warmup": 0.3})
    assert not trainings.has({"warmup": 0.4})


def test_of_equal_configs_the_first_stands_for_them():
    space = Space.parse({"model": {"n_kv_heads": {"choices": [None, 4]}}})
    assert Trainings(space).left(seed=0) == space.point(0)
