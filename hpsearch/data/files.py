"""Strict reading of data files: a wrong byte is refused with its file and line, never guessed at.

Text formats are read here and not by the `datasets` library: its readers rewrite line ends, turn "NA" into nothing and
ISO dates into timestamps, and cannot say which line is wrong.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import io
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from hpsearch.errors import DataError

Record = dict[str, Any]

FORMATS = {".txt": "txt", ".jsonl": "jsonl", ".json": "jsonl", ".csv": "csv", ".tsv": "tsv", ".parquet": "parquet"}
PART_OF = {"train": "train", "test": "test"}  # by how a file's name starts; whatever else there is means valid
MAX_LINE = 64 << 20  # bytes; a longer line is a file of another kind, and would have to be held whole
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # what Windows calls Unicode text
MAX_UNPACKED = 16 << 20  # bytes below which a .gz may unpack to any multiple of its size ...
MAX_RATIO = 200  # ... and the multiple above (text packs 3 to 20 times)


def format_of(path: Path) -> str:
    """The format that the file's ending says ("txt", "jsonl", "csv", "tsv", "parquet").

    Raises DataError for an ending that is none of them.
    """
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if suffix not in FORMATS:
        allowed = f"{', '.join(FORMATS)} (all but .parquet also .gz)"
        raise DataError(f"{path}: unknown ending {suffix or path.name!r}, allowed: {allowed}")
    if FORMATS[suffix] == "parquet" and path.suffix == ".gz":
        raise DataError(f"{path}: parquet is packed already, give the file without .gz")
    return FORMATS[suffix]


def check_regular(path: Path) -> None:
    """Raises DataError unless the path is a regular file that is not empty."""
    with _readable(path):
        kinds = {
            "is a folder": path.is_dir(),
            "is not a regular file": path.exists(),
            "is a link to nothing or to itself": path.is_symlink(),
            "there is no such file": True,
        }
        if not path.is_file():
            what = next(kind for kind, holds in kinds.items() if holds)
            raise DataError(f"{path}: {what}, a data file is wanted")
        if path.stat().st_size == 0:
            raise DataError(f"{path}: the file is empty")


def check_beginning(path: Path) -> None:
    """Raises DataError for a first line that is too long or no text: what can be known before all of it is read."""
    check_regular(path)
    with _readable(path), _opened(path) as stream:
        _decoded(stream.readline(MAX_LINE + 1), f"{path}:1", first=True)


def digest(path: Path) -> str:
    """The SHA-256 (hex) of the file's bytes as they lie."""
    check_regular(path)
    with _readable(path), path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def document(path: Path) -> str:
    """The whole file as one text, line ends kept; a byte order mark is no part of the text."""
    content = io.StringIO(newline="")  # a tenth of the memory of a list of short lines
    for _, line in _lines(path):
        content.write(line)
    text = content.getvalue()
    if not text.strip():
        raise DataError(f"{path}: the file holds no text")
    return text


def in_folder(folder: Path) -> dict[str, list[Path]]:
    """{"train" | "valid" | "test": data files} of a folder, by how their names start (dev and val are valid too)."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        start = re.match(r"(train|valid(?:ation)?|val|dev|test)(?![a-z])", path.name.lower())
        if start and path.is_file() and Path(path.name.removesuffix(".gz")).suffix.lower() in FORMATS:
            found.setdefault(PART_OF.get(start[1], "valid"), []).append(path)
    return found


def paragraphs(path: Path) -> list[str]:
    """The runs of lines between blank lines."""
    blank = r"(?:\r?\n[^\S\n]*)(?:\r?\n[^\S\n]*)+"
    return [part.strip("\r\n") for part in re.split(blank, document(path)) if part.strip()]


def records(path: Path) -> Iterator[tuple[str, Record]]:
    """(where, {column: value}) of every row of a jsonl, csv or tsv file; `where` is "file:line".

    Raises DataError for a row with more or fewer fields than the header, wrong quoting, or what is no JSON object.
    """
    return {"jsonl": _json_records, "csv": _csv_records, "tsv": _tsv_records}[format_of(path)](path)


def columns(path: Path) -> list[str]:
    """The columns of a table file (jsonl: those of its first record), read from its beginning."""
    if format_of(path) == "parquet":
        return _parquet_columns(path)
    for _, record in records(path):
        return list(record)
    raise DataError(f"{path}: no examples (a header alone, or blank lines)")


# ---------------------------------------------------------------------------------------------------------------- rows


def _json_records(path: Path) -> Iterator[tuple[str, Record]]:
    for number, line in _lines(path):
        if not line.strip():
            continue
        try:
            record = json.loads(line, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            what = "nested too deeply" if isinstance(error, RecursionError) else getattr(error, "msg", str(error))
            raise DataError(f"{path}:{number}: not JSON ({what}), one object a line is wanted") from None
        if not isinstance(record, dict):
            raise DataError(f"{path}:{number}: a JSON {type(record).__name__}, one object a line is wanted")
        yield f"{path}:{number}", record


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON's")


def _csv_records(path: Path) -> Iterator[tuple[str, Record]]:
    """Rows with the standard quoting ("" inside quotes is a quote; a quoted field may span lines)."""
    csv.field_size_limit(MAX_LINE)
    reader = csv.reader((line for _, line in _lines(path)), strict=True)
    header: list[str] = []
    start = 1
    try:
        for row in reader:
            if row and not header:
                header = _checked_header(path, start, row)
            elif row:
                yield f"{path}:{start}", _record(f"{path}:{start}", header, row)
            start = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}:{max(reader.line_num, start)}: wrong csv quoting or line end ({error})") from None


def _tsv_records(path: Path) -> Iterator[tuple[str, Record]]:
    """Rows split at tabs; a quote is a character like any other, as real TSV files have it."""
    header: list[str] = []
    for number, line in _lines(path):
        row = line.rstrip("\n").removesuffix("\r").split("\t")
        if row == [""]:
            continue
        if not header:
            header = _checked_header(path, number, row)
        else:
            yield f"{path}:{number}", _record(f"{path}:{number}", header, row)


def _checked_header(path: Path, number: int, row: list[str]) -> list[str]:
    twice = sorted({column for column in row if row.count(column) > 1})
    if twice:
        raise DataError(f"{path}:{number}: column {twice[0]!r} is in the header twice")
    return row


def _record(where: str, header: list[str], row: list[str]) -> Record:
    if len(row) != len(header):
        raise DataError(f"{where}: {len(row)} fields, the header has {len(header)} ({', '.join(header)})")
    return dict(zip(header, row, strict=True))


def _parquet_columns(path: Path) -> list[str]:
    import pyarrow.parquet  # what `datasets` reads parquet with; alone it is imported in a tenth of the time

    check_regular(path)
    with _readable(path):
        try:
            return list(pyarrow.parquet.read_schema(path).names)
        except pyarrow.ArrowException:
            raise DataError(f"{path}: not a parquet file") from None


# --------------------------------------------------------------------------------------------------------------- bytes


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """(number, line with its end) of a UTF-8 file, one line in memory at a time."""
    check_regular(path)
    if path.suffix == ".gz":
        _check_unpacked(path)
    with _readable(path), _opened(path) as stream:
        for number, raw in enumerate(iter(lambda: stream.readline(MAX_LINE + 1), b""), start=1):
            yield number, _decoded(raw, f"{path}:{number}", first=number == 1)


def _check_unpacked(path: Path) -> None:
    """Raises DataError for a .gz that is cut short or unpacks to what no text does, before its lines are read."""
    limit, unpacked = max(MAX_UNPACKED, MAX_RATIO * path.stat().st_size), 0
    with _readable(path), _opened(path) as stream:
        while block := stream.read(1 << 20):
            unpacked += len(block)
            if unpacked > limit:
                raise DataError(f"{path}: unpacks to more than {MAX_RATIO} times its size, which no text does")


def _decoded(raw: bytes, where: str, *, first: bool) -> str:
    if first and raw.startswith(UTF_16):
        raise DataError(f"{where}: UTF-16, save the file as UTF-8 text")
    if b"\0" in raw:
        raise DataError(f"{where}: a NUL byte, UTF-8 text is wanted")
    if len(raw) > MAX_LINE:
        raise DataError(f"{where}: a line of more than {MAX_LINE >> 20} MiB, break it up")
    try:
        return raw.decode("utf-8-sig" if first else "utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: byte {error.start + 1} of the line is not UTF-8, UTF-8 text is wanted") from None


def _opened(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


class _readable:  # noqa: N801 - reads as a word in `with`
    """Turns the system's refusal to read a file, or a damaged .gz, into a DataError."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, (gzip.BadGzipFile, EOFError, zlib.error)):
            raise DataError(f"{self.path}: not a whole .gz file ({error})") from None
        if isinstance(error, OSError):
            raise DataError(f"{self.path}: cannot be read ({error.strerror or error})") from None
