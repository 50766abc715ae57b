"""When a training decodes, and how much."""

import pytest

from hpsearch.tasks.evaluation import EvaluationConfig
from hpsearch.training.answer_length import decoding_steps, expected


@pytest.mark.parametrize(
    ("times", "every", "steps", "found"),
    [
        (4, 1, 100, [25, 50, 75, 100]),
        (7, 3, 70, [30, 60, 70, 70]),  # the third, the sixth, the last one, and the best one at the end
        (20, 1, 3, [1, 2, 3]),  # no more often than there are steps
        (4, 2, 10, [5, 10, 10]),
    ],
)
def test_a_training_decodes_at_each_so_many_th_evaluation_and_at_its_end(times, every, steps, found):
    assert decoding_steps(EvaluationConfig(times=times, decode_every=every), steps) == found


def test_answers_are_empty_then_long_then_as_the_references():
    seconds = {"none": 1.0, "references": 2.0, "limit": 11.0}
    assert [expected(steps, **seconds) for steps in (1, 14, 15, 99, 100, 10_000)] == [1, 1, 5, 5, 2, 2]
    assert expected(50, none=1.0, references=2.0, limit=0.0) == 2.0  # not measured
