"""Records to examples: the config's columns, checked value by value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hpsearch.config import AnySet, ClassificationSet, Column, TextSet
from hpsearch.data.splits import Example
from hpsearch.errors import DataError

MISSING = object()


def columns_of(data_set: AnySet) -> dict[str, Column]:
    """{canonical key: column, or columns to be joined} of a set, in canonical order."""
    if isinstance(data_set, TextSet):
        return {"text": data_set.text}
    if isinstance(data_set, ClassificationSet):
        return {"text": data_set.text, "label": data_set.label}
    return {"source": data_set.source, "target": data_set.target}


def wanted(data_set: AnySet) -> list[str]:
    """The columns that a set's examples are made of."""
    return [name for column in columns_of(data_set).values() for name in _several(column)]


def require(where: str, there: Iterable[str], data_set: AnySet, *, hint: str = "") -> None:
    """Raises DataError for a column of the config that is not there or there twice, naming those that are.

    there: names of columns; "meta.body" for what is inside of one. hint: what else may be wrong.
    """
    there = list(map(str, there))
    for key, column in columns_of(data_set).items():
        for name in _several(column):
            if there.count(name) > 1:
                raise DataError(f"{where}:1: column {name!r} is in the header twice, and the {key} is to come from it")
            if not _is_there(name, there):
                names = ", ".join(there) or "none"
                raise DataError(f"{where}: no column {name!r} for {key}, there are: {names}{hint}")


def _is_there(name: str, there: list[str]) -> bool:
    """Whether there is a column of this name, or one inside of another.

    A name without dots may be that of a field inside the one column that has such a field: the hub's form of pairs,
    {"translation": {"en": ..., "fr": ...}}.
    """
    if name in there or any(other.startswith(f"{name}.") for other in there):  # a mapping is refused as a value
        return True
    return "." not in name and len(outers_of(name, there)) == 1


def outers_of(name: str, there: Iterable[str]) -> list[str]:
    """The columns that have a field of this name inside."""
    return [other.partition(".")[0] for other in there if other.partition(".")[2] == name]


def example(where: str, record: Any, data_set: AnySet) -> Example:
    """The record's example under canonical keys; raises DataError for a value that is no text, or an empty one."""
    return {key: _taken(where, key, column, record, data_set) for key, column in columns_of(data_set).items()}


def _taken(where: str, key: str, column: Column, record: Any, data_set: AnySet) -> str:
    if isinstance(column, str):
        return _value(where, key, record[column] if column in record else _inner(where, column, record, data_set))
    values = [record[name] if name in record else _inner(where, name, record, data_set) for name in column]
    given = [value for value in values if value is not None and str(value).strip()] or values[
        :1
    ]  # a title may be missing
    return "\n".join(_value(where, key, value) for value in given)


def _inner(where: str, name: str, record: Mapping[str, Any], data_set: AnySet) -> Any:
    """What lies inside another column: by a dotted path, or in the one mapping that has a field of this name."""
    value: Any = record
    for step in name.split("."):
        value = value.get(step, MISSING) if isinstance(value, Mapping) else None if value is None else MISSING
    if value is MISSING and "." not in name:
        inner = [outer[name] for outer in record.values() if isinstance(outer, Mapping) and name in outer]
        value = inner[0] if len(inner) == 1 else MISSING
    if value is MISSING:
        require(where, names_in(record), data_set)
        raise DataError(f"{where}: no column {name!r}")
    return value


def names_in(record: Mapping[str, Any]) -> list[str]:
    """The columns of a record, those inside mappings as "meta.body"."""
    names: list[str] = []
    for key, value in record.items():
        inner = names_in(value) if isinstance(value, Mapping) else []
        names += [f"{key}.{name}" for name in inner] or [str(key)]
    return names


def _several(column: Column) -> list[str]:
    return [column] if isinstance(column, str) else column


def row_example(where: str, row: Any, data_set: AnySet) -> Example:
    """`example` of what a data function may give: a text, a tuple in canonical order, or a record."""
    if isinstance(row, dict):
        return example(where, row, data_set)
    named = wanted(data_set)
    values = [row] if isinstance(row, str) else list(row) if isinstance(row, (tuple, list)) else None
    if values is None or len(values) != len(named):
        what = type(row).__name__ if values is None else f"{len(values)} values"
        needed = "a text" if len(named) == 1 else f"({', '.join(named)})"
        raise DataError(f"{where}: {what}, {needed} or a dict is wanted")
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
