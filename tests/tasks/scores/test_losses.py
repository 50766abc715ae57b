"""Metrics of losses, compared with values by hand."""

import math

import pytest

from hpsearch.tasks.scores import losses


def test_perplexity_of_a_uniform_guess_is_the_number_of_choices():
    assert losses.perplexity(math.log(65)) == pytest.approx(65)


def test_perplexity_beyond_a_float_is_infinite():
    assert losses.perplexity(1e4) == math.inf
    assert losses.perplexity(math.inf) == math.inf
    assert math.isnan(losses.perplexity(math.nan))


def test_bits_per_byte_of_uniform_bytes_is_eight():
    assert losses.bits_per_byte(1000 * math.log(256), 1000) == pytest.approx(8)


def test_bits_per_byte_of_no_bytes_is_refused():
    with pytest.raises(ValueError, match="at least one byte"):
        losses.bits_per_byte(1.0, 0)


def test_sums_of_nothing_do_not_divide_by_zero():
    assert losses.Sums(n_bytes=1).metrics()["loss"] == 0.0
