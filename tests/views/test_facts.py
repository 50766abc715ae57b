"""What the journal says, as MLflow has it."""

from __future__ import annotations

import pytest

from hpsearch.views.facts import milliseconds


@pytest.mark.parametrize(
    ("seconds", "wanted"),
    [(0.0004, 0), (0.0006, 1), (1.0, 1000), (1.0006, 1001), (8.12, 8120), (1_700_000_000.0019999, 1_700_000_000_002)],
)
def test_a_time_is_rounded_to_the_nearest_millisecond(seconds: float, wanted: int) -> None:
    """8.12 is a little less in binary; a time cut off there would be a millisecond before what a person reads."""
    assert milliseconds(seconds) == wanted
    assert isinstance(milliseconds(seconds), int)
