"""Rows of tables of datasets, pandas, polars and pyarrow; recognised by their methods, so that none is imported."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hpsearch.config import DataSet
from hpsearch.data import columns
from hpsearch.errors import DataError

BATCH = 1000  # rows that are converted to Python objects at once


def is_table(value: Any) -> bool:
    """Whether the value is a table: iterating over it may yield column names instead of rows."""
    return _has(value, "columns") or _has(value, "column_names")


def column_names(table: Any) -> list[str]:
    """The names of the table's columns."""
    names = table.column_names if _has(table, "column_names") else table.columns
    return [str(name) for name in (_features(table) if names is None else names)]


def _has(value: Any, name: str) -> bool:
    """Whether the value's class has the attribute (pandas makes columns attributes of the instance)."""
    return hasattr(type(value), name)


def _features(table: Any) -> dict[str, Any]:
    return (table.features or {}) if _has(table, "features") else {}


def _inside(features: dict[str, Any]) -> dict[str, Any]:
    """The columns with their fields (a feature for translations has its languages)."""
    return {
        name: dict.fromkeys(kind.languages) if hasattr(kind, "languages") else kind for name, kind in features.items()
    }


def rows(where: str, table: Any, data_set: DataSet, *, optional: str | None = None) -> Iterator[dict[str, Any]]:
    """Yields the rows of the set's columns; the column of the key `optional` may be missing.

    Class labels are converted from numbers to names; `datasets` writes a missing label as -1.
    """
    there = column_names(table)
    nested = columns.names_in(_inside(_features(table))) or there
    columns.require(where, nested, data_set, optional=optional)
    wanted = columns.outers(there, nested, data_set)
    for column in wanted:
        if there.count(column) > 1:
            raise DataError(f"{where}: {there.count(column)} columns are named {column!r}")
    kinds = _features(table)
    names = {column: kinds[column].names for column in wanted if hasattr(kinds.get(column), "int2str")}
    for row in _rows(table, wanted):
        yield {**row, **{column: _name(f"{where}: {column}", row[column], known) for column, known in names.items()}}


def _name(where: str, number: int | None, names: list[str]) -> str | None:
    if number is None or number < 0:
        return None
    if number >= len(names):
        raise DataError(f"{where} {number}: its ClassLabel has {len(names)} names")
    return names[number]


def _rows(table: Any, wanted: list[str]) -> Iterator[dict[str, Any]]:
    """Yields the rows of these columns, converted in batches where the library has slices."""
    if _has(table, "select_columns"):  # datasets
        yield from table.select_columns(wanted)
    elif _has(table, "to_pylist"):  # pyarrow
        for start in range(0, len(table), BATCH):
            yield from table.select(wanted).slice(start, BATCH).to_pylist()
    elif _has(table, "to_dicts"):  # polars
        yield from table.select(wanted).to_dicts()
    else:  # pandas
        table = table.rename(columns=str)[wanted]
        for start in range(0, len(table), BATCH):
            yield from table.iloc[start : start + BATCH].to_dict("records")
