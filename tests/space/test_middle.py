"""The middle of ranges and the nearest values, worked out by hand."""

import pytest

from hpsearch.document.ranges import Branches, Choices, Fixed, Number
from hpsearch.space.middle import middle, nearest

KEYS = ("training", "x")


def number(low, high, *, step=None, log=False, integer=False):
    return Number(KEYS, low, high, 1 if integer and step is None and not log else step, log, integer)


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (number(0.0, 0.3), 0.15),
        (number(1e-4, 1e-2, log=True), 1e-3),
        (number(3e-4, 1e-2, log=True), 0.00173),  # sqrt(3e-6), to three digits
        (number(1, 3, integer=True), 2),
        (number(1, 4, integer=True), 2),  # the lower one of two middles
        (number(1, 100, log=True, integer=True), 10),
        (number(64, 256, step=64, integer=True), 128),
        (number(0.0, 0.3, step=0.1), 0.1),
        (number(0.1, 0.5, step=0.2), 0.3),
        (number(5, 5, integer=True), 5),
        (number(0.12345, 0.12346), 0.12345),  # never outside the range, whatever the digits
        (Choices(KEYS, (8, 16, 32, 64)), 1),
        (Choices(KEYS, (8, 16, 32)), 1),
        (Choices(KEYS, ("cosine", "linear")), "cosine"),
        (Branches(KEYS, ({"x": Fixed(KEYS, 1)}, {"x": Fixed(KEYS, 2)}, {"x": Fixed(KEYS, 3)})), "2"),
    ],
)
def test_middle(node, expected):
    found = middle(node)
    assert found == expected
    assert type(found) is type(expected)
    assert node.internal(node.value(found)) == found


def test_the_usual_choice_of_choices_without_order():
    node = Choices(KEYS, ("cosine", "wsd"))
    assert middle(node, "wsd") == "wsd"
    assert middle(node, "none of them") == "cosine"
    assert middle(Choices(KEYS, (True, False)), False) == "false"
    assert middle(Choices(KEYS, ("a", False)), 0) == "a"  # 0 equals False, but is no choice here


@pytest.mark.parametrize(
    ("node", "wanted", "expected"),
    [
        (number(1e-4, 1e-2, log=True), 3e-3, 3e-3),
        (number(1e-4, 1e-2, log=True), 0.5, 1e-2),
        (number(1e-4, 1e-2, log=True), 1e-9, 1e-4),
        (number(1e-4, 1e-2, log=True), 0.00123456, 0.00123),
        (number(0.0, 0.3, step=0.1), 0.19, 0.2),
        (number(0.0, 0.3, step=0.1), 7, 0.3),
        (number(1, 8, integer=True), 5.4, 5),
        (number(8, 64, step=8, integer=True), 17.5, 16),
        (number(8, 64, log=True, integer=True), 17.5, 18),
        (Choices(KEYS, (8, 16, 32)), 22.0, 1),  # 16 and 32 are equally far from 22.63 by ratio
        (Choices(KEYS, (8, 16, 32)), 23.0, 2),
        (Choices(KEYS, (8, 16, 32)), 1e9, 2),
        (Choices(KEYS, (0.0, 0.1, 0.5)), 0.2, 1),  # by difference, as 0 has no ratio
        (Choices(KEYS, (1, 3)), 2 - 1e-12, 1),  # the ratio to 3 is smaller
    ],
)
def test_nearest(node, wanted, expected):
    found = nearest(node, wanted)
    assert found == pytest.approx(expected)
    assert node.internal(node.value(found)) == pytest.approx(found)
