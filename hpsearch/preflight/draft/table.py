"""The first rows of a table, its columns with what they hold, and whether its first row is a header."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from hpsearch.config import DataSet
from hpsearch.data import columns, file_formats, hf_datasets, rows
from hpsearch.data.read_report import ReadReport
from hpsearch.data.record_values import plain
from hpsearch.errors import DataError

ROWS = 2000  # that are looked at
FEW_BAD = 0.02  # share of rows that cannot be read or lack a value, up to which they are skipped
FEW = 20  # of so many rows, one may be bad
LONG_HEADER = 60  # characters; a longer name in a header is an example
WORDS = 4  # in a name of a header; with more it is an example
NUMBER = re.compile(r"[-+]?(\d+([.,]\d*)?|\.\d+)([eE][-+]?\d+)?%?")
WIDE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0eff]")  # scripts whose words are not spaced


@dataclass(frozen=True)
class Column:
    """What the first rows have in one column."""

    name: str
    values: tuple[Any, ...]  # those that are there
    missing: int = 0
    first_missing: int = 0  # the row of the first that is missing, from 1; 0: none

    @property
    def texts(self) -> list[str]:
        """The values as text."""
        return [value if isinstance(value, str) else str(value) for value in self.values]

    @property
    def distinct(self) -> int:
        """How many different values there are."""
        return len(set(self.texts))

    @property
    def is_numeric(self) -> bool:
        """Whether all values are numbers, or are written as such."""
        return bool(self.values) and all(
            not isinstance(v, bool) and NUMBER.fullmatch(t.strip()) for v, t in self._both()
        )

    @property
    def is_whole(self) -> bool:
        """Whether all values are whole numbers."""
        return bool(self.values) and all(re.fullmatch(r"[-+]?\d+(\.0)?", text.strip()) for text in self.texts)

    @property
    def is_text(self) -> bool:
        """Whether the values are texts of several words, or of a script without spaces."""
        if not self.values or self.is_numeric or not all(isinstance(value, str) for value in self.values):
            return False
        return self.words >= 1.5 and (self.distinct > 0.1 * len(self.values) or self.characters > 40)

    @property
    def is_label(self) -> bool:
        """Whether the values are a few that repeat: text, whole numbers or booleans, none of them long."""
        few = 2 <= self.distinct <= max(2, len(self.values) // 2) and max(map(len, self.texts)) <= LONG_HEADER
        few = few and self.missing <= FEW_BAD * (len(self.values) + self.missing)
        return few and (not self.is_numeric or (self.is_whole and self.distinct <= 100))

    @property
    def words(self) -> float:
        """Words of a value on average; in scripts without spaces, two characters count as one."""
        counts = (max(len(text.split()), len(WIDE.findall(text)) / 2) for text in self.texts)
        return sum(counts) / max(1, len(self.values))

    @property
    def characters(self) -> float:
        """Characters of a value on average."""
        return sum(map(len, self.texts)) / max(1, len(self.values))

    def _both(self) -> Iterator[tuple[Any, str]]:
        return zip(self.values, self.texts, strict=True)


@dataclass(frozen=True)
class Table:
    """The columns of a table by its first rows."""

    columns: tuple[Column, ...]
    n_rows: int  # that were looked at
    delimiter: str | None = None  # where the ending does not tell it
    headless: bool = False  # the first row is an example, and the columns are numbered

    def named(self, name: str) -> Column | None:
        """The column of this name, or the only nested one that ends in it."""
        exact = [column for column in self.columns if column.name == name]
        inner = [column for column in self.columns if column.name.rpartition(".")[2] == name]
        return exact[0] if exact else inner[0] if len(inner) == 1 else None


def table_of(path: Path, *, delimiter: str | None, encoding: str | None) -> Table:
    """Looks at the first rows of a file; raises DataError, with file and line, for one that cannot be read."""
    if file_formats.format_of(path, delimiter=delimiter) == "parquet":
        return library_table(hf_datasets.parquet(path, rows.parquet_names(path)))
    layout = rows.Layout(encoding=encoding, delimiter=delimiter)
    if file_formats.format_of(path, delimiter=delimiter) == "jsonl":
        return _table(_first(path, layout))
    if delimiter is None and (other := rows.other_delimiter(path, layout)) is not None:
        delimiter, layout = other, replace(layout, delimiter=other)
    header = rows.columns_in(path, layout)
    first = _first(path, layout)
    if not is_header(header, first):
        names = tuple(f"column{i}" for i in range(1, len(header) + 1))
        named = replace(layout, columns=names)
        first = _first(path, named)
        return replace(_table(first), delimiter=delimiter, headless=True)
    return replace(_table(first), delimiter=delimiter)


def _first(path: Path, layout: rows.Layout) -> list[rows.Record]:
    """The first rows, without a few that are bad; raises DataError if it is not a few, or the bytes are not text."""
    try:
        return [record for _, record in islice(rows.records(path, layout, ReadReport()), ROWS)]
    except DataError:
        report = ReadReport(skip_bad_rows=True)
        found = [record for _, record in islice(rows.records(path, layout, report), ROWS)]
        if report.skipped * FEW > len(found):
            raise
        return found


def library_table(table: Any) -> Table:
    """The same of a table of the `datasets` library."""
    return _table(dict(row) for row in table.select(range(min(ROWS, len(table)))))


def tables_of(name: str, folder: Path) -> dict[str, Any]:
    """The splits of a folder that the `datasets` library reads."""
    made = DataSet(dataset=str(folder))
    return hf_datasets.tables(name, made, ReadReport(name), folder=folder, cache=None)


def is_header(header: Sequence[str], first: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the first row names the columns.

    It does not if a name is like the values under it (a number above numbers, a sentence above texts, a value that the
    column repeats), unless another name is far shorter than the texts under it.
    """
    columns = [(name, _column(name, first)) for name in header if name and list(header).count(name) == 1]
    if any(column.characters > 4 * len(name) and column.words >= 3 for name, column in columns):
        return True
    return not any(_is_value(name.strip(), column) for name, column in columns)


def _is_value(name: str, column: Column) -> bool:
    """Whether a name is like the values of its column."""
    if NUMBER.fullmatch(name):
        return column.is_numeric
    if column.words >= 3:
        is_sentence = re.search(r"[.!?\u3002\uff01\uff1f]$", name) or len(name) > LONG_HEADER
        return bool(is_sentence) or len(name.split()) > WORDS or len(WIDE.findall(name)) > LONG_HEADER // 4
    return name in column.texts and column.distinct < len(column.values)


def _table(records: Iterable[Mapping[str, Any]]) -> Table:
    first = list(records)
    names = dict.fromkeys(name for record in first for name in columns.names_in(record))
    return Table(tuple(_column(name, first) for name in names if name), len(first))


def _column(name: str, records: Sequence[Mapping[str, Any]]) -> Column:
    found = [plain(_value(record, name)) for record in records]
    there = tuple(value for value in found if value is not None and value != "")
    first = next((row for row, value in enumerate(found, start=1) if value is None or value == ""), 0)
    return Column(name, there, len(found) - len(there), first)


def _value(record: Mapping[str, Any], name: str) -> Any:
    """The value of a column, of a nested one by its path."""
    if name in record:
        return record[name]
    outer, _, inner = name.partition(".")
    return _value(record[outer], inner) if isinstance(record.get(outer), Mapping) else None
