"""Random params: in the space, the same for a seed, spread over their ranges."""

import math

from tests.searching import experiment

RANGES = """
training:
  learning_rate: {low: 1e-4, high: 1e-1, log: true}
  epochs: {low: 2, high: 18, step: 4}
  batch_size: {choices: [8, 16, 32]}
  schedule: {choices: [wsd, cosine]}
model:
  width: 64
  choices:
    - {n_layers: 2, dropout: {low: 0.0, high: 0.3}}
    - {n_layers: {low: 4, high: 8}}
"""


def test_draws_are_in_the_space_and_spread_over_it():
    space = experiment(ranges=RANGES).space
    drawn = [space.draw(seed) for seed in range(400)]
    assert drawn == [space.draw(seed) for seed in range(400)]
    assert all(space.values(space.internal(params)) == params for params in drawn)
    assert {params["epochs"] for params in drawn} == {2, 6, 10, 14, 18}
    assert {params["batch_size"] for params in drawn} == {8, 16, 32}
    assert {params["n_layers"] for params in drawn if "n_layers" in params} == {4, 5, 6, 7, 8}
    low = sum(math.log10(params["learning_rate"]) < -2.5 for params in drawn)
    assert 150 < low < 250
