"""Loads a data set (files, a data function or the `datasets` library) into splits, and computes its fingerprint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpsearch.config import FORM, DataSet
from hpsearch.data import columns, data_functions, file_formats, hf_datasets, locations, rows
from hpsearch.data.holdout import divide
from hpsearch.data.locations import Given
from hpsearch.data.read_report import ReadReport
from hpsearch.data.reader import Reader
from hpsearch.data.split_checks import check_labels, warnings
from hpsearch.data.splits import LABEL, Example, Splits
from hpsearch.data.targets import Targets
from hpsearch.errors import DataError
from hpsearch.system.user_modules import PREFIX

__all__ = ["Example", "Splits", "check_sources", "fingerprint", "identify", "load", "warnings"]


def load(name: str, data_set: DataSet, *, cache: Path | None, base: Path) -> Splits:
    """The examples of a set by split, under the keys of its task.

    base: the folder for relative paths; cache: the folder in which the `datasets` library keeps its files (None: its
    default). Raises DataError, with file and line, for data that do not match the config.
    """
    report = ReadReport(name, data_set.skip_bad_rows)
    with _about(name):
        parts = _parts(name, data_set, report, cache=cache, base=base)
        found = report.warnings(sum(map(len, parts.values())))
        splits = divide(name, parts, data_set.split)
        if data_set.target_key == LABEL:
            check_labels(name, splits)
    return replace(splits, warnings=found, notes=report.notes)


def check_sources(name: str, data_set: DataSet, *, base: Path) -> None:
    """Raises DataError for mistakes that show early: a missing file, an unknown ending, a missing column."""
    with _about(name):
        if locations.origin(data_set).startswith(PREFIX):
            data_functions.find(name, locations.origin(data_set), base)
            return
        reader = Reader(name, data_set, ReadReport(name))
        for part, some in locations.wanted(data_set, locations.file_paths(name, data_set, base) or {}).items():
            for path in some:
                reader.check(path, part)


def fingerprint(name: str, data_set: DataSet, *, base: Path, cache: Path | None = None) -> str:
    """SHA-256 (hex) of the files' bytes, or of the examples that a function returns."""
    return identify(name, data_set, base=base, cache=cache)[0]


def identify(name: str, data_set: DataSet, *, base: Path, cache: Path | None) -> tuple[str, Splits | None]:
    """The fingerprint, and the examples if it needed them (of a function, or of a set on the hub)."""
    with _about(name):
        return _identified(name, data_set, base=base, cache=cache)


def _identified(name: str, data_set: DataSet, *, base: Path, cache: Path | None) -> tuple[str, Splits | None]:
    digests: Any
    keys: dict[str, Any] = {
        "task": data_set.task_name,
        "columns": columns.columns_of(data_set),
        "split": data_set.split.model_dump(),
    }
    keys |= _newer_keys(data_set)
    is_function = locations.origin(data_set).startswith(PREFIX)
    some = None if is_function else locations.file_paths(name, data_set, base)
    if some is not None and locations.named_files(data_set, base):
        digests = {part: [_file_digest(data_set, path) for path in one] for part, one in some.items()}
    elif not is_function and (folder := locations.local_folder(name, data_set, base)):
        found = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
        digests = {str(path.relative_to(folder)): file_formats.digest(path) for path in found}
        quoted = any(_is_quoted(data_set, path) for one in (some or {}).values() for path in one)
        keys |= {"quoted": True} if quoted else {}
    else:
        splits = load(name, data_set, cache=cache, base=base)
        return _digest([keys, [splits.train, splits.valid, splits.test]]), splits
    return _digest([keys, digests]), None


def _file_digest(data_set: DataSet, path: Given) -> list[str]:
    """What a file's examples depend on; "quoted" marks a quoted tsv, which earlier versions read otherwise."""
    if isinstance(path, tuple):
        return ["aligned", *map(file_formats.digest, path)]
    kind = locations.format_of(data_set, path)
    return [kind, file_formats.digest(path), *(["quoted"] if _is_quoted(data_set, path) else [])]


def _is_quoted(data_set: DataSet, path: Given) -> bool:
    return isinstance(path, Path) and rows.quoted(path, rows.Layout.of(data_set))


def _newer_keys(data_set: DataSet) -> dict[str, Any]:
    """Other keys that the examples depend on; left out at their defaults: older studies keep their fingerprints."""
    keys: dict[str, Any] = {"normalise": data_set.normalise} if data_set.normalise else {}
    form = {
        key: value for key, value in data_set.model_dump(mode="json").items() if key in (*FORM, *data_set.form_keys)
    }
    keys |= {"form": form} if form else {}
    given = data_set.files is not None and data_set.files.valid is not None
    given = given and (data_set.files.test is not None or not data_set.split.test)  # type: ignore[union-attr]
    return keys if given or data_set.target_key != LABEL else keys | {"cut": "by label"}


@contextmanager
def _about(name: str) -> Iterator[None]:
    """Adds the data set's name to a DataError."""
    try:
        yield
    except DataError as error:
        error.data_set = name
        raise


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _parts(
    name: str, data_set: DataSet, report: ReadReport, *, cache: Path | None, base: Path
) -> dict[str, list[Example]]:
    if locations.origin(data_set).startswith(PREFIX):
        return data_functions.examples(name, data_set, base)
    reader = Reader(name, data_set, report)
    some = locations.file_paths(name, data_set, base)
    folder = locations.local_folder(name, data_set, base)
    if some is not None:
        some = locations.wanted(data_set, some)
        report.notes += locations.notes(name, data_set, some, folder)
        return reader.examples(some)
    tables = hf_datasets.tables(name, data_set, report, folder=folder, cache=cache)
    where = locations.described(name, data_set, folder)
    return {
        part: reader.of_library(f"{where}: {part}", table, Targets(data_set, part))
        for part, table in locations.wanted(data_set, tables).items()
    }
