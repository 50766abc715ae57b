"""The cost model finds the unit costs that measurements were made with, and stays sensible with few of them."""

import numpy as np
import pytest

from hpsearch.contract import Evaluation
from hpsearch.trainers.causal_lm import costs
from hpsearch.trainers.costs import Sample, by_progress
from hpsearch.training.config import TrainConfig

SETS = {"text": {"train": {"examples": 900, "tokens": 64_001}, "valid": {"examples": 90, "tokens": 6_401}}}
DATA = {"text": {"task": "text", "files": {"train": "x.txt"}}}
STEP = np.array([2e-3, 3e-3, 1e-8, 5e-8, 4e-10, 2e-10, 9e-10, 1e-9])  # seconds of each term


def config(n_layers=2, width=64, context=64, batch_size=8, epochs=2.0, **more):
    sections = {
        "model": {"n_layers": n_layers, "width": width, "n_heads": 2, "context": context},
        "training": {"batch_size": batch_size, "epochs": epochs},
        "evaluation": {"times": 20, **more},
        "tokenizer": {"vocab_size": 1000},
    }
    return TrainConfig.model_validate({"data": DATA, **sections})


def weights(one):
    """All weights but the norms': embeddings, attention and MLP."""
    width, mlp = one.model.width, one.model.mlp_size
    return 1000 * width + one.model.n_layers * (4 * width**2 + 3 * width * mlp)


def sample(one, *, evaluation=0.5, decoding=0.0, memory=10**9, noise=1.0):
    tokens = one.training.batch_size * one.model.context
    seconds = float(costs.step_terms(one, 1.0, tokens) @ STEP) * noise
    metrics = {"step": seconds, "step_tokens": tokens, "evaluation": evaluation, "build": 0.25, "checkpoint": 0.1}
    metrics |= {"weights_bytes": 4 * weights(one), "state_bytes": 12 * weights(one), "decoding": decoding}
    found = Evaluation(index=1, step=9, progress=0.1, metrics=metrics, peak_memory=memory)
    return Sample(one, (found,), (1.0,))


GRID = [
    config(layers, width, context, batch)
    for layers in (1, 6)
    for width in (32, 256)
    for context in (32, 256)
    for batch in (4, 64)
]


def test_steps_and_tokens_of_a_text_are_counted():
    found = costs.amounts(config(context=64, batch_size=8, epochs=2), SETS)
    # 64,001 tokens in rows of 64: 1001 rows, 126 batches of 8 an epoch
    assert (found.steps, found.tokens, found.valid) == (252, 128_002, 6_401)


def test_pairs_are_cut_at_the_context_and_weights_repeat_a_set():
    pairs = {"pairs": {"task": "translation", "files": {"train": "x.tsv"}, "weight": 2}}
    one = config(context=16, batch_size=10, epochs=3)
    one = TrainConfig.model_validate({**one.model_dump(), "data": pairs})
    sets = {"pairs": {"train": {"examples": 101, "tokens": 5_000}, "valid": {"examples": 7, "tokens": 70}}}
    found = costs.amounts(one, sets)
    # 11 batches twice an epoch; 101 examples of at most 16 tokens twice an epoch
    assert (found.steps, found.tokens, found.valid) == (66, 101 * 16 * 2 * 3, 70)


def test_known_unit_costs_are_found():
    model = costs.cost_model([sample(one) for one in GRID], SETS)
    for one in (config(3, 128, 128, 16), config(2, 64, 64, 32, epochs=0.5), config(5, 192, 48, 8)):
        size = costs.amounts(one, SETS)
        truth = float(costs.step_terms(one, size.steps, size.tokens) @ STEP)
        assert model(one).training == pytest.approx(truth, rel=0.05)


def test_four_corners_with_noise_are_enough_for_what_lies_between():
    corners = [config(1, 32, 64, 64), config(6, 256, 64, 64), config(6, 256, 64, 4), config(2, 64, 64, 16)]
    noise = (1.1, 0.9, 1.05, 0.95)
    model = costs.cost_model([sample(one, noise=n) for one, n in zip(corners, noise, strict=True)], SETS)
    for one in (config(3, 128, 64, 16), config(4, 64, 64, 8), config(2, 192, 64, 32)):
        size = costs.amounts(one, SETS)
        truth = float(costs.step_terms(one, size.steps, size.tokens) @ STEP)
        assert model(one).training == pytest.approx(truth, rel=0.3)


def test_one_measurement_is_scaled_by_the_usual_ratios():
    model = costs.cost_model([sample(config(2, 64))], SETS)
    assert model(config(2, 64, epochs=2)).training == pytest.approx(
        2 * model(config(2, 64, epochs=1)).training, rel=0.01
    )
    assert model(config(4, 64)).training > 1.3 * model(config(2, 64)).training


def test_no_unit_cost_is_negative():
    found = costs.fit([np.array([1.0, 1.0]), np.array([1.0, 4.0])], [4.0, 1.0], np.ones(2))  # dearer where smaller
    assert (found >= 0).all()


def test_evaluations_decoding_and_checkpoints_are_counted():
    one = config(epochs=2)
    model = costs.cost_model([sample(one, evaluation=0.5, decoding=1.0)], SETS)
    # 252 steps, decoded after 13, 26, ..., 252: the first time nothing, as little as was measured of it
    assert model(one).evaluating == pytest.approx(20 * 0.5 + 19 * 1.0, rel=0.01)
    assert model(one).other == pytest.approx(0.25 + 0.1, rel=0.05)  # built once, best.pt written once


def test_early_evaluations_decode_nothing_or_to_the_limit():
    one = config(epochs=2)
    measured = sample(one, decoding=1.0)
    measured.evaluations[0].metrics.update(decoding_none=0.25, decoding_limit=5.25)
    expected = costs.cost_model([measured], SETS)(one)
    # of 20 evaluations in 252 steps 1 comes before step 15, 6 before step 100 (26, 38, 51, 63, 76, 89), 13 later
    decoded = 0.25 + 6 * (0.25 + 0.4 * 5.0) + 13 * 1.0
    assert expected.evaluating == pytest.approx(20 * 0.5 + decoded, rel=0.01)


def test_a_training_of_minutes_keeps_checkpoints():
    one = config()
    short = costs.cost_model([sample(one)], SETS)(one)
    long = costs.cost_model([sample(one, noise=100.0)], SETS)(config(epochs=50))
    assert short.state == short.weights == pytest.approx(4 * weights(one), rel=0.01)
    assert long.state == pytest.approx((2 * (12 + 4) + costs.STATES * 12) * weights(one), rel=0.01)


def test_memory_grows_with_the_weights():
    small, large = config(1, 32), config(6, 512)
    model = costs.cost_model([sample(small, memory=4 * 10**8), sample(large, memory=2 * 10**9)], SETS)
    kept = (4 + costs.STATES * 12) * weights(large)  # the best weights, and the states to cool down from
    assert model(large).memory == pytest.approx(2 * 10**9 + kept, rel=0.1)
    assert model(small).memory < model(config(3, 256)).memory < model(large).memory


def of_progress(*points, ends_at=1.0):
    evaluations = tuple(
        Evaluation(index=n, step=n, progress=p, metrics={"val/loss": 1.0}) for n, (p, _) in enumerate(points, 1)
    )
    return Sample(None, evaluations, tuple(at for _, at in points), ends_at)


def test_an_unknown_trainer_takes_as_long_as_its_progress_says():
    found = by_progress([of_progress((0.1, 5.0), (0.3, 7.0))])(None)  # 10 s for all, 4 s before the first step
    assert (found.training, found.other) == pytest.approx((10.0, 4.0))
    assert by_progress([of_progress((0.25, 2.0))])(None).seconds == pytest.approx(8.0)
    assert by_progress([of_progress((0.25, 2.0), ends_at=0.5)])(None).seconds == pytest.approx(4.0)
    both = by_progress([of_progress((0.5, 2.0)), of_progress((0.5, 4.0))])(None)
    assert both.seconds == pytest.approx(6.0)
