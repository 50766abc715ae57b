"""Records to examples: the config's columns, checked value by value."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from hpsearch.config import AnySet, ClassificationSet, TextSet
from hpsearch.data.answers import Answers
from hpsearch.data.splits import Example
from hpsearch.data.values import Unfit, described, label_of, plain, text_of
from hpsearch.errors import DataError


def columns_of(data_set: AnySet) -> dict[str, str]:
    """{canonical key: column} of a set, in canonical order."""
    if isinstance(data_set, TextSet):
        return {"text": data_set.text}
    if isinstance(data_set, ClassificationSet):
        return {"text": data_set.text, "label": data_set.label}
    return {"source": data_set.source, "target": data_set.target}


def require(where: str, there: Iterable[str], data_set: AnySet, *, optional: str | None = None) -> None:
    """Raises DataError for a column of the config that is not there, naming those that are; `optional`: a key."""
    there = list(there)
    for key, column in columns_of(data_set).items():
        if column not in there and key != optional:
            names = ", ".join(map(str, there)) or "none"
            raise DataError(f"{where}: no column {column!r} for {key}, there are: {names}")


def example(where: str, record: Any, data_set: AnySet, answers: Answers) -> Example:
    """The record's example under canonical keys; raises DataError for a value that is no text, or an empty one."""
    require(where, record, data_set, optional=answers.optional)
    return {
        key: _normalised(_value(where, key, record.get(column), answers), data_set)
        for key, column in columns_of(data_set).items()
    }


def row_example(where: str, row: Any, data_set: AnySet, answers: Answers) -> Example:
    """`example` of what a data function may give: a text, a tuple in canonical order, or a record."""
    row = row if type(row) in (dict, str, tuple, list) else _unpacked(row)
    if isinstance(row, Mapping):
        return example(where, row, data_set, answers)
    named = list(columns_of(data_set).values())
    values = list(row) if isinstance(row, (tuple, list)) else [row] if len(named) == 1 or isinstance(row, str) else None
    if values is None or len(values) != len(named):
        what = described(plain(row)).removeprefix("is ") if values is None else f"{len(values)} values"
        wanted = "a text" if len(named) == 1 else f"({', '.join(named)})"
        raise DataError(f"{where}: {what}, {wanted} or a dict is wanted")
    return example(where, dict(zip(named, values, strict=True)), data_set, answers)


def _unpacked(row: Any) -> Any:
    """A row of pandas, a named tuple or an array of numpy as a mapping or a list."""
    for convert in ("to_dict", "_asdict", "tolist"):
        if hasattr(row, convert):
            return getattr(row, convert)()
    return row


def document(text: str, data_set: AnySet) -> Example:
    """The example that a text without columns is."""
    return {"text": _normalised(text, data_set)}


def _normalised(text: str, data_set: AnySet) -> str:
    return unicodedata.normalize("NFC", text) if data_set.normalise == "nfc" else text


def _value(where: str, key: str, value: Any, answers: Answers) -> str:
    value = plain(value)
    if key == answers.optional and (value is None or (isinstance(value, str) and not value.strip())):
        return answers.lacks(where)
    try:
        text = label_of(value) if key == "label" else text_of(value)
    except Unfit as reason:
        raise DataError(f"{where}: the {key} {reason}") from None
    _check(where, key, text)
    if key == "label":
        answers.saw(where, value)
    elif key == answers.key:
        answers.given(where)
    return text


def _check(where: str, key: str, text: str) -> None:
    """Raises DataError for an empty text and characters that are none."""
    if not text.strip():
        raise DataError(f"{where}: the {key} is empty")
    if "\0" in text:
        raise DataError(f"{where}: the {key} has a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise DataError(f"{where}: the {key} has half of a surrogate pair, which is not Unicode text") from None
