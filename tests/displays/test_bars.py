"""Bars and sparklines in Unicode and in ASCII."""

import io
import math

import pytest
from rich.console import Console

from hpsearch.displays.bars import ASCII, UNICODE, glyphs


@pytest.mark.parametrize(
    ("share", "unicode", "ascii"),
    [
        (0.0, "──────────", ".........."),
        (0.04, "──────────", ".........."),
        (0.05, "╸─────────", "#........."),
        (0.5, "━━━━━─────", "#####....."),
        (0.56, "━━━━━╸────", "######...."),
        (1.0, "━━━━━━━━━━", "##########"),
        (7.0, "━━━━━━━━━━", "##########"),
        (-1.0, "──────────", ".........."),
        (math.nan, "──────────", ".........."),
    ],
)
def test_a_bar_has_its_width_and_is_full_as_far_as_its_share(share, unicode, ascii):
    assert (UNICODE.bar(share, 10), ASCII.bar(share, 10)) == (unicode, ascii)


@pytest.mark.parametrize(
    ("values", "width", "unicode", "ascii"),
    [
        ([], 8, "", ""),
        ([3.0], 8, "▁", "_"),
        ([2.0, 2.0], 8, "▁▁", "__"),
        ([8.0, 7, 6, 5, 4, 3, 2, 1], 8, "█▇▆▅▄▃▂▁", "^==--.._"),
        ([1.0, math.nan, 8.0, math.inf], 8, "▁ █ ", "_ ^ "),
        ([math.nan], 8, " ", " "),
        ([0.0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 3, "▁▅█", "_-^"),
    ],
)
def test_a_sparkline_spans_its_finite_values_and_keeps_the_last_one(values, width, unicode, ascii):
    assert (UNICODE.sparkline(values, width), ASCII.sparkline(values, width)) == (unicode, ascii)


@pytest.mark.parametrize(
    ("encoding", "environment", "expected"),
    [
        ("utf-8", {}, UNICODE),
        ("utf-8", {"LANG": "de_DE.UTF-8"}, UNICODE),
        ("ascii", {"LANG": "en_US.UTF-8"}, ASCII),
        ("utf-8", {"LANG": "C"}, ASCII),
        ("utf-8", {"LANG": "C", "LC_CTYPE": "C.UTF-8"}, ASCII),  # as Python sets it
        ("utf-8", {"LC_ALL": "C.UTF-8", "LANG": "C"}, UNICODE),
        ("utf-8", {"LC_ALL": "POSIX", "LANG": "en_US.UTF-8"}, ASCII),
    ],
)
def test_characters_are_those_that_encoding_and_locale_can_show(encoding, environment, expected):
    console = Console(file=io.TextIOWrapper(io.BytesIO(), encoding), force_terminal=True)
    assert glyphs(console, environment) is expected
