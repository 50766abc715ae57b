"""Text from outside is safe to print."""

import pytest

from hpsearch.output.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, été, 漢字, 😀", "plain, été, 漢字, 😀"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("a\tb\rc", r"a\tb\rc"),
        ("gpj\u202e.exe", r"gpj\u202e.exe"),
        ("\udcff", r"\udcff"),
        ("two\nlines", "two\nlines"),
    ],
)
def test_unprintable_characters_are_escaped(text, shown):
    assert printable(text) == shown
    shown.encode()


def test_line_breaks_are_kept_only_if_asked():
    assert printable("two\nlines", keep="") == r"two\nlines"
