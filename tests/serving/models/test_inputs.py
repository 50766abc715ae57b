"""The texts to predict, as they are read: one for each line, or each row."""

import json

import pytest

from hpsearch.data.read_report import ReadReport
from hpsearch.errors import DataError
from hpsearch.serving.models.inputs import texts_in, texts_of

TEXTS = ["a cat", "天气很好", "", "café 🙂", "  spaces  "]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_text_file_has_a_text_for_each_line(tmp_path, end, encoding):
    (tmp_path / "a.txt").write_bytes(end.join([*TEXTS, ""]).encode(encoding))
    assert list(texts_of(tmp_path / "a.txt", "text")) == TEXTS


def test_a_file_of_another_ending_is_text(tmp_path):
    (tmp_path / "notes.log").write_text("a\nb")
    assert list(texts_of(tmp_path / "notes.log", "text")) == ["a", "b"]


def test_a_table_has_a_text_for_each_row(tmp_path):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"id": [1, 2], "body": ["天气, 好", 'say "a"\nb']})
    table.to_csv(tmp_path / "a.csv", index=False, lineterminator="\r\n")
    table.to_parquet(tmp_path / "a.parquet")
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(row) for row in table.to_dict("records")))
    for name in ("a.csv", "a.parquet", "a.jsonl"):
        assert list(texts_of(tmp_path / name, "body")) == list(table["body"])


BAD = [
    ("a.jsonl", '{"text": "a"}\nnot json\n', r"a.jsonl:2: not JSON \("),
    ("a.jsonl", '{"text": "a"}\n{"body": "b"}\n', r"a.jsonl:2: no column 'text' for text, there are: body"),
    ("a.jsonl", '{"text": 3}\n', r"a.jsonl:1: the text is a number \(3\), text is expected"),
    ("a.csv", "body,id\na,1\n", r"a.csv: no column 'text' for text, there are: body, id"),
    ("a.csv", "text,id\na,1\nb\n", r"a.csv:3: 1 fields, the header has 2"),
    ("a.txt", "", r"a.txt: the file is empty"),
    ("a.txt", "天气很好\n".encode() * 4 + b"\xff\n", r"a.txt:5: byte 1 of the line is not UTF-8"),
]


@pytest.mark.parametrize(("name", "content", "said"), BAD, ids=[said for *_, said in BAD])
def test_what_cannot_be_read_is_one_line_with_its_place(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=said) as caught:
        list(texts_of(tmp_path / name, "text"))
    assert "\n" not in str(caught.value)


FORM = {"task": "classification", "label": "y", "delimiter": ";", "encoding": "cp1252", "skip_bad_rows": True}


@pytest.mark.parametrize(
    ("encoding", "delimiter"), [("cp1252", ";"), ("cp1252", ","), ("utf-8", ";"), ("utf-16", ","), ("utf-8", "\t")]
)
@pytest.mark.parametrize("trained", [FORM, {}])
def test_a_table_is_read_as_the_training_was_or_as_it_is_itself(tmp_path, encoding, delimiter, trained):
    table = [["id", "body"], ["1", "café für 3 £"], ["2", "plain"]]
    (tmp_path / "a.csv").write_bytes("".join(f"{delimiter.join(row)}\r\n" for row in table).encode(encoding))
    assert list(texts_of(tmp_path / "a.csv", "body", trained=trained)) == ["café für 3 £", "plain"]


def test_a_table_without_a_header_is_read_by_the_columns_of_the_training(tmp_path):
    (tmp_path / "a.txt").write_text("red\tx\nsun\ty\n")
    trained = {"columns": ["body", "y"], "delimiter": "\t"}
    assert list(texts_of(tmp_path / "a.txt", "body", trained=trained)) == ["red", "sun"]
    assert list(texts_of(tmp_path / "a.txt", "body")) == ["red\tx", "sun\ty"]  # a text a line


def test_rows_that_the_training_would_have_skipped_are_skipped_and_counted(tmp_path):
    (tmp_path / "a.csv").write_text("id;body\n1;red\n2;\n3;sun\n")
    report = ReadReport()
    assert list(texts_of(tmp_path / "a.csv", "body", trained=FORM, report=report)) == ["red", "sun"]
    assert report.skipped == 1
    assert "a.csv:3" in report.first_errors[0]
    with pytest.raises(DataError, match=r"a\.csv:3"):
        list(texts_of(tmp_path / "a.csv", "body"))


def test_no_message_names_a_key_of_a_space_file(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"body\n" + "天气\n".encode() * 90 + b"\xff\n")  # UTF-8 with damage
    with pytest.raises(DataError, match=r"a\.csv:92: byte 1 of the line is not UTF-8") as caught:
        list(texts_of(tmp_path / "a.csv", "body"))
    assert "encoding:" not in str(caught.value)


def test_a_file_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(DataError, match=r"none.txt: no such file"):
        texts_of(tmp_path / "none.txt", "text")


def test_a_stream_has_a_text_for_each_line_as_it_comes():
    assert list(texts_in("\r\n".join([*TEXTS, ""]).encode("utf-8-sig").splitlines(keepends=True), None)) == TEXTS
    lines = [json.dumps({"body": text, "n": 1}).encode() + b"\n" for text in ("a", "天气")]
    assert list(texts_in(lines, "body")) == ["a", "天气"]
    endless = iter(int, 1)
    assert next(texts_in((b"a\n" for _ in endless), None)) == "a"


@pytest.mark.parametrize(
    ("lines", "column", "said"),
    [
        ([b"a\n", b"\xff\n"], None, r"^standard input:2: byte 1 of the line is not UTF-8"),
        ([], None, r"^standard input: is empty; a text a line is expected"),
        ([b"a\n"], "text", r"^standard input:1: with a column, a JSON object a line is expected"),
        ([b"[1]\n"], "text", r"^standard input:1: with a column, a JSON object a line is expected"),
        ([b'{"a": "b"}\n'], "text", r"^standard input:1: no column 'text' for text, there are: a"),
    ],
)
def test_a_stream_that_cannot_be_read_is_one_line(lines, column, said):
    with pytest.raises(DataError, match=said):
        list(texts_in(lines, column))
