"""YAML as plain values with places: numbers of YAML 1.2, limits, refused constructs."""

import pytest

from hpsearch.document import document
from hpsearch.errors import ConfigError


def value(text: str) -> object:
    return document.parse(f"x: {text}\n", path="a.yaml").value["x"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e-3", 0.001),
        ("1E3", 1000),
        ("1e5", 100000),
        ("1.5e3", 1500.0),
        (".5", 0.5),
        ("-7", -7),
        ("0x10", 16),
        ("0o17", 15),
        ("0", 0),
        ("no", "no"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("2024-01-01", "2024-01-01"),
        ("True", True),
        ("~", None),
        ("", None),
        ("'1e-3'", "1e-3"),
        ('"010"', "010"),
        ("[1, a, {b: 2}]", [1, "a", {"b": 2}]),
    ],
)
def test_scalars_follow_the_yaml_1_2_core_schema(text, expected):
    got = value(text)
    assert got == expected
    assert type(got) is type(expected)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", "1:1", "says nothing"),
        ("# nothing\n", "1:1", "says nothing"),
        ("- 1\n", "1:1", "not a list"),
        ("just text\n", "1:1", "not a single value"),
        ("a:\n\tb: 1\n", "2:1", "tab"),
        ("a: b: c\n", "1:5", "':' out of place"),
        ("a: 1\nb: 2\na: 3\n", "3:1", "'a' is given twice (first on line 1)"),
        ("a: !!python/object:os.system x\n", "1:4", "tag !!python/object:os.system"),
        ("a: !!int 3\n", "1:4", "tag !!int"),
        ("a: &x {b: 1}\nc: {<<: *x}\n", "2:5", "merge keys"),
        ("a: 010\n", "1:4", "ambiguous"),
        ("a: .inf\n", "1:4", "finite"),
        ("a: -.Inf\n", "1:4", "finite"),
        ("a: .nan\n", "1:4", "finite"),
        ("a: 1e999\n", "1:4", "too large"),
        (f"a: {'9' * 5000}\n", "1:4", "too large"),
        ("a: *b\n", "1:4", "no anchor &b"),
        ("a: &b [*b]\n", "1:8", "no anchor &b"),
        ("a: 1\n---\nb: 1\n", "2:1", "second document"),
        ("? [a]\n: 1\n", "1:3", "a key must be plain text"),
        ("a: [1\n", "1:4", "this '[' is not closed; add the ']'"),
        ("a: 1\nb\0: 2\n", "2:2", "U+0000 is not allowed"),
        ("a: " + "[" * 40 + "]" * 40 + "\n", "1:35", "deeper than 32"),
        ("a: &a 1\nb: [" + "*a, " * 101 + "]\n", "2:405", "100 uses of aliases"),
    ],
)
def test_what_can_surprise_is_refused_in_one_line_with_its_place(text, place, words):
    with pytest.raises(ConfigError) as caught:
        document.parse(text, path="a.yaml")
    message = str(caught.value)
    assert message.startswith(f"a.yaml:{place}: ")
    assert words in message
    assert "\n" not in message


def test_an_alias_bomb_is_refused_without_being_unfolded():
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    with pytest.raises(ConfigError, match="more than 10000 values"):
        document.parse("\n".join(lines), path="a.yaml")


def test_an_alias_is_its_anchor_value():
    assert document.parse("a: &x {b: 1}\nc: *x\n", path="a.yaml").value == {"a": {"b": 1}, "c": {"b": 1}}


def test_where_falls_back_to_what_is_around():
    doc = document.parse("a:\n  b: [1, 22]\n", path="a.yaml")
    assert doc.where("a", "b", 1) == "a.yaml:2:10"
    assert doc.where("a", "b", at_key=True) == "a.yaml:2:3"
    assert doc.where("a", "z", "y") == "a.yaml:2:3"
    assert doc.where() == "a.yaml:1:1"


def test_reading_reports_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml: no such file"):
        document.read(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="is a folder"):
        document.read(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        document.read("nul\0.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"a: 1\nb: caf\xe9\n")
    with pytest.raises(ConfigError, match=r"latin\.yaml:2:7: not UTF-8"):
        document.read(tmp_path / "latin.yaml")
    (tmp_path / "large.yaml").write_bytes(b"# " + b"x" * 1_000_000)
    with pytest.raises(ConfigError, match="larger than 1 MB"):
        document.read(tmp_path / "large.yaml")


def test_a_byte_order_mark_and_windows_lines_are_read(tmp_path):
    (tmp_path / "a.yaml").write_bytes("a: é\r\nb: 2\r\n".encode("utf-8-sig"))
    doc = document.read(tmp_path / "a.yaml")
    assert doc.value == {"a": "é", "b": 2}
    assert doc.where("b").endswith("a.yaml:2:4")


def test_what_is_dumped_reads_back_the_same():
    values = {
        "numbers": [1e-05, 1e22, 0.1, 3, -0.0, 10**18],
        "texts": ["1e-3", "1e5", "010", "no", "true", "null", "", ".5", "a: b", "é\n\ttab", ".inf", "0x1F", "~", "<<"],
        "empty": [{}, [], None, True],
        "<<": "merge",
        "order": {"z": 1, "a": {"low": 1, "high": 2}},
    }
    values["keys"] = {"1": 2, "true": 3}
    del values["<<"]
    assert document.parse(document.dump(values), path="a.yaml").value == values
    assert list(document.parse(document.dump(values), path="a.yaml").value["order"]) == ["z", "a"]
