"""json files: one object per line, or one array as pandas writes it; nested and joined columns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas
import pyarrow
import pyarrow.parquet
import pytest

from hpsearch.data import json_rows
from hpsearch.data.compressed import Part
from hpsearch.data.read_report import ReadReport
from hpsearch.errors import DataError
from tests.data.forms import a_set, refusal, train

FRAME = pandas.DataFrame({"text": ['é "x"', "a,\nb", "[]{}", "a\u2028"], "label": [1, 0, 1, 0]})
ROWS = [('é "x"', "1"), ("a,\nb", "0"), ("[]{}", "1"), ("a\u2028", "0")]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("ascii_", [True, False])
def test_an_array_as_pandas_writes_it_is_read(tmp_path: Path, indent: int | None, ascii_: bool) -> None:
    FRAME.to_json(tmp_path / "a.json", orient="records", indent=indent or 0, force_ascii=ascii_)
    assert train(tmp_path, "classification", "a.json") == ROWS


@pytest.mark.parametrize("name", ["a.ndjson", "a.json", "a.jsonl"])
def test_objects_by_line_are_read_under_each_ending(tmp_path: Path, name: str) -> None:
    FRAME[:3].to_json(tmp_path / name, orient="records", lines=True)
    assert train(tmp_path, "classification", name) == ROWS[:3]


def test_a_long_array_on_one_line_is_read_block_by_block_with_the_lines_of_its_objects(tmp_path: Path) -> None:
    rows = [{"text": "é" * (i % 977), "n": i, "inner": {"list": [i, "]"]}} for i in range(6000)]
    (tmp_path / "a.json").write_text(json.dumps(rows, ensure_ascii=False))
    read = [record for _, record in json_rows.records(Part(tmp_path / "a.json"), None, ReadReport())]
    assert read == rows
    (tmp_path / "a.json").write_text("[\n" + ",\n\n".join(map(json.dumps, rows[:9])) + "\n]\n")
    places = [where for where, _ in json_rows.records(Part(tmp_path / "a.json"), None, ReadReport())]
    assert [int(place.rpartition(":")[2]) for place in places] == list(range(2, 20, 2))


WRONG = {
    "not closed": ('[{"text": "a", "label": 1}', "a.json:1: not JSON (',' is missing)"),
    "cut in an object": ('[{"text": "a", "label": 1},\n{"te', "a.json:2: not JSON (Unterminated string"),
    "no comma": ('[{"text": "a", "label": 1}\n {"text": "b"}]', "a.json:2: not JSON (',' is missing)"),
    "two arrays": ('[{"text": "a", "label": 1}]\n[]', "a.json:2: more text after the array"),
    "numbers": ('[{"text": "a", "label": 1},\n 3]', "a.json:2: the array has an item that is not an object"),
    "NaN": ('[{"text": "a", "label": NaN}]', "a.json:1: not JSON (NaN is not a JSON number)"),
    "a table in an object": ('{"data": [{"text": "a"}]}', "a.json:1: one object with a list in 'data': save that list"),
    "one object over lines": ('{\n "text": "a"\n}', "a.json:1: not JSON"),
}


@pytest.mark.parametrize(("content", "words"), WRONG.values(), ids=WRONG)
def test_what_is_neither_is_refused_with_its_line_and_the_way_by_a_function(
    tmp_path: Path, content: str, words: str
) -> None:
    (tmp_path / "a.json").write_text(content)
    said = refusal(tmp_path, a_set("classification", "a.json"))
    assert said.startswith(words)
    assert 'dataset: "python:module:function"' in said


def test_an_endless_string_is_refused_without_holding_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_rows, "MAX_LINE", 1 << 20)
    (tmp_path / "a.json").write_text('[{"text": "' + "x" * (8 << 20))
    records = json_rows.records(Part(tmp_path / "a.json"), None, ReadReport())
    with pytest.raises(DataError, match="a value of more than 1 MiB"):
        list(records)


# ----------------------------------------------------------------------------------------------- nested, joined columns

NESTED = [
    {"meta": {"body": "one", "title": "T1", "deep": {"er": "d1"}}, "label": "x", "title": None},
    {"meta": {"body": "two", "title": None, "deep": {"er": "d2"}}, "label": "y", "title": "t2"},
]
TAKEN: dict[str, tuple[Any, list[str]]] = {
    "nested": ("meta.body", ["one", "two"]),
    "deeper": ("meta.deep.er", ["d1", "d2"]),
    "the field of the only column that has it": ("body", ["one", "two"]),
    "joined": (["meta.body", "meta.deep.er"], ["one\nd1", "two\nd2"]),
    "joined where one is missing": (["title", "meta.body"], ["one", "t2\ntwo"]),
}


@pytest.mark.parametrize("ending", ["jsonl", "json", "parquet"])
@pytest.mark.parametrize(("column", "texts"), TAKEN.values(), ids=TAKEN)
def test_nested_and_joined_columns(tmp_path: Path, ending: str, column: Any, texts: list[str]) -> None:
    path = tmp_path / f"a.{ending}"
    if ending == "parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(NESTED), path)
    else:
        lines = map(json.dumps, NESTED)
        path.write_text("\n".join(lines) if ending == "jsonl" else f"[{', '.join(lines)}]")
    assert train(tmp_path, "classification", path.name, text=column) == list(zip(texts, "xy", strict=True))


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_the_hubs_form_of_pairs_is_taken_by_its_languages(tmp_path: Path, ending: str) -> None:
    pairs = [{"id": i, "translation": {"en": f"word {i}", "fr": f"mot {i}"}} for i in range(3)]
    if ending == "parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(pairs), tmp_path / "a.parquet")
    else:
        (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, pairs)))
    for source, target in (("en", "fr"), ("translation.en", "translation.fr")):
        rows = train(tmp_path, "translation", f"a.{ending}", source=source, target=target)
        assert rows == [(f"word {i}", f"mot {i}") for i in range(3)]
    said = refusal(tmp_path, a_set("translation", f"a.{ending}", source="en", target="de"))
    assert "no column 'de' for target, there are: id, translation.en, translation.fr" in said


def test_a_column_with_a_dot_in_its_name_wins(tmp_path: Path) -> None:
    record = {"meta.body": "literal", "meta": {"body": "nested"}, "label": "x"}
    (tmp_path / "a.jsonl").write_text(json.dumps(record) + "\n" + json.dumps({**record, "label": "y"}))
    assert train(tmp_path, "classification", "a.jsonl", text="meta.body")[0] == ("literal", "x")


def test_a_field_that_two_columns_have_and_a_mapping_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"a": {"t": "1"}, "b": {"t": "2"}}\n')
    assert "no column 't' for text, there are: a.t, b.t" in refusal(tmp_path, a_set("text", "a.jsonl", text="t"))
    assert "a.jsonl:1: the text is a dict" in refusal(tmp_path, a_set("text", "a.jsonl", text="a"))
    (tmp_path / "a.jsonl").write_text('{"a": {"t": "1"}}\n{"a": {"u": "2"}}\n')
    assert "a.jsonl:2: no column 'a.t' for text, there are: a.u" in refusal(
        tmp_path, a_set("text", "a.jsonl", text="a.t")
    )


def test_an_empty_list_of_columns_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 item"):
        a_set("text", "a.jsonl", text=[])


def test_a_table_by_columns_is_refused_with_the_form_that_is_wanted(tmp_path: Path) -> None:
    table = pandas.DataFrame({"text": ["a", "b"], "label": ["x", "y"]})
    table.to_json(tmp_path / "a.json")
    said = refusal(tmp_path, a_set("classification", "a.json"))
    assert said.startswith(
        "a.json:1: one object with a mapping for each column (pandas' to_json): save it with orient="
    )
    table.to_json(tmp_path / "a.json", orient="records")
    assert train(tmp_path, "classification", "a.json") == [("a", "x"), ("b", "y")]


def test_a_record_without_the_mapping_that_others_have_lacks_what_is_in_it(tmp_path: Path) -> None:
    pair = '{"translation": {"en": "a", "fr": "b"}}\n'
    (tmp_path / "a.jsonl").write_text(pair + '{"translation": null}\n' + pair)
    given = {"source": "en", "target": "fr"}
    assert (
        refusal(tmp_path, a_set("translation", "a.jsonl", **given))
        == "a.jsonl:2: the source is missing, text is expected"
    )
    assert train(tmp_path, "translation", "a.jsonl", skip_bad_rows=True, **given) == [("a", "b")] * 2


@pytest.mark.parametrize("text", ["\u200b", "\ufeff ", "\u200e\u200f"])
def test_a_value_that_cannot_be_seen_is_refused_as_an_empty_one_is(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": text, "label": "x"}) + "\n")
    said = refusal(tmp_path, a_set("classification", "a.jsonl"))
    assert said.startswith("a.jsonl:1: the text has invisible characters alone ('\\u")


def test_columns_of_a_parquet_that_nobody_asked_for_may_be_anything(tmp_path: Path) -> None:
    text, label = pyarrow.array(["a", "b"]), pyarrow.array(["x", "y"])
    odd = pyarrow.array([[("k", "v")], []], type=pyarrow.map_(pyarrow.string(), pyarrow.string()))
    table = pyarrow.Table.from_arrays([text, odd, label, text, text], names=["text", "odd", "label", "o", "o"])
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    assert train(tmp_path, "classification", "a.parquet") == [("a", "x"), ("b", "y")]
    pyarrow.parquet.write_table(table.rename_columns(["text", "odd", "label", "o", "text"]), tmp_path / "a.parquet")
    assert refusal(tmp_path, a_set("classification", "a.parquet")).endswith("column 'text' is in the header twice")
    pyarrow.parquet.write_table(table[:0], tmp_path / "a.parquet")
    assert refusal(tmp_path, a_set("classification", "a.parquet")).startswith("a.parquet: no examples")
