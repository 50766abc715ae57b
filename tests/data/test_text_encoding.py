"""Encodings: detected where possible, else refused with the line and the key that sets them."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from hpsearch.data import text_encoding
from hpsearch.data.compressed import Part
from hpsearch.data.text_encoding import blocks, lines
from hpsearch.errors import DataError
from hpsearch.tasks import ClassificationSet
from tests.data.forms import a_set, refusal, train

TABLE = "text\tlabel\ncafé £5\tx\n日本 Ωμέγα\ty\n"
ROWS = [("café £5", "x"), ("日本 Ωμέγα", "y")]
SEEN = {
    "UTF-8 with a mark": (codecs.BOM_UTF8, "utf-8"),
    "UTF-16": (codecs.BOM_UTF16_LE, "utf-16-le"),
    "UTF-16, big endian": (codecs.BOM_UTF16_BE, "utf-16-be"),
    "UTF-16 without a mark": (b"", "utf-16-le"),
    "UTF-16, big endian, without a mark": (b"", "utf-16-be"),
    "UTF-32": (codecs.BOM_UTF32_LE, "utf-32-le"),
}


@pytest.mark.parametrize(("mark", "codec"), SEEN.values(), ids=SEEN)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_an_encoding_that_is_certain_is_seen(tmp_path: Path, mark: bytes, codec: str, end: str) -> None:
    (tmp_path / "a.tsv").write_bytes(mark + TABLE.replace("\n", end).encode(codec))
    assert train(tmp_path, "classification", "a.tsv") == ROWS


@pytest.mark.parametrize("name", ["cp1252", "latin-1", "cp1251", "gb18030", "shift_jis", "utf-16-le", "UTF8"])
def test_an_encoding_that_is_named_is_read(tmp_path: Path, name: str) -> None:
    text = {"cp1251": "кот", "gb18030": "大家好", "shift_jis": "ソース表", "utf-16-le": "大家"}.get(name, "café \xa3")
    (tmp_path / "a.csv").write_bytes(f'v1,v2,,,\r\nspam,"{text}, {text}",,,\r\nham,{text},,,\r\n'.encode(name))
    rows = train(tmp_path, "classification", "a.csv", label="v1", text="v2", encoding=name)
    assert rows == [(f"{text}, {text}", "spam"), (text, "ham")]


def test_a_byte_that_is_not_utf_8_is_named_with_how_it_reads_in_cp1252(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("text,label\nplain,x\ncall \xa31000 now,y\n".encode("cp1252"))
    assert refusal(tmp_path, a_set("classification", "a.csv")) == (
        "a.csv:3: byte 6 of the line is not UTF-8; in cp1252 it reads 'call £1000 now,y': "
        "if that is right, give encoding: cp1252"
    )
    (tmp_path / "a.csv").write_bytes(b"text,label\nplain,x\n\x83\x81,y\n")
    assert "a.csv:3: byte 1 of the line is not UTF-8; give its encoding: " in refusal(
        tmp_path, a_set("classification", "a.csv")
    )


def test_a_mark_against_the_named_encoding_and_names_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(codecs.BOM_UTF8 + b"text,label\na,x\nb,y\n")
    said = refusal(tmp_path, a_set("classification", "a.csv", encoding="cp1252"))
    assert said == "a.csv:1: it begins with the byte order mark of utf-8, which is not cp1252"
    assert train(tmp_path, "classification", "a.csv", encoding="utf-8") == [("a", "x"), ("b", "y")]
    for name in ("klingon", "base64", "rot13", ""):
        with pytest.raises(ValueError, match="is not an encoding that Python knows"):
            ClassificationSet.model_validate({"task": "classification", "files": "a.csv", "encoding": name})


def test_bytes_with_a_few_nuls_are_not_taken_for_utf_16(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\0" + b"some words " * 40)
    assert refusal(tmp_path, a_set("text", "a.txt")).startswith(
        "a.txt:1: a NUL byte, UTF-8 text is expected; other content"
    )


@pytest.mark.parametrize("name", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark_that_its_letters_do_not_show_is_named(tmp_path: Path, name: str) -> None:
    rows = "text\tlabel\n" + "".join(f"\u3053\u308c\u306f\u826f\u3044\u672c\u3067\u3059{i}\t\u826f\n" for i in range(9))
    (tmp_path / "a.tsv").write_bytes(rows.encode(name))
    said = refusal(tmp_path, a_set("classification", "a.tsv"))
    assert f"if it is UTF-16 without a byte order mark: encoding: {name}; " in said
    assert train(tmp_path, "classification", "a.tsv", encoding=name, label="text")[0][0].endswith("0")


def test_utf_32_without_a_mark_is_not_taken_for_utf_16(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("some words\n".encode("utf-32-le"))
    assert refusal(tmp_path, a_set("text", "a.txt")).startswith("a.txt:1: a NUL byte, UTF-8 text is expected")


def test_only_the_mark_at_the_beginning_is_one(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(codecs.BOM_UTF8 + b"one\n" + codecs.BOM_UTF8 + b"two\n")
    assert list(lines(Part(tmp_path / "a.txt"))) == [(1, "one\n"), (2, "\ufefftwo\n")]


@pytest.mark.parametrize("codec", ["utf-8", "utf-16"])
def test_a_line_of_the_most_bytes_is_read_and_a_longer_one_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str
) -> None:
    monkeypatch.setattr(text_encoding, "MAX_LINE", 16)
    (tmp_path / "a.txt").write_bytes(("w" * 15 + "\n").encode(codec))
    assert list(lines(Part(tmp_path / "a.txt"))) == [(1, "w" * 15 + "\n")]
    (tmp_path / "a.txt").write_bytes(("x\n" + "w" * 16 + "\n").encode(codec))
    with pytest.raises(DataError, match=r"a\.txt:2: a line of more than"):
        list(lines(Part(tmp_path / "a.txt")))


def test_a_letter_that_is_cut_at_the_end_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("café".encode()[:-1])
    with pytest.raises(DataError, match=r"a\.txt: not utf-8 "):
        list(blocks(Part(tmp_path / "a.txt")))


def test_the_line_of_half_a_utf_16_letter_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(codecs.BOM_UTF16_LE + "one\n".encode("utf-16-le") + b"\x00\xd8a\x00")
    with pytest.raises(DataError, match=r"a\.txt:1: not utf-16 from here on, or soon after"):
        list(lines(Part(tmp_path / "a.txt")))


@pytest.mark.parametrize("name", ["utf-16", "utf-16-le"])
def test_a_mark_of_the_named_encoding_is_left_out(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.txt").write_bytes(codecs.BOM_UTF16_LE + "one\n".encode("utf-16-le"))
    assert list(lines(Part(tmp_path / "a.txt"), name)) == [(1, "one\n")]
