"""Where trials are compared."""

import pytest

from hpsearch.policies.curves.rungs import rungs


@pytest.mark.parametrize(
    ("end", "found"),
    [
        (1, [1]),
        (2, [1, 2]),
        (20, [1, 3, 9, 20]),
        (27, [1, 3, 9, 27]),
        (50, [1, 3, 9, 27, 50]),
        (100, [3, 9, 27, 81, 100]),
        (270, [10, 30, 90, 270]),
    ],
)
def test_rungs_begin_at_a_27th_and_grow_by_three(end, found):
    assert rungs(end) == found


def test_the_first_rung_and_the_factor_can_be_set():
    assert rungs(20, first=2, factor=4) == [2, 8, 20]
    assert rungs(20, first=30) == [20]
