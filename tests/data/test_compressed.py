"""Compressed files: every compression reads as the same text, to its end; decompression bombs are refused."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pytest

from tests.data.forms import a_set, loaded, refusal, train

LINES = "".join(f"number {i} is {i * 7919 % 1013}\n" for i in range(5000))  # packs as text does


def zst(content: bytes) -> bytes:
    sink = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def zipped(content: bytes, **more: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, some in {"b.txt": content, "__MACOSX/._b.txt": b"\0\0", **more}.items():
            archive.writestr(name, some)
    return sink.getvalue()


PACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zst,
    ".zip": zipped,
}


@pytest.mark.parametrize("ending", PACK)
def test_a_packed_text_is_what_was_packed(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"a.txt{ending}").write_bytes(PACK[ending](LINES.encode()))
    assert train(tmp_path, "text", f"a.txt{ending}") == [(LINES,)]
    assert len(train(tmp_path, "text", f"a.txt{ending}", lines=True)) == 5000


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz", ".zst"])
def test_several_packed_streams_in_one_file_are_read_to_the_end(tmp_path: Path, ending: str) -> None:
    half = LINES[: len(LINES) // 2], LINES[len(LINES) // 2 :]
    (tmp_path / f"a.txt{ending}").write_bytes(b"".join(PACK[ending](part.encode()) for part in half))
    assert train(tmp_path, "text", f"a.txt{ending}") == [(LINES,)]


@pytest.mark.parametrize("ending", PACK)
def test_half_of_a_packed_file_and_what_is_none_are_refused(tmp_path: Path, ending: str) -> None:
    packed = PACK[ending](LINES.encode())
    for content in (packed[: len(packed) // 2], b"not packed at all"):
        (tmp_path / f"a.txt{ending}").write_bytes(content)
        assert f"a.txt{ending}: not a whole {ending} file" in refusal(tmp_path, a_set("text", f"a.txt{ending}"))


@pytest.mark.parametrize("ending", PACK)
@pytest.mark.parametrize("name", ["a.txt", "a.csv"])
def test_a_bomb_is_refused_before_it_is_read(tmp_path: Path, ending: str, name: str) -> None:
    (tmp_path / f"{name}{ending}").write_bytes(PACK[ending](b"text\n" * 5_000_000))
    assert "unpacks to more than 200 times its size" in refusal(tmp_path, a_set("text", f"{name}{ending}"))


def test_the_texts_of_a_zip_are_documents_in_the_order_of_their_names(tmp_path: Path) -> None:
    (tmp_path / "all.zip").write_bytes(zipped(b"second\n", **{"c.txt": b"third\n", "a.txt": b"first\n"}))
    assert train(tmp_path, "text", "all.zip") == [("first\n",), ("second\n",), ("third\n",)]


def test_a_zip_of_one_table_is_read_and_one_of_several_is_refused(tmp_path: Path) -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("inner/mails.csv", "text,label\na,x\nb,y\n")
    (tmp_path / "mails.zip").write_bytes(sink.getvalue())
    assert train(tmp_path, "classification", "mails.zip") == [("a", "x"), ("b", "y")]
    with zipfile.ZipFile(tmp_path / "mails.zip", "a") as archive:
        archive.writestr("more.csv", "text,label\nc,x\n")
    assert "mails.zip: 2 tables in one .zip" in refusal(tmp_path, a_set("classification", "mails.zip"))


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    content = bytearray(zipped(b"secret\n"))
    for place in range(len(content) - 10):
        if content[place : place + 4] == b"PK\3\4":
            content[place + 6] |= 1
        if content[place : place + 4] == b"PK\1\2":
            content[place + 8] |= 1
    (tmp_path / "a.zip").write_bytes(content)
    assert "a.zip: it is encrypted" in refusal(tmp_path, a_set("text", "a.zip"))


def test_an_xz_that_wants_a_huge_dictionary_is_refused(tmp_path: Path) -> None:
    packer = lzma.LZMACompressor(filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}])
    content = bytearray(packer.compress(LINES.encode()) + packer.flush())
    at = content.index(b"\x21\x01") + 2  # LZMA2's id, the size of its properties, the dictionary's size
    content[at] = 36  # 1 GiB; the header's checksum follows
    size = (content[12] + 1) * 4
    content[12 + size - 4 : 12 + size] = zlib.crc32(content[12 : 12 + size - 4]).to_bytes(4, "little")
    (tmp_path / "a.txt.xz").write_bytes(content)
    assert "not a whole .xz file (Memory usage limit exceeded)" in refusal(tmp_path, a_set("text", "a.txt.xz"))


def test_a_packed_table_and_packed_aligned_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.tsv.xz").write_bytes(lzma.compress("text\tlabel\né\tx\nb\ty\n".encode()))
    assert train(tmp_path, "classification", "a.tsv.xz") == [("é", "x"), ("b", "y")]
    (tmp_path / "train.de.gz").write_bytes(gzip.compress(b"eins\nzwei\n"))
    (tmp_path / "train.en.bz2").write_bytes(bz2.compress(b"one\ntwo\n"))
    pair = {"source": "train.de.gz", "target": "train.en.bz2"}
    assert train(tmp_path, "translation", pair) == [("eins", "one"), ("zwei", "two")]
    assert loaded(tmp_path, a_set("translation", pair)).notes == []


def test_a_zip_of_other_files_is_refused_with_what_is_in_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("data/readme.md", "about")
        archive.writestr("data/a.csv", "text,label\na,x\n")
    said = refusal(tmp_path, a_set("classification", "a.zip"))
    assert said.startswith(
        "a.zip: files of no or several formats in it (a.csv, readme.md), one is expected: .txt, .jsonl"
    )


def test_a_small_file_may_pack_to_any_share(tmp_path: Path) -> None:
    content = "text\n" * 200_000
    packed = gzip.compress(content.encode())
    assert len(packed) * 200 < len(content)
    (tmp_path / "a.txt.gz").write_bytes(packed)
    assert train(tmp_path, "text", "a.txt.gz") == [(content,)]


def test_members_of_a_zip_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    content = zipped(random.Random(0).randbytes(1000).hex().encode(), **{"c.txt": b"x"})
    at = content.index(b"PK\1\2", content.index(b"c.txt"))
    first = content[at : content.index(b"PK\1\2", at + 4)]  # the directory's entry of b.txt
    end = bytearray(content[content.index(b"PK\5\6") :])
    directory = b"".join(first.replace(b"b.txt", name) for name in (b"b.txt", b"d.txt", b"e.txt"))
    end[8:12] = (3).to_bytes(2, "little") * 2
    end[12:16] = len(directory).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(content[:at] + directory + bytes(end))
    assert "a.zip: its members overlap" in refusal(tmp_path, a_set("text", "a.zip"))


def test_hidden_members_in_folders_are_left_out(tmp_path: Path) -> None:
    hidden = {"inner/.hidden.txt": b"no\n", "inner/__MACOSX/._b.txt": b"\0", "inner/.git/c.txt": b"no\n"}
    (tmp_path / "all.zip").write_bytes(zipped(b"yes\n", **hidden))
    assert train(tmp_path, "text", "all.zip") == [("yes\n",)]
