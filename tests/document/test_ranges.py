"""Ranges as values: the number of a range that is nearest to another."""

import pytest

from hpsearch.document.ranges import Number


@pytest.mark.parametrize(
    ("limits", "value", "nearest"),
    [
        ({"low": 4.0, "high": 20.0}, 8.13, 8.13),
        ({"low": 4.0, "high": 20.0}, 3.2, 4.0),
        ({"low": 4, "high": 20}, 8.13, 8),
        ({"low": 4, "high": 20, "step": 5}, 8.13, 9),
        ({"low": 0.0, "high": 1.0, "step": 0.25}, 0.6, 0.5),
    ],
)
def test_the_number_of_a_range_that_is_nearest(limits, value, nearest):
    given = {"step": None, "log": False, "integer": isinstance(limits["low"], int), **limits}
    assert Number(("training", "epochs"), **given).nearest(value) == nearest
