"""From which evaluation a training cools down, and which states may still be needed for it."""

import pytest

from hpsearch.training.branch import by_promise, earliest


@pytest.mark.parametrize(
    ("best", "latest", "order"),
    [
        (10, 13, [9, 8, 10, 7, 11]),  # nearest to 8.5 first; of two the one that was named first
        (20, 23, [11, 10, 9, 8, 7]),
        (12, 12, [11, 10, 9, 8, 7]),  # it does not overfit: as late as can be
    ],
)
def test_the_most_promising_evaluation_comes_first(best, latest, order):
    assert by_promise([11, 10, 9, 8, 7], best=best, latest=latest) == order


@pytest.mark.parametrize("best", range(1, 21))
def test_what_is_dropped_is_no_longer_promising(best):
    """However the best evaluation moves on from here, a kept one is nearer to where the cool-down is to begin."""
    kept = list(range(earliest(best), best + 4))
    for later in range(best, 21):
        assert by_promise(range(21), best=later, latest=later + 3)[0] >= kept[0]
