"""The texts to predict: lines of a text file or of standard input, a column of a table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hpsearch.data import columns, file_formats, rows, text_encoding
from hpsearch.data.read_report import ReadReport
from hpsearch.data.reader import Reader
from hpsearch.data.splits import Example, first_text
from hpsearch.data.targets import Targets
from hpsearch.errors import DataError
from hpsearch.serving.models.file_form import fitted, is_table, without_keys
from hpsearch.tasks import TextSet

FORM = ("encoding", "delimiter", "quoting", "columns", "skip_bad_rows")  # keys of a data set that say how it is read
STDIN = "standard input"


def texts_of(
    path: Path, column: str, *, trained: Mapping[str, Any] | None = None, report: ReadReport | None = None
) -> Iterator[str]:
    """Yields the lines of a text file without their ends, or the column of a jsonl, csv, tsv or parquet file.

    A blank line of a text file is a text, too: there is one for each line. Encoding and delimiter are those of the
    training (`trained`: its data set, as in a space file) if the file is like that, else they are guessed; rows that
    cannot be read are skipped if the training skipped them, and counted in `report`. Raises DataError, with file and
    line, for what cannot be read, an unknown column and an empty file.
    """
    form = {key: value for key, value in (trained or {}).items() if key in FORM and value is not None}
    report = report or ReadReport(skip_bad_rows=bool(form.get("skip_bad_rows")))
    report.skip_bad_rows = bool(form.get("skip_bad_rows"))
    with without_keys():
        data_set = fitted(path, TextSet(task="text", text=column, files={"train": str(path)}, **form))
    texts = _in_table(path, data_set, report) if is_table(path, data_set) else _in_lines(path, data_set.encoding)
    return _without_keys(texts)


def _without_keys(texts: Iterator[str]) -> Iterator[str]:
    with without_keys():
        yield from texts


def _in_lines(path: Path, encoding: str | None) -> Iterator[str]:
    return (line.rstrip("\r\n") for _, line in text_encoding.lines(file_formats.table_part(path), encoding))


def _in_table(path: Path, data_set: TextSet, report: ReadReport) -> Iterator[str]:
    for example in _examples(path, data_set, report):
        yield first_text(example)


def _examples(path: Path, data_set: TextSet, report: ReadReport) -> Iterable[Example]:
    layout = rows.Layout.of(data_set)
    reader = Reader("text", data_set, report)
    kind = file_formats.format_of(path, delimiter=data_set.delimiter)
    if kind != "jsonl":  # a record of a jsonl may have other keys than the first
        reader.check(path, "train")
    if kind == "parquet":
        return reader.examples({"train": [path]})["train"]
    return _read(rows.records(path, layout, report), data_set, report)


def _read(records: Iterable[tuple[str, rows.Record]], data_set: TextSet, report: ReadReport) -> Iterator[Example]:
    """The examples of (where, record) pairs, as they come; `report` refuses or skips a bad record."""
    targets = Targets(data_set, "train")
    for where, record in records:
        try:
            example = columns.example(where, record, data_set, targets)
        except DataError as error:
            report.add_bad_row(error)
        else:
            yield example


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
