"""A shorter training: which values of a config change with its horizon, and by how much."""

import pytest

from hpsearch.trainers.causal_lm.horizon import shortened
from hpsearch.training.config import TrainConfig

RATE, DECAY = ("training", "learning_rate"), ("training", "weight_decay")


LARGE, SMALL = {"n_layers": 16, "width": 512}, {"n_layers": 2, "width": 64}  # 50M and 0.1M parameters


def config(model=LARGE, **training):
    usual = {"learning_rate": 1e-2, "batch_size": 64, "epochs": 9.0, "weight_decay": 0.2}
    data = {"text": {"task": "text", "files": {"train": "t.txt"}}}
    return TrainConfig.model_validate({"data": data, "model": model, "training": usual | training})


def test_rate_and_batch_fall_with_the_tokens_by_their_exponents():
    """64 (1/9)^0.571 = 18.25, which is rounded to 18; the rate follows by the square root."""
    training = shortened(config(), 1 / 9, {RATE})["training"]
    assert training["epochs"] == pytest.approx(1.0)
    assert training["batch_size"] == 18
    assert training["learning_rate"] == pytest.approx(1e-2 * 9**-0.307 * (18 / 18.2509) ** 0.5, rel=1e-4)
    assert "weight_decay" not in training


def test_the_rate_of_a_small_model_follows_the_rounding_of_the_batch_alone():
    training = shortened(config(SMALL), 1 / 9, {RATE})["training"]
    assert training["batch_size"] == 18
    assert training["learning_rate"] == pytest.approx(1e-2 * (18 / 18.2509) ** 0.5, rel=1e-4)


def test_in_between_the_exponent_of_the_rate_rises_with_the_size():
    """5.1M parameters are 0.41 of the way from 2M to 20M: (1/9)^(0.307 * 0.41) = 0.76, but for the rounding."""
    model = {"n_layers": 7, "width": 256, "n_heads": 4}
    rate = shortened(config(model), 1 / 9, {RATE})["training"]["learning_rate"]
    assert 0.70e-2 < rate < 0.80e-2


def test_a_batch_of_one_stays_one_and_the_rate_makes_up_for_it():
    """1 (1/9)^0.571 = 0.285: the batch is 3.5 times too large, the rate rises by the square root of that."""
    training = shortened(config(batch_size=1), 1 / 9, {RATE})["training"]
    assert training["batch_size"] == 1
    assert training["learning_rate"] == pytest.approx(1e-2 * 9**-0.307 * 9 ** (0.571 / 2))


@pytest.mark.parametrize("horizon", [1 / 9, 1 / 3])
@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_a_searched_weight_decay_keeps_the_time_scale(horizon, batch_size):
    """tau = batch / (rate * weight_decay * tokens), the same share of both trainings."""

    def time_scale(training):
        return training["batch_size"] / training["learning_rate"] / training["weight_decay"] / training["epochs"]

    whole = config(batch_size=batch_size)
    short = shortened(whole, horizon, {RATE, DECAY})["training"]
    assert time_scale(short) == pytest.approx(time_scale(whole.training.model_dump()))


def test_a_micro_batch_is_at_most_the_batch():
    assert shortened(config(micro_batch_size=32), 1 / 9, {RATE})["training"]["micro_batch_size"] == 18
    assert shortened(config(micro_batch_size=4), 1 / 9, {RATE})["training"]["micro_batch_size"] == 4


@pytest.mark.parametrize(("times", "horizon", "expected"), [(20, 1 / 3, 7), (20, 1 / 9, 4), (3, 1 / 9, 3)])
def test_short_trainings_have_fewer_evaluations(times, horizon, expected):
    whole = config().model_copy(update={"evaluation": config().evaluation.model_copy(update={"times": times})})
    assert shortened(whole, horizon, {RATE})["evaluation"]["times"] == expected
