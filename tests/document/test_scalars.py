"""Values in YAML on one line: what is read back is what was written."""

import pytest

from hpsearch.document.document import parse
from hpsearch.document.scalars import written

HARD = ["no", "on", "y", "null", "~", "1e-3", "0x10", "1_000", ".5", " a", "a ", "a: b", "a #b", "#a", "it's"]
HARD += ['say "x"', "ä", "日本語", "{a}", "[a", "- a", "*a", "&a", "!a", "%a", "@a", "`a", "a,b", "😀", "true", "No"]
HARD += ["2024-01-01", "12:30", "a/b c.txt", "-", "?", "..", ".", "<<", "=", "\\", "C:\\x", "v1", "Infinity", ".inf"]
ODD = ["", "a\nb", "a\tb", "\x85", "\u2028", "\x7f"]  # a key of a space file may not have these


@pytest.mark.parametrize("text", HARD)
def test_a_text_is_read_back(text):
    assert parse(f"x: {{a: {written(text)}, {written(text)}: 1}}", path="x").value == {"x": {"a": text, text: 1}}


@pytest.mark.parametrize(
    "value", [1, 0.001, 1e-2, True, None, 3e-4, 16, 0.123456789, [1, "a"], {"low": 1, "high": 2.5}]
)
def test_a_value_is_read_back(value):
    assert parse(f"x: {written(value)}", path="x").value == {"x": value}


def test_ranges_look_as_people_write_them():
    assert written({"low": 0.0005, "high": 0.01, "log": True}) == "{low: 0.0005, high: 0.01, log: true}"
    assert written({"choices": [16, 32]}) == "{choices: [16, 32]}"
