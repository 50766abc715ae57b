"""Finds where a set's examples are: files by split, a folder, or a name of the `datasets` library."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hpsearch.config import ALIGNED, Aligned, DataSet, Files, Paths
from hpsearch.data import aligned_files, file_formats, paths
from hpsearch.data.splits import PARTS
from hpsearch.errors import DataError

Given = Path | tuple[Path, Path]
"""A file, or two files of aligned lines."""


def origin(data_set: DataSet) -> str:
    """The value of `dataset`."""
    return data_set.dataset or ""


def named_files(data_set: DataSet, base: Path) -> Files | None:
    """The files that the config names; `dataset: reviews.csv` names one if it exists or has a data file's ending."""
    if data_set.files is not None:
        return data_set.files
    path = paths.place(base, origin(data_set))
    if os.path.isdir(path) or not (os.path.isfile(path) or file_formats.known_format(path) or "*" in path.name):
        return None
    return Files(train=origin(data_set))


def file_paths(name: str, data_set: DataSet, base: Path) -> dict[str, list[Given]] | None:
    """The set's files by split; None if the `datasets` library has to find them."""
    named = named_files(data_set, base)
    if named is not None:
        given = {part: one for part in PARTS if (one := getattr(named, part)) is not None}
        return {part: _paths(data_set, one, base) for part, one in given.items()}
    folder = local_folder(name, data_set, base)
    if folder is None or is_saved(folder):
        return None
    some = paths.splits_in(folder, data_set.splits)
    if some is None and data_set.reads_aligned_files and len(list(folder.glob("train.*"))) > 1:
        raise DataError(f"data.{name}: {folder} has no table of pairs; two files of aligned lines are {ALIGNED}")
    return None if some is None else {part: list(one) for part, one in some.items()}


def _paths(data_set: DataSet, named: Paths | Aligned, base: Path) -> list[Given]:
    if not isinstance(named, Aligned):
        return list(paths.found(base, named, texts=data_set.reads_text_files, delimiter=data_set.delimiter))
    if not data_set.reads_aligned_files:
        raise DataError(f"source and target files are for task: translation, not {data_set.task_name}")
    sides = [paths.found(base, side, texts=True) for side in (named.source, named.target)]
    aligned_files.check_as_many(*sides)
    return list(zip(*sides, strict=True))


def wanted(data_set: DataSet, parts: dict[str, Any]) -> dict[str, Any]:
    """The parts, without the test part if the config says `split: {test: 0}`."""
    return {part: some for part, some in parts.items() if part != "test" or data_set.split.test}


def notes(name: str, data_set: DataSet, some: dict[str, list[Given]], folder: Path | None) -> list[str]:
    """Lines for the user: the files that are read without being named, and those of a folder that are not read."""
    lines = []
    for part, one in some.items():
        if folder is not None or len(one) > _named(getattr(data_set.files, part, None)):
            named = (f"{path[0].name} with {path[1].name}" if isinstance(path, tuple) else path for path in one)
            lines.append(f"data.{name}: {part} from {paths.listed(named)}")
    if folder is not None:
        left = [path for path in paths.data_files(folder) if all(path not in one for one in some.values())]
        lines += [f"data.{name}: not read in {folder.name}: {paths.listed(left)}"] if left else []
    return lines


def _named(given: Paths | Aligned | None) -> int:
    """The number of files, globs or folders that the config names for a split."""
    given = given.source if isinstance(given, Aligned) else given
    return len(given) if isinstance(given, list) else 1


def local_folder(name: str, data_set: DataSet, base: Path) -> Path | None:
    """The folder that `dataset` names (or the folder of its configuration inside); None for a name on the hub."""
    if named_files(data_set, base) is not None:
        return None
    folder = paths.place(base, origin(data_set))
    if os.path.isdir(folder):
        inner = folder / (data_set.config or ".")
        return inner if inner.is_dir() else folder
    if not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", origin(data_set)):
        what = f"dataset {origin(data_set)!r}: no such folder, and not a valid name on the hub"
        raise DataError(f"data.{name}: {what}{file_formats.near(folder)}")
    return None


def described(name: str, data_set: DataSet, folder: Path | None) -> str:
    """How messages name a set of the `datasets` library."""
    return f"data.{name}: dataset {origin(data_set)!r}{'' if folder else ' (not a local folder: looked up on the hub)'}"


def is_saved(folder: Path) -> bool:
    """Whether the library's save_to_disk has written the folder."""
    return (folder / "dataset_dict.json").exists() or (folder / "state.json").exists()


def format_of(data_set: DataSet, path: Path) -> str:
    """The format of one of the set's files."""
    return file_formats.format_of(path, delimiter=data_set.delimiter)
