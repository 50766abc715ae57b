"""Numbers as people read them."""

import pytest

from hpsearch.results.page.figures import NONE, duration, figure, label, listed, shown


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (2.7114, "2.711"),
        (2.7, "2.7"),
        (3.0, "3"),
        (0.00319, "0.00319"),
        (0.0000128, "1.28e-05"),
        (12345.6, "12,346"),
        (9999.6, "10000"),
        (1.23e9, "1.23e+09"),
        (-0.5, "-0.5"),
        (0.0, "0"),
        (None, NONE),
        (float("nan"), NONE),
        (float("inf"), NONE),
    ],
)
def test_a_figure_has_four_digits(value, said):
    assert figure(value) == said


def test_values_of_hyperparameters_keep_their_kind():
    assert [shown(value) for value in (True, 12, 0.00123456, "wsd", None)] == ["True", "12", "0.00123", "wsd", "None"]


def test_times_have_a_unit_that_fits():
    assert [duration(s) for s in (0, 48.21, 744, 12672, 200000)] == ["0 s", "48.2 s", "12.4 min", "3.52 h", "2.31 days"]


def test_lists_read_as_sentences():
    assert [listed(list(names)) for names in ("", "a", "ab", "abc")] == ["", "a", "a and b", "a, b and c"]
    assert listed(list("abcdefghij"), 3) == "a, b, c and 7 more"


def test_labels_of_charts_are_escaped_and_short():
    assert label("<b>\n&") == "&lt;b&gt; &amp;"
    assert label("x" * 100, 10) == "x" * 9 + "…"
