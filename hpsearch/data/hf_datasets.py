"""Data sets of the `datasets` library (names on the hub, its folders, parquet); the only file that imports it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hpsearch.config import DataSet
from hpsearch.data.locations import described, is_saved, origin
from hpsearch.data.read_report import ReadReport
from hpsearch.data.splits import named_parts
from hpsearch.errors import DataError
from hpsearch.output.error_lines import lines


def parquet(path: Path, names: list[str]) -> Any:
    """These columns of a parquet file as a `datasets` table, which knows the names of class labels.

    Reads with pyarrow: the library refuses a file for the type of a column that is not read.
    """
    import pyarrow.parquet

    with _library(str(path)) as datasets, pyarrow.parquet.ParquetFile(path) as file:
        return datasets.Dataset(datasets.table.InMemoryTable(file.read(names)))


def tables(
    name: str, data_set: DataSet, report: ReadReport, *, folder: Path | None, cache: Path | None
) -> dict[str, Any]:
    """The set's tables by split; adds the library's names of the splits to `report.notes`.

    Raises DataError if the library cannot load the set, or if a split is missing.
    """
    where = described(name, data_set, folder)
    with _library(where) as datasets:
        if folder and is_saved(folder):
            loaded = datasets.load_from_disk(str(folder))
        else:
            known = folder is not None and folder.name == data_set.config  # `local_folder` has chosen the folder by it
            config = [data_set.config] if data_set.config and not known else []
            loaded = datasets.load_dataset(str(folder or origin(data_set)), *config, cache_dir=_folder(cache))
    there = loaded if isinstance(loaded, dict) else {"train": loaded}
    named = _named(where, data_set, there)
    called = {other: part for other in there for part, table in named.items() if table is there[other]}
    left = [other for other in there if other not in called]
    line = ", ".join(f"{part} from split {other}" for other, part in called.items())
    report.notes.append(f"data.{name}: {line}" + (f"; not read: {', '.join(left)}" if left else ""))
    return named


def _named(where: str, data_set: DataSet, there: dict[str, Any]) -> dict[str, Any]:
    if data_set.splits is None:
        named = named_parts(there, strict=False)
        if named is None:
            raise DataError(f"{where}: no train split, there are: {', '.join(there)}; splits: {{train: NAME}} names it")
        return named
    called = {part: other for part, other in data_set.splits.model_dump().items() if other is not None}
    for other in called.values():
        if other not in there:
            raise DataError(f"{where}: no split {other!r}, there are: {', '.join(there)}")
    return {part: there[other] for part, other in called.items()}


def _folder(cache: Path | None) -> str | None:
    return None if cache is None else str(cache)


@contextmanager
def _library(where: str) -> Iterator[Any]:
    """Imports the `datasets` library (1.5 s), silences it and turns its errors into a one-line DataError."""
    import datasets

    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)  # it logs each of its five attempts
    try:
        yield datasets
    except Exception as error:  # the library's errors have no common base
        line = " ".join(lines(error)[:2])[:300]
        raise DataError(f"{where}: the datasets library cannot load it ({type(error).__name__}: {line})") from error
