"""Records to examples: the config's columns, checked value by value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hpsearch.config import AnySet, ClassificationSet, TextSet
from hpsearch.data.splits import Example
from hpsearch.errors import DataError


def columns_of(data_set: AnySet) -> dict[str, str]:
    """{canonical key: column} of a set, in canonical order."""
    if isinstance(data_set, TextSet):
        return {"text": data_set.text}
    if isinstance(data_set, ClassificationSet):
        return {"text": data_set.text, "label": data_set.label}
    return {"source": data_set.source, "target": data_set.target}


def require(where: str, there: Iterable[str], data_set: AnySet) -> None:
    """Raises DataError for a column of the config that is not there, naming those that are."""
    there = list(there)
    for key, column in columns_of(data_set).items():
        if column not in there:
            names = ", ".join(map(str, there)) or "none"
            raise DataError(f"{where}: no column {column!r} for {key}, there are: {names}")


def example(where: str, record: Any, data_set: AnySet) -> Example:
    """The record's example under canonical keys; raises DataError for a value that is no text, or an empty one."""
    require(where, record, data_set)
    return {key: _value(where, key, record[column]) for key, column in columns_of(data_set).items()}


def row_example(where: str, row: Any, data_set: AnySet) -> Example:
    """`example` of what a data function may give: a text, a tuple in canonical order, or a record."""
    if isinstance(row, dict):
        return example(where, row, data_set)
    named = list(columns_of(data_set).values())
    values = [row] if isinstance(row, str) else list(row) if isinstance(row, (tuple, list)) else None
    if values is None or len(values) != len(named):
        what = type(row).__name__ if values is None else f"{len(values)} values"
        wanted = "a text" if len(named) == 1 else f"({', '.join(named)})"
        raise DataError(f"{where}: {what}, {wanted} or a dict is wanted")
    return example(where, dict(zip(named, values, strict=True)), data_set)


def _value(where: str, key: str, value: Any) -> str:
    if value is None or not isinstance(value, (str, int, float)):
        kind = "missing" if value is None else f"a {type(value).__name__}"
        raise DataError(f"{where}: the {key} is {kind}, text (or a number) is wanted")
    text = str(value).strip() if key == "label" else str(value)
    if not text.strip():
        raise DataError(f"{where}: the {key} is empty")
    if "\0" in text:
        raise DataError(f"{where}: the {key} has a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise DataError(f"{where}: the {key} has half of a surrogate pair, which is not Unicode text") from None
    return text
