"""Sources to examples: files, data functions and data sets of the `datasets` library, which only this file imports."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hpsearch.config import AnySet, ClassificationSet, Files, TextSet
from hpsearch.data import columns, files, functions, tables
from hpsearch.data.answers import Answers
from hpsearch.data.splits import PARTS, Example, Splits, check_labels, divide, named_parts, warnings
from hpsearch.errors import DataError

__all__ = ["Example", "Splits", "check_sources", "fingerprint", "identify", "load", "warnings"]


def load(name: str, data_set: AnySet, *, cache: Path | None, base: Path) -> Splits:
    """The examples of a set in their splits, under their canonical keys.

    base: the folder that relative paths start from; cache: where the `datasets` library keeps its files (None: in its
    own place). Raises DataError, with file and line, for whatever is not as the config says.
    """
    with _about(name):
        splits = divide(name, _parts(name, data_set, cache=cache, base=base), data_set.split)
        if isinstance(data_set, ClassificationSet):
            check_labels(name, splits)
    return splits


def check_sources(name: str, data_set: AnySet, *, base: Path) -> None:
    """Raises DataError for what shows at once: no such file, an unknown ending, a missing column or function."""
    with _about(name):
        if data_set.files is not None:
            for part, path in ((part, path) for part, paths in _read_paths(data_set, base).items() for path in paths):
                _check_file(name, data_set, path, part)
        elif _origin(data_set).startswith(functions.PREFIX):
            functions.find(name, _origin(data_set), base)
        else:
            _local_folder(name, data_set, base)


def _check_file(name: str, data_set: AnySet, path: Path, part: str) -> None:
    files.check_regular(path)
    _check_kind(name, data_set, path)
    if files.format_of(path) == "txt":
        files.check_beginning(path)
    else:
        columns.require(str(path), files.columns(path), data_set, optional=Answers(data_set, part).optional)


def fingerprint(name: str, data_set: AnySet, *, base: Path, cache: Path | None = None) -> str:
    """SHA-256 (hex) of what the examples come from: the files' bytes, or the examples that a function returns."""
    return identify(name, data_set, base=base, cache=cache)[0]


def identify(name: str, data_set: AnySet, *, base: Path, cache: Path | None) -> tuple[str, Splits | None]:
    """The fingerprint, and the examples where they had to be read to know it (they come from a function or a hub)."""
    with _about(name):
        return _identified(name, data_set, base=base, cache=cache)


def _identified(name: str, data_set: AnySet, *, base: Path, cache: Path | None) -> tuple[str, Splits | None]:
    digests: Any
    keys = {"task": data_set.task, "columns": columns.columns_of(data_set), "split": data_set.split.model_dump()}
    keys |= _newer_keys(data_set)
    if data_set.files is not None:
        paths = _paths(data_set.files, base)
        digests = {part: [[files.format_of(p), files.digest(p)] for p in paths[part]] for part in paths}
    elif not _origin(data_set).startswith(functions.PREFIX) and (folder := _local_folder(name, data_set, base)):
        found = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
        digests = {str(path.relative_to(folder)): files.digest(path) for path in found}
    else:
        splits = load(name, data_set, cache=cache, base=base)
        return _digest([keys, [splits.train, splits.valid, splits.test]]), splits
    return _digest([keys, digests]), None


def _newer_keys(data_set: AnySet) -> dict[str, Any]:
    """What else makes the examples what they are; absent where they are what they were before there was such a key."""
    keys: dict[str, Any] = {"normalise": data_set.normalise} if data_set.normalise else {}
    given = data_set.files is not None and data_set.files.valid is not None
    given = given and (data_set.files.test is not None or not data_set.split.test)  # type: ignore[union-attr]
    return keys if given or not isinstance(data_set, ClassificationSet) else keys | {"cut": "by label"}


@contextmanager
def _about(name: str) -> Iterator[None]:
    """Has an error know which set it is about."""
    try:
        yield
    except DataError as error:
        error.data_set = name
        raise


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _parts(name: str, data_set: AnySet, *, cache: Path | None, base: Path) -> dict[str, list[Example]]:
    if data_set.files is not None:
        return _from_files(name, data_set, _read_paths(data_set, base), cache)
    if _origin(data_set).startswith(functions.PREFIX):
        return functions.examples(name, data_set, base)
    folder = _local_folder(name, data_set, base)
    if folder and not _is_saved(folder) and "train" in (paths := _wanted(data_set, files.in_folder(folder))):
        return _from_files(name, data_set, paths, cache)
    return _from_library(name, data_set, folder, cache)


# ---------------------------------------------------------------------------------------------------------------- files


def _paths(named: Files, base: Path) -> dict[str, list[Path]]:
    found = {}
    for part in PARTS:
        paths = getattr(named, part)
        if paths is not None:
            found[part] = [base / Path(path).expanduser() for path in ([paths] if isinstance(paths, str) else paths)]
    return found


def _read_paths(data_set: AnySet, base: Path) -> dict[str, list[Path]]:
    """The files of the set that are read."""
    return _wanted(data_set, _paths(data_set.files, base) if data_set.files else {})


def _wanted(data_set: AnySet, parts: dict[str, Any]) -> dict[str, Any]:
    """The parts without a test that `split: {test: 0}` leaves out."""
    return {part: some for part, some in parts.items() if part != "test" or data_set.split.test}


def _check_kind(name: str, data_set: AnySet, path: Path) -> None:
    if files.format_of(path) == "txt" and not isinstance(data_set, TextSet):
        raise DataError(f"{path}: a .txt file has no columns, data.{name} ({data_set.task}) wants a table of examples")


def _from_files(
    name: str, data_set: AnySet, paths: dict[str, list[Path]], cache: Path | None
) -> dict[str, list[Example]]:
    """With a valid file a .txt is one document; without, paragraphs are what is dealt out."""
    parts: dict[str, list[Example]] = {}
    for part, some in paths.items():
        examples: list[Example] = []
        answers = Answers(data_set, part)
        for path in some:
            files.check_regular(path)
            _check_kind(name, data_set, path)
            examples += _read(path, data_set, answers, whole="valid" in paths, cache=cache)
        parts[part] = examples
    if "valid" in parts and any(files.format_of(path) == "txt" for path in paths["train"]):
        parts.setdefault("test", [])  # a document is not cut up for a test split that nobody gave
    return parts


def _read(path: Path, data_set: AnySet, answers: Answers, *, whole: bool, cache: Path | None) -> list[Example]:
    kind = files.format_of(path)
    answers.typed = kind not in ("csv", "tsv")
    if kind == "txt":
        texts = [files.document(path)] if whole else files.paragraphs(path)
        return [columns.document(text, data_set) for text in texts]
    if kind == "parquet":
        examples = _from_parquet(path, data_set, answers, cache)
    else:
        examples = [columns.example(where, record, data_set, answers) for where, record in files.records(path)]
    if not examples:
        raise DataError(f"{path}: no examples (a header alone, or blank lines)")
    return examples


def _from_parquet(path: Path, data_set: AnySet, answers: Answers, cache: Path | None) -> list[Example]:
    columns.require(str(path), files.columns(path), data_set, optional=answers.optional)
    with _library(str(path)) as datasets:
        table = datasets.load_dataset("parquet", data_files=[str(path)], cache_dir=_folder(cache), split="train")
    return _table_examples(f"{path}:", table, data_set, answers)


# ---------------------------------------------------------------------------------------------------------- the library


def _local_folder(name: str, data_set: AnySet, base: Path) -> Path | None:
    """The folder that `dataset` names, or None for a name on the hub."""
    origin = _origin(data_set)
    folder = base / Path(origin).expanduser()
    if folder.is_dir():
        return folder
    if not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", origin):
        raise DataError(f"data.{name}: dataset {origin!r}: no such folder, and no name of a data set on the hub")
    return None


def _origin(data_set: AnySet) -> str:
    return data_set.dataset or ""


def _is_saved(folder: Path) -> bool:
    """Whether the folder is what the library's save_to_disk writes."""
    return (folder / "dataset_dict.json").exists() or (folder / "state.json").exists()


def _from_library(name: str, data_set: AnySet, folder: Path | None, cache: Path | None) -> dict[str, list[Example]]:
    where = f"data.{name}: dataset {_origin(data_set)!r}" + ("" if folder else " (no folder, so sought on the hub)")
    with _library(where) as datasets:
        if folder and _is_saved(folder):
            found = datasets.load_from_disk(str(folder))
        else:
            found = datasets.load_dataset(str(folder or _origin(data_set)), cache_dir=_folder(cache))
    named = named_parts(found if isinstance(found, dict) else {"train": found}, strict=False)
    if named is None:
        raise DataError(f"{where}: no train split, there are: {', '.join(found)}")
    return {
        part: _table_examples(f"{where}: {part}", table, data_set, Answers(data_set, part))
        for part, table in _wanted(data_set, named).items()
    }


def _table_examples(where: str, table: Any, data_set: AnySet, answers: Answers) -> list[Example]:
    rows = enumerate(tables.rows(where.removesuffix(":"), table, data_set, optional=answers.optional), start=1)
    return [columns.example(f"{where} row {i}", row, data_set, answers) for i, row in rows]


def _folder(cache: Path | None) -> str | None:
    return None if cache is None else str(cache)


@contextmanager
def _library(where: str) -> Iterator[Any]:
    """The `datasets` library, silenced, its failures one line (imported here: it takes 1.5 s)."""
    import datasets

    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)  # it announces each of its five attempts
    try:
        yield datasets
    except Exception as error:  # the library's errors have no common base
        lines = str(error).strip().splitlines() or [""]
        raise DataError(f"{where}: the datasets library cannot load it ({type(error).__name__}: {lines[0]})") from error
