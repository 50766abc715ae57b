"""Rows of csv and tsv files: headers, delimiters, quotes; compared with pandas and csv."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pandas
import pytest

from hpsearch.tasks import ClassificationSet
from tests.data.forms import a_set, loaded, refusal, train

TRICKY = [
    'say "hi"',
    "a\ttab",
    "two\nlines",
    "plain",
    '"',
    "semi;colon",
    ' "quoted" ',
    "comma, too",
    "back\\slash",
    "NA",
]
FRAME = pandas.DataFrame({"id": range(len(TRICKY)), "text": TRICKY, "label": ["x", "y"] * 5})
ROWS = list(zip(TRICKY, FRAME["label"], strict=True))


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
@pytest.mark.parametrize(("name", "separator"), [("a.tsv", "\t"), ("a.csv", ","), ("a.csv", ";"), ("a.txt", "|")])
def test_what_pandas_writes_is_read_as_it_was(tmp_path: Path, name: str, separator: str, quoting: Any) -> None:
    FRAME.to_csv(tmp_path / name, sep=separator, quoting=quoting, index=False)
    delimiter = {} if name == "a.tsv" or separator == "," else {"delimiter": separator}
    assert train(tmp_path, "classification", name, **delimiter) == ROWS
    FRAME.to_csv(tmp_path / name, sep=separator, quoting=quoting, index=False, header=False)
    columns = ["id", "text", "label"]
    assert train(tmp_path, "classification", name, **delimiter, columns=columns) == ROWS


NOT_QUOTED = {
    "whole sentences in quotes": ['"Yes!"', '"No."', "Perhaps"],
    "a word in quotes": ['"Yes", he said', '"No."', "x"],
    "a stray quote that meets another": ['"open', "inner one", "inner two", 'closed "', "rest"],
    "a stray quote that meets another two lines on": ['"open', "inner", 'closed "', "rest"],
    "a stray quote alone": ["x", '"open', "y"],
}


@pytest.mark.parametrize("texts", NOT_QUOTED.values(), ids=NOT_QUOTED)
def test_quotes_of_a_tsv_that_is_not_quoted_are_characters(tmp_path: Path, texts: list[str]) -> None:
    rows = [(text, "xy"[i % 2]) for i, text in enumerate(texts)]
    (tmp_path / "a.tsv").write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows))
    splits = loaded(tmp_path, a_set("classification", "a.tsv"))
    assert [tuple(example.values()) for example in splits.train] == rows
    assert splits.warnings == []


def test_a_tsv_that_is_quoted_in_part_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text('text\tlabel\n"he said ""no"""\tx\n"Yes", I said\ty\n')
    splits = loaded(tmp_path, a_set("classification", "a.tsv"))
    assert [e["text"] for e in splits.train] == ['"he said ""no"""', '"Yes", I said']
    assert "a.tsv:2: a field in quotes that were doubled, but line 3 is not quoted like it" in splits.warnings[0]
    assert "a.tsv:3: wrong csv quoting" in refusal(tmp_path, a_set("classification", "a.tsv", quoting="csv"))
    assert loaded(tmp_path, a_set("classification", "a.tsv", quoting="none")).warnings == []


def test_a_stray_quote_of_a_csv_that_swallows_rows_is_told(tmp_path: Path) -> None:
    rows = "".join(f"text {i},{'xy'[i % 2]}\n" for i in range(30))
    (tmp_path / "a.csv").write_text(f'text,label\nfirst,x\n"stray,y\n{rows}last",x\nmore,y\n')
    splits = loaded(tmp_path, a_set("classification", "a.csv"))
    assert len(splits.train) == 3
    assert "a.csv:3: a quoted field spans 32 lines that look like rows of their own" in splits.warnings[0]
    assert len(train(tmp_path, "classification", "a.csv", quoting="none")) == 34
    (tmp_path / "b.csv").write_text('text,label\n"a letter, say\nof some lines\nand an end",x\nmore,y\n')
    assert loaded(tmp_path, a_set("classification", "b.csv")).warnings == []


@pytest.mark.parametrize("skip", [False, True])
def test_a_quote_that_is_never_closed_is_refused_where_it_opens(tmp_path: Path, skip: bool) -> None:
    (tmp_path / "a.csv").write_text('text,label\na,x\n"open,y\n' + "b,x\n" * 9)
    said = refusal(tmp_path, a_set("classification", "a.csv", skip_bad_rows=skip))
    assert said.startswith("a.csv:3: the quote that opens in this row is never closed; quoting: none reads quotes as")
    assert "python:module:function" in said


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_empty_and_repeated_names_matter_only_where_they_are_wanted(tmp_path: Path, name: str) -> None:
    rows = "v1,v2,,,v3,v3\nspam,win,,,1,2\nham,hello,more,,3,4\n"
    (tmp_path / name).write_text(rows if name == "a.csv" else rows.replace(",", "\t"))
    assert train(tmp_path, "classification", name, label="v1", text="v2") == [("win", "spam"), ("hello", "ham")]
    said = refusal(tmp_path, a_set("classification", name, label="v1", text="v3"))
    assert said == f"{name}:1: column 'v3' is in the header twice"


def test_a_file_without_a_header_takes_names_and_an_equal_first_row_is_a_header(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("x\tone\ny\ttwo\n")
    (tmp_path / "b.tsv").write_text("label\ttext\nx\tthree\n")
    columns = ["label", "text"]
    rows = [("one", "x"), ("two", "y"), ("three", "x")]
    assert train(tmp_path, "classification", ["a.tsv", "b.tsv"], columns=columns) == rows
    said = refusal(tmp_path, a_set("classification", "a.tsv"))
    assert said == (
        "a.tsv: no column 'text' for text, there are: x, one; if that is a row and no header: columns: [A, B]"
    )
    said = refusal(tmp_path, a_set("classification", "a.tsv", columns=["label", "text", "more"]))
    assert said == "a.tsv:1: 2 fields, `columns` has 3 (label, text, more)"
    (tmp_path / "c.tsv").write_text("x\tthe only row\n")
    assert train(tmp_path, "text", "c.tsv", columns=columns) == [("the only row",)]


@pytest.mark.parametrize(("separator", "written"), [(";", "';'"), ("|", "'|'"), ("\t", '"\\t"')])
def test_another_delimiter_is_named_where_a_column_is_missing(tmp_path: Path, separator: str, written: str) -> None:
    (tmp_path / "a.csv").write_text(f"text{separator}label\na{separator}x\nb{separator}y\n")
    said = refusal(tmp_path, a_set("classification", "a.csv"))
    assert said.endswith(f"; if {written} stands between the columns: delimiter: {written}")
    assert train(tmp_path, "classification", "a.csv", delimiter=separator) == [("a", "x"), ("b", "y")]


def test_a_table_of_any_ending_is_read_with_its_delimiter(tmp_path: Path) -> None:
    (tmp_path / "SMSSpamCollection").write_text('ham\tGo "until\nspam\tFree entry\n')
    given = {"columns": ["label", "text"], "delimiter": "\\t"}
    assert train(tmp_path, "classification", "SMSSpamCollection", **given) == [
        ('Go "until', "ham"),
        ("Free entry", "spam"),
    ]


@pytest.mark.parametrize("delimiter", [";;", "", '"', "\n"])
def test_a_delimiter_is_one_character(delimiter: str) -> None:
    with pytest.raises(ValueError, match="must be one character"):
        ClassificationSet.model_validate({"task": "classification", "files": "a.csv", "delimiter": delimiter})


# --------------------------------------------------------------------------------------------------------- skipped rows

BAD = {
    "a.csv": 'text,label\na,x\nb\n"c" d,x\n,y\ne,\nf,y\ng,x\nh,y\ni,x\n',
    "a.tsv": "text\tlabel\na\tx\nb\nc\tx\td\n \ty\ne\t\nf\ty\ng\tx\nh\ty\ni\tx\n",
    "a.jsonl": '{"text": "a", "label": "x"}\n{"text": \n["c"]\n{"text": null, "label": "y"}\n{"label": "x"}\n'
    + "".join(f'{{"text": "{t}", "label": "{label}"}}\n' for t, label in ("fy", "gx", "hy", "ix")),
}


@pytest.mark.parametrize("name", BAD)
def test_rows_that_cannot_be_read_are_skipped_and_told_where_that_is_wished(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(BAD[name])
    (tmp_path / "v.tsv").write_text("text\tlabel\na\tx\nb\ty\n")
    files = {"train": name, "valid": "v.tsv"}
    given = a_set("classification", files=files, split={"test": 0}, skip_bad_rows=True)
    splits = loaded(tmp_path, given)
    assert [tuple(e.values()) for e in splits.train] == [("a", "x"), ("f", "y"), ("g", "x"), ("h", "y"), ("i", "x")]
    (warning,) = splits.warnings
    first = 3 if name != "a.jsonl" else 2
    assert warning.startswith("data.mine: 4 of 11 rows skipped: ")
    assert all(f"{name}:{first + i}: " in warning for i in range(3))
    assert warning.endswith("; ...")
    assert f"{name}:{first}: " in refusal(tmp_path, a_set("classification", files=files, split={"test": 0}))


def test_more_bad_rows_than_good_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("text\tlabel\na\tx\nb\ty\n" + "c\n" * 3)
    said = refusal(tmp_path, a_set("classification", "a.tsv", skip_bad_rows=True))
    assert (
        "6 of 10 rows cannot be read, more than skip_bad_rows skips (half of them): a.tsv:4: 1 fields"
        in said.replace(f"{tmp_path}/", "")
    )


def test_a_line_in_another_encoding_is_skipped_too(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes(b"text\tlabel\na\tx\ncaf\xe9\ty\nb\ty\n")
    splits = loaded(tmp_path, a_set("classification", "a.tsv", skip_bad_rows=True))
    assert [e["text"] for e in splits.train] == ["a", "b"]
    assert "a.tsv:3: byte 4 of the line is not UTF-8" in splits.warnings[0]


def test_a_second_row_that_csv_cannot_read_has_the_delimiter_of_the_header_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b'\xef\xbb\xbftext;label\r\n"a;\r\nb";x\r\n"c";y\r\n')
    said = refusal(tmp_path, a_set("classification", "a.csv"))
    assert said.startswith("a.csv:2: wrong csv quoting or line end")
    assert said.endswith("; if ';' stands between the columns: delimiter: ';'")
    assert train(tmp_path, "classification", "a.csv", delimiter=";") == [("a;\r\nb", "x"), ("c", "y")]


def test_a_field_that_goes_over_one_line_end_swallows_no_row(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('text,label\n"two\nlines",x\nmore,y\n')
    splits = loaded(tmp_path, a_set("classification", "a.csv"))
    assert ([e["text"] for e in splits.train], splits.warnings) == (["two\nlines", "more"], [])


@pytest.mark.parametrize(("lines", "told"), [(10, False), (11, True)])
def test_a_long_field_of_a_file_with_one_column_is_told(tmp_path: Path, lines: int, told: bool) -> None:
    inner = "\n".join(f"line {i}" for i in range(lines))
    (tmp_path / "a.csv").write_text(f'text\n"{inner}"\nmore\n')
    splits = loaded(tmp_path, a_set("text", "a.csv"))
    assert [e["text"] for e in splits.train] == [inner, "more"]
    assert [f"spans {lines} lines" in line for line in splits.warnings if "a.csv:2" in line] == [True] * told


def test_a_tsv_with_a_header_in_quotes_is_quoted(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text('"text"\t"label"\n"plain"\t"x"\n"words"\t"y"\n')
    assert train(tmp_path, "classification", "a.tsv") == [("plain", "x"), ("words", "y")]
