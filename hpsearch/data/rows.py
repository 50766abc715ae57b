"""Rows of csv, tsv and json files with their file and line; strict, one row in memory at a time.

The `datasets` library is not used: its readers rewrite line ends, turn "NA" into a missing value and ISO dates into
timestamps, and do not say which line is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from hpsearch.config import DataSet
from hpsearch.data import columns, file_formats, json_rows
from hpsearch.data.compressed import data_errors
from hpsearch.data.quoting import Form, is_quoted, plain_rows, quoted_rows
from hpsearch.data.read_report import ReadReport
from hpsearch.errors import DataError

Record = dict[str, Any]


@dataclass(frozen=True)
class Layout:
    """The form of a set's tables, from its config."""

    encoding: str | None = None
    columns: tuple[str, ...] = ()  # names, if the files have no header
    delimiter: str | None = None
    quoting: str = "auto"

    @classmethod
    def of(cls, data_set: DataSet) -> Layout:
        """The layout of a set's files."""
        return cls(data_set.encoding, tuple(data_set.columns or ()), data_set.delimiter, data_set.quoting)

    def form(self, path: Path) -> Form:
        """How one file separates its fields."""
        kind = file_formats.format_of(path, delimiter=self.delimiter)
        delimiter = self.delimiter or {"csv": ",", "tsv": "\t"}[kind]
        quoting = "csv" if self.quoting == "auto" and delimiter != "\t" else self.quoting
        return Form(file_formats.table_part(path), self.encoding, delimiter, quoting)


def records(path: Path, layout: Layout, report: ReadReport) -> Iterator[tuple[str, Record]]:
    """Yields ("file:line", {column: value}) for every row of a jsonl, json, csv or tsv file.

    Leaves out columns whose name is empty or repeated. Raises DataError for a row with more or fewer fields than the
    header, wrong quoting, or JSON that is no object, unless `report` skips such rows.
    """
    file_formats.check_regular(path)
    if file_formats.format_of(path, delimiter=layout.delimiter) == "jsonl":
        yield from json_rows.records(file_formats.table_part(path), layout.encoding, report)
        return
    rows = _rows(layout.form(path), report)
    first = next(rows, None)
    if first is None:
        return
    header = list(layout.columns) or first[1]
    if first[1] != header:  # the config's `columns` name them, so the first row is data
        rows = chain([first], rows)
    part, whose = file_formats.table_part(path), "`columns`" if layout.columns else "the header"
    named = {name: i for i, name in enumerate(header) if name and header.count(name) == 1}
    for number, row in rows:
        if len(row) == len(header):
            yield f"{part}:{number}", {name: row[i] for name, i in named.items()}
        else:
            what = f"{len(row)} fields, {whose} has {len(header)} ({', '.join(header)})"
            report.add_bad_row(DataError(f"{part}:{number}: {what}"))


def _rows(form: Form, report: ReadReport) -> Iterator[tuple[int, list[str]]]:
    quoted, doubt = is_quoted(form)
    if doubt:
        report.doubts.append(doubt)
    return quoted_rows(form, report) if quoted else plain_rows(form, report)


def quoted(path: Path, layout: Layout) -> bool:
    """Whether a table is read as quoted because its content was detected as quoted."""
    form = layout.form(path) if file_formats.format_of(path, delimiter=layout.delimiter) in ("csv", "tsv") else None
    return form is not None and form.quoting == "auto" and is_quoted(form)[0]


def columns_in(path: Path, layout: Layout) -> list[str]:
    """The columns of a table file, including repeated ones; nested ones as "meta.body".

    Of a jsonl file: those of its first record. Raises DataError if the file has no row.
    """
    file_formats.check_regular(path)
    kind = file_formats.format_of(path, delimiter=layout.delimiter)
    if kind == "parquet":
        return _parquet_columns(path)
    if kind == "jsonl":
        for _, record in json_rows.records(file_formats.table_part(path), layout.encoding, ReadReport()):
            return columns.names_in(record)
    else:
        rows = _rows(layout.form(path), ReadReport())
        first = next(rows, None)
        if first is not None and (layout.columns or _has_second_row(path, layout, rows, first[1])):
            return list(layout.columns) or first[1]
    raise DataError(f"{path}: no examples (a header alone, or blank lines)")


def _has_second_row(path: Path, layout: Layout, rows: Iterator[tuple[int, list[str]]], header: list[str]) -> bool:
    """Whether there is a second row; if it cannot be read, the DataError suggests another delimiter."""
    try:
        return next(rows, None) is not None
    except DataError as error:
        other = _other_delimiter(header) if layout.delimiter is None else ""
        raise DataError(f"{error}{other}") from None


def hint(path: Path, layout: Layout, there: list[str]) -> str:
    """A hint, for a message about a missing column of a csv or tsv: another delimiter, or no header."""
    if file_formats.format_of(path, delimiter=layout.delimiter) not in ("csv", "tsv") or layout.columns:
        return ""
    header = f"; if that is a row and no header: columns: [{', '.join('ABCDEFGH'[: len(there)])}]"
    return _other_delimiter(there) or header


def _other_delimiter(header: list[str]) -> str:
    """A hint, for a message: the header is a single column that contains another delimiter."""
    for delimiter, written in ((";", "';'"), ("\t", '"\\t"'), ("|", "'|'"), (",", "','")):
        if len(header) == 1 and delimiter in header[0]:
            return f"; if {written} stands between the columns: delimiter: {written}"
    return ""


def other_delimiter(path: Path, layout: Layout) -> str | None:
    """Another delimiter of a csv or tsv whose header is one name that contains it; None: there is none."""
    try:
        header = columns_in(path, layout)
    except DataError as error:
        found = re.search(r"delimiter: (?:'([;|,])'|\"(\\t)\")$", str(error))
        if found is None:
            raise
        return found[1] or "\t"
    return next((one for one in (";", "\t", "|", ",") if len(header) == 1 and one in header[0]), None)


def parquet_names(path: Path) -> list[str]:
    """The top-level columns of a parquet file."""
    return list(_schema(path).names)


def _parquet_columns(path: Path) -> list[str]:
    return [name for field in _schema(path) for name in _field_names(field)]


def _schema(path: Path) -> Any:
    import pyarrow.parquet  # imported without `datasets`, which takes ten times as long

    with data_errors(path):
        try:
            return pyarrow.parquet.read_schema(path)
        except pyarrow.ArrowException:
            raise DataError(f"{path}: not a parquet file") from None


def _field_names(field: Any) -> list[str]:
    import pyarrow.types

    if not pyarrow.types.is_struct(field.type):
        return [field.name]
    return [f"{field.name}.{name}" for inner in field.type for name in _field_names(inner)]
