"""The texts to predict: lines of a text file or of standard input, a column of a table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from hpsearch.data import columns, file_formats, rows, text_encoding
from hpsearch.data.read_report import ReadReport
from hpsearch.data.reader import Reader
from hpsearch.data.splits import Example, first_text
from hpsearch.data.targets import Targets
from hpsearch.errors import DataError
from hpsearch.tasks import TextSet

STDIN = "standard input"


def texts_of(path: Path, column: str) -> Iterator[str]:
    """Yields the lines of a text file without their ends, or the column of a jsonl, csv, tsv or parquet file.

    A blank line of a text file is a text, too: there is one for each line. Raises DataError, with file and line, for
    what cannot be read, an unknown column and an empty file.
    """
    file_formats.check_regular(path)
    if file_formats.known_format(path) in (None, "txt"):
        return (line.rstrip("\r\n") for _, line in text_encoding.lines(file_formats.table_part(path)))
    return (first_text(example) for example in _examples(path, column))


def _examples(path: Path, column: str) -> Iterable[Example]:
    data_set = TextSet(task="text", text=column, files={"train": str(path)})
    layout, report = rows.Layout.of(data_set), ReadReport()
    reader = Reader("text", data_set, report)
    if (kind := file_formats.format_of(path)) != "jsonl":  # a record of a jsonl may have other keys than the first
        reader.check(path, "train")
    if kind == "parquet":
        return reader.examples({"train": [path]})["train"]
    targets = Targets(data_set, "train")
    return (columns.example(where, record, data_set, targets) for where, record in rows.records(path, layout, report))


def texts_in(lines: Iterable[bytes], column: str | None) -> Iterator[str]:
    """Yields a text for each line of a stream as it comes; column: the lines are JSON objects, with the text there.

    Raises DataError for a line that is not UTF-8, or not such an object, and for an empty stream.
    """
    number = 0
    for number, raw in enumerate(lines, start=1):
        where = f"{STDIN}:{number}"
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise DataError(f"{where}: byte {error.start + 1} of the line is not UTF-8") from None
        if column is None:
            yield line
        elif line.strip():
            yield _in_object(where, line, column)
    if not number:
        raise DataError(f"{STDIN}: is empty; a text a line is expected")


def _in_object(where: str, line: str, column: str) -> str:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        raise DataError(f"{where}: with a column, a JSON object a line is expected")
    data_set = TextSet(task="text", text=column, files={"train": STDIN})
    return first_text(columns.example(where, record, data_set, Targets(data_set, "train")))
