"""How a file that a command is given is read: as the files of the training were where it is like them, else guessed."""

from __future__ import annotations

import codecs
import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from hpsearch.config import DataSet
from hpsearch.data import columns, file_formats, rows, text_encoding
from hpsearch.data.compressed import parts
from hpsearch.data.guessed_encoding import guessed, is_ascii
from hpsearch.errors import DataError

Set = TypeVar("Set", bound=DataSet)
NO_NAMES = {"columns": None}
NO_FORM = {**NO_NAMES, "delimiter": None, "quoting": "auto"}
KEYS = re.compile(r"(: if that is right,|;) give (its )?encoding: (\(.*\)|\S+)")  # of a space file, in a message


def fitted(path: Path, trained: Set) -> Set:
    """The data set of a training with the encoding, delimiter and header of this file, which may be another's.

    Raises DataError, with the columns that are there, for a csv or tsv in which no form finds the set's columns.
    """
    file_formats.check_regular(path)
    made = trained.model_copy(update={"encoding": _encoding(path, trained.encoding)})
    kind = file_formats.known_format(path)
    if kind in ("jsonl", "parquet"):
        return made
    for form in ({}, NO_NAMES, NO_FORM):
        one = made.model_copy(update=form)
        if is_table(path, one) and _has_columns(path, one):
            return one
    plain = made.model_copy(update=NO_FORM)
    if kind in ("csv", "tsv"):
        plain = plain.model_copy(update={"delimiter": rows.other_delimiter(path, rows.Layout.of(plain))})
        columns.require(str(path), rows.columns_in(path, rows.Layout.of(plain)), plain)
    return plain


def is_table(path: Path, data_set: DataSet) -> bool:
    """Whether the file has columns: by its ending, or because the set says what stands between them."""
    return file_formats.known_format(path) not in (None, "txt") or data_set.delimiter is not None


@contextlib.contextmanager
def without_keys() -> Iterator[None]:
    """Has a DataError in the block say what to do with a file, not which key of a space file to give."""
    try:
        yield
    except DataError as error:
        raise DataError(KEYS.sub("; save the file as UTF-8", str(error))) from None


def _encoding(path: Path, trained: str | None) -> str | None:
    """That of the training's files, unless the file is UTF-8 or shows another one; None: what it shows, or UTF-8."""
    if file_formats.known_format(path) == "parquet" or text_encoding.encoding_of(parts(path)[0], None) != "utf-8":
        return None
    if trained is not None and codecs.lookup(trained).name.startswith(text_encoding.WIDE):
        trained = None  # it would show
    if is_ascii(path):  # up to now; and encodings of 7 bits look like it
        return trained
    found = guessed([path])
    return found if found is None else trained or found


def _has_columns(path: Path, data_set: DataSet) -> bool:
    try:
        columns.require(str(path), rows.columns_in(path, rows.Layout.of(data_set)), data_set)
    except DataError:
        return False
    return True
