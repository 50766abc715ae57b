"""What values each metric can take."""

import math

import pytest

from hpsearch.tasks.classification import ClassificationSet
from hpsearch.tasks.metric import LOSSES
from hpsearch.tasks.scores.ranges import _RANGES, within
from hpsearch.tasks.translation import TranslationSet


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("test/accuracy", (0.0, 1.0)),
        ("test/mails/f1_macro", (0.0, 1.0)),
        ("mcc", (-1.0, 1.0)),
        ("val/bleu", (0.0, 100.0)),
        ("test/loss", (0.0, 200.0)),
        ("test/perplexity", (1.0, 200.0)),
        ("test/of_my_own", (-200.0, 200.0)),
    ],
)
def test_an_interval_keeps_to_the_range_of_its_metric(name, found):
    assert within(name, -200.0, 200.0) == found


def test_every_metric_of_a_task_has_a_range():
    known = {metric.name for metric in (*LOSSES, *ClassificationSet.METRICS, *TranslationSet.METRICS)}
    assert known == set(_RANGES)


def test_the_best_value_is_an_end_of_the_range():
    for metric in (*ClassificationSet.METRICS, *TranslationSet.METRICS):
        ends = _RANGES[metric.name]
        assert metric.best == ends[metric.direction == "maximize"]
        assert math.isfinite(ends[0])
