from __future__ import annotations

import math

import pytest

from hpsearch.training.evaluation_steps import evaluation_steps
from tests.training.tiny import TEXT, tiny


@pytest.mark.parametrize("total", [*range(1, 60), 100, 997, 10_000, 123_457])
@pytest.mark.parametrize("times", [1, 3, 7, 10, 20, 49])
def test_every_stop_at_ends_on_the_step_of_its_evaluation(total, times):
    whole, last = evaluation_steps(tiny({"text": TEXT}, evaluation={"times": times}), total)
    assert last == total == max(whole)
    assert set(whole) == {math.ceil(i * total / times) for i in range(1, times + 1)}
    for step, index in whole.items():
        config = tiny({"text": TEXT}, evaluation={"times": times}, training={"stop_at": index / times})
        assert evaluation_steps(config, total) == ({s: i for s, i in whole.items() if s <= step}, step)


def test_a_stop_between_evaluations_is_evaluated_too():
    config = tiny({"text": TEXT}, evaluation={"times": 4}, training={"stop_at": 0.6})
    assert evaluation_steps(config, 100) == ({25: 1, 50: 2, 60: 3}, 60)
