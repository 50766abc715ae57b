"""Rows of csv, tsv and json files: strict, one row in memory at a time, each with its file and line.

Read here and not by the `datasets` library: its readers rewrite line ends, turn "NA" into nothing and ISO dates into
timestamps, and cannot say which line is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from hpsearch.config import DataSet
from hpsearch.data import columns, file_formats, json_rows
from hpsearch.data.compressed import readable
from hpsearch.data.quoting import Form, is_quoted, plain_rows, quoted_rows
from hpsearch.data.read_report import ReadReport
from hpsearch.errors import DataError

Record = dict[str, Any]


@dataclass(frozen=True)
class Layout:
    """How a set's tables are written, as its config says."""

    encoding: str | None = None
    columns: tuple[str, ...] = ()  # names, where the files have no header
    delimiter: str | None = None
    quoting: str = "auto"

    @classmethod
    def of(cls, data_set: DataSet) -> Layout:
        """The layout of a set's files."""
        return cls(data_set.encoding, tuple(data_set.columns or ()), data_set.delimiter, data_set.quoting)

    def form(self, path: Path) -> Form:
        """How the fields of one file are told apart."""
        kind = file_formats.format_of(path, delimiter=self.delimiter)
        delimiter = self.delimiter or {"csv": ",", "tsv": "\t"}[kind]
        quoting = "csv" if self.quoting == "auto" and delimiter != "\t" else self.quoting
        return Form(file_formats.table_part(path), self.encoding, delimiter, quoting)


def records(path: Path, layout: Layout, report: ReadReport) -> Iterator[tuple[str, Record]]:
    """(where, {column: value}) of every row of a jsonl, json, csv or tsv file; `where` is "file:line".

    A column whose name is empty or repeated is left out. Raises DataError for a row with more or fewer fields than the
    header, wrong quoting, or what is no JSON object, unless `report` skips such rows.
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
    if first[1] != header:  # `columns` names them, and the first row is a row
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
    """Whether a tsv's fields are read as quoted because of what is in it."""
    form = layout.form(path) if file_formats.format_of(path, delimiter=layout.delimiter) in ("csv", "tsv") else None
    return form is not None and form.quoting == "auto" and is_quoted(form)[0]


def columns_in(path: Path, layout: Layout) -> list[str]:
    """The columns of a table file, repeated ones too, read from its beginning; nested ones as "meta.body".

    jsonl: those of its first record. Raises DataError where there is no row.
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
        if first is not None and (layout.columns or _goes_on(path, layout, rows, first[1])):
            return list(layout.columns) or first[1]
    raise DataError(f"{path}: no examples (a header alone, or blank lines)")


def _goes_on(path: Path, layout: Layout, rows: Iterator[tuple[int, list[str]]], header: list[str]) -> bool:
    """Whether there is a second row; one that cannot be read for another delimiter than the header's has that named."""
    try:
        return next(rows, None) is not None
    except DataError as error:
        other = _other_delimiter(header) if layout.delimiter is None else ""
        raise DataError(f"{error}{other}") from None


def hint(path: Path, layout: Layout, there: list[str]) -> str:
    """What may be wrong where a csv or tsv lacks a column: its delimiter, or there is no header."""
    if file_formats.format_of(path, delimiter=layout.delimiter) not in ("csv", "tsv") or layout.columns:
        return ""
    header = f"; if that is a row and no header: columns: [{', '.join('ABCDEFGH'[: len(there)])}]"
    return _other_delimiter(there) or header


def _other_delimiter(header: list[str]) -> str:
    """What to do where the header is one column that has a delimiter of another kind in it."""
    for delimiter, written in ((";", "';'"), ("\t", '"\\t"'), ("|", "'|'"), (",", "','")):
        if len(header) == 1 and delimiter in header[0]:
            return f"; if {written} stands between the columns: delimiter: {written}"
    return ""


def parquet_names(path: Path) -> list[str]:
    """The columns of a parquet file, those with fields inside as one."""
    return list(_schema(path).names)


def _parquet_columns(path: Path) -> list[str]:
    return [name for field in _schema(path) for name in _field_names(field)]


def _schema(path: Path) -> Any:
    import pyarrow.parquet  # what `datasets` reads parquet with; alone it is imported in a tenth of the time

    with readable(path):
        try:
            return pyarrow.parquet.read_schema(path)
        except pyarrow.ArrowException:
            raise DataError(f"{path}: not a parquet file") from None


def _field_names(field: Any) -> list[str]:
    import pyarrow.types

    if not pyarrow.types.is_struct(field.type):
        return [field.name]
    return [f"{field.name}.{name}" for inner in field.type for name in _field_names(inner)]
