"""Turns records into examples: picks the config's columns and checks each value."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from hpsearch.config import Column, DataSet
from hpsearch.data.confusables import UNSEEN, escaped
from hpsearch.data.record_values import Unfit, described, label_of, plain, text_of
from hpsearch.data.splits import LABEL, Example
from hpsearch.data.targets import Targets
from hpsearch.errors import DataError

SHORT = 100  # characters; only texts up to this length are checked for consisting of invisible characters


def columns_of(data_set: DataSet) -> dict[str, Column]:
    """{key of an example: column, or columns to be joined} of a set, in the order of the keys."""
    return data_set.example_columns()


def wanted(data_set: DataSet) -> list[str]:
    """The columns that a set's examples are read from."""
    return [name for column in columns_of(data_set).values() for name in _several(column)]


def _several(column: Column) -> list[str]:
    return [column] if isinstance(column, str) else column


def require(
    where: str, there: Iterable[str], data_set: DataSet, *, optional: str | None = None, hint: str = ""
) -> None:
    """Raises DataError for a missing column of the config; the message names the existing columns.

    there: the existing columns, nested ones as "meta.body"; optional: the key whose column may be missing; hint:
    another possible cause, for the message.
    """
    there = list(map(str, there))
    for key, column in columns_of(data_set).items():
        for name in _several(column):
            if key != optional and not _is_there(name, there):
                names = ", ".join(there) or "none"
                raise DataError(f"{where}: no column {name!r} for {key}, there are: {names}{hint}")


def require_one_each(where: str, header: list[str], data_set: DataSet) -> None:
    """Raises DataError for a column of the config that the header repeats; other columns may repeat."""
    for name in wanted(data_set):
        if header.count(name) > 1:
            raise DataError(f"{where}: column {name!r} is in the header twice")


def _is_there(name: str, there: list[str]) -> bool:
    if name in there or any(other.startswith(f"{name}.") for other in there):  # a mapping is refused later, as a value
        return True
    return "." not in name and len(_outers(name, there)) == 1


def _outers(name: str, there: Iterable[str]) -> list[str]:
    """The columns that contain a field of this name."""
    return [other.partition(".")[0] for other in there if other.partition(".")[2] == name]


def outer(name: str, there: list[str], nested: list[str]) -> str | None:
    """The table's column with this name, or the column that has a field of this name; None if there is neither.

    A name without dots may be a field of exactly one column, as in the hub's translation sets:
    {"translation": {"en": ..., "fr": ...}}.
    """
    found = [name, name.partition(".")[0], *_outers(name, nested)]
    return next((column for column in found if column in there), None)


def outers(there: list[str], nested: list[str], data_set: DataSet) -> list[str]:
    """The distinct columns of a table that the set reads."""
    found = (outer(name, there, nested) for name in wanted(data_set))
    return list(dict.fromkeys(column for column in found if column is not None))


def example(where: str, record: Any, data_set: DataSet, targets: Targets) -> Example:
    """The record's example, under the keys of its task; raises DataError for a value that is empty or not text."""
    try:
        return {
            key: _normalised(_taken(where, key, column, record, targets), data_set)
            for key, column in columns_of(data_set).items()
        }
    except KeyError as error:
        require(where, names_in(record), data_set, optional=targets.optional)
        raise DataError(f"{where}: no column {error.args[0]!r}") from None


def _taken(where: str, key: str, column: Column, record: Mapping[str, Any], targets: Targets) -> str:
    if isinstance(column, str):
        if column in record:
            return _value(where, key, record[column], targets)
        lacks = key == targets.optional and not _is_there(column, names_in(record))
        return _value(where, key, None if lacks else _inner(column, record), targets)
    values = [plain(record[name] if name in record else _inner(name, record)) for name in column]
    given = [value for value in values if value is not None and str(value).strip()]  # a title may be missing
    return "\n".join(_value(where, key, value, targets) for value in given or values[:1])


def _inner(name: str, record: Mapping[str, Any]) -> Any:
    """The nested value at a dotted path, or in the only mapping that has the name; raises KeyError if there is none."""
    if "." not in name:
        found = [value[name] for value in record.values() if isinstance(value, Mapping) and name in value]
        if not found and None in record.values():  # in this record the outer mapping itself is missing
            return None
        if len(found) != 1:
            raise KeyError(name)
        return found[0]
    value: Any = record
    for step in name.split("."):
        if value is None:  # the outer column has no value in this record
            return None
        if not isinstance(value, Mapping) or step not in value:
            raise KeyError(name)
        value = value[step]
    return value


def names_in(record: Mapping[str, Any]) -> list[str]:
    """The columns of a record, nested ones as "meta.body"."""
    names: list[str] = []
    for key, value in record.items():
        inner = names_in(value) if isinstance(value, Mapping) else []
        names += [f"{key}.{name}" for name in inner] or [str(key)]
    return names


def row_example(where: str, row: Any, data_set: DataSet, targets: Targets) -> Example:
    """The example of a data function's row: a text, a tuple in the order of the keys, or a record."""
    row = row if type(row) in (dict, str, tuple, list) else _unpacked(row)
    if isinstance(row, Mapping):
        return example(where, row, data_set, targets)
    named = wanted(data_set)
    values = list(row) if isinstance(row, (tuple, list)) else [row] if len(named) == 1 or isinstance(row, str) else None
    if values is None or len(values) != len(named):
        what = described(plain(row)).removeprefix("is ") if values is None else f"{len(values)} values"
        needed = "a text" if len(named) == 1 else f"({', '.join(named)})"
        raise DataError(f"{where}: {what}, {needed} or a dict is expected")
    return example(where, dict(zip(named, values, strict=True)), data_set, targets)


def _unpacked(row: Any) -> Any:
    """Converts a pandas row, a named tuple or a numpy array to a mapping or a list."""
    for convert in ("to_dict", "_asdict", "tolist"):
        if hasattr(row, convert):
            return getattr(row, convert)()
    return row


def document(text: str, data_set: DataSet) -> Example:
    """The example of a text without columns."""
    return {next(iter(columns_of(data_set))): _normalised(text, data_set)}


def _normalised(text: str, data_set: DataSet) -> str:
    return unicodedata.normalize("NFC", text) if data_set.normalise == "nfc" else text


def _value(where: str, key: str, value: Any, targets: Targets) -> str:
    value = plain(value)
    if key == targets.optional and (value is None or (isinstance(value, str) and not value.strip())):
        return targets.add_missing(where)
    try:
        text = label_of(value) if key == LABEL else text_of(value)
    except Unfit as reason:
        raise DataError(f"{where}: the {key} {reason}") from None
    _check(where, key, text)
    if key == LABEL:
        targets.add_label(where, value)
    elif key == targets.key:
        targets.add(where)
    return text


def _check(where: str, key: str, text: str) -> None:
    """Raises DataError for an empty text and for characters that text cannot have."""
    if not text.strip():
        raise DataError(f"{where}: the {key} is empty")
    if len(text) <= SHORT and not text.isascii() and not UNSEEN.sub("", text).strip():
        raise DataError(f"{where}: the {key} has invisible characters alone ({escaped(text)})")
    if "\0" in text:
        raise DataError(f"{where}: the {key} has a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise DataError(f"{where}: the {key} has half of a surrogate pair, which is not Unicode text") from None
