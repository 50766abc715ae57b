"""Sources to examples: files, data functions and data sets of the `datasets` library, which only this file imports."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpsearch.config import (
    ALIGNED,
    FORM,
    Aligned,
    AnySet,
    ClassificationSet,
    Files,
    Paths,
    TextSet,
    TranslationSet,
)
from hpsearch.data import columns, encoding, files, functions, parallel, paths, rows, texts
from hpsearch.data.findings import Findings
from hpsearch.data.packed import parts as parts_of
from hpsearch.data.splits import PARTS, Example, Splits, check_labels, divide, warnings
from hpsearch.errors import DataError

__all__ = ["Example", "Splits", "check_sources", "fingerprint", "identify", "load", "warnings"]

NAMES = {"train": ("train",), "valid": ("dev", "val", "validation", "valid"), "test": ("test",)}  # of the hub's splits


def load(name: str, data_set: AnySet, *, cache: Path | None, base: Path) -> Splits:
    """The examples of a set in their splits, under their canonical keys.

    base: the folder that relative paths start from; cache: where the `datasets` library keeps its files (None: in its
    own place). Raises DataError, with file and line, for whatever is not as the config says.
    """
    found = Findings(name, data_set.skip_bad_rows)
    with _about(name):
        parts = _parts(name, data_set, found, cache=cache, base=base)
        warned = found.warnings(sum(map(len, parts.values())))
        with _lines_hint(data_set, parts):
            splits = divide(name, parts, data_set.split)
        if isinstance(data_set, ClassificationSet):
            check_labels(name, splits)
    return replace(splits, warned=warned, told=found.told)


@contextmanager
def _lines_hint(data_set: AnySet, parts: dict[str, list[Example]]) -> Iterator[None]:
    """Has the refusal of too few texts say that each of their lines could be one."""
    try:
        yield
    except DataError as error:
        n = sum(example.get("text", "").strip().count("\n") + 1 for example in parts["train"])
        if not isinstance(data_set, TextSet) or data_set.lines or n < 3 * len(parts["train"]):
            raise
        raise DataError(f"{error}; {n} lines without blank lines between: if each is an example, lines: true") from None


def check_sources(name: str, data_set: AnySet, *, base: Path) -> None:
    """Raises DataError for what shows at once: no such file, an unknown ending, a missing column or function."""
    with _about(name):
        if _origin(data_set).startswith(functions.PREFIX):
            functions.find(name, _origin(data_set), base)
            return
        for some in (_file_paths(name, data_set, base) or {}).values():
            for path in some:
                _check_file(name, data_set, path)


def _check_file(name: str, data_set: AnySet, path: Given) -> None:
    if isinstance(path, tuple):
        for side in path:
            files.check_regular(side)
            encoding.check_beginning(files.table_part(side), data_set.encoding)
        return
    _check_kind(name, data_set, path)
    if _format(data_set, path) == "txt":
        for part in parts_of(path):
            encoding.check_beginning(part, data_set.encoding)
    elif not (data_set.skip_bad_rows and _format(data_set, path) == "jsonl"):
        _check_columns(data_set, path)


def _check_columns(data_set: AnySet, path: Path) -> None:
    layout = rows.Layout.of(data_set)
    there = rows.columns_in(path, layout)
    columns.require(str(path), there, data_set, hint=rows.hint(path, layout, there))


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
    form = {key: value for key, value in data_set.model_dump(mode="json").items() if key in FORM}
    if form:
        keys["form"] = form
    is_function = _origin(data_set).startswith(functions.PREFIX)
    some = None if is_function else _file_paths(name, data_set, base)
    if some is not None and (data_set.files or _named_file(data_set, base)):
        digests = {part: [_file_digest(data_set, path) for path in one] for part, one in some.items()}
    elif not is_function and (folder := _local_folder(name, data_set, base)):
        digests = _folder_digests(folder)
        if any(_is_quoted(data_set, path) for one in (some or {}).values() for path in one):
            keys["form"] = {**form, "quoted": True}
    else:
        splits = load(name, data_set, cache=cache, base=base)
        return _digest([keys, [splits.train, splits.valid, splits.test]]), splits
    return _digest([keys, digests]), None


def _folder_digests(folder: Path) -> dict[str, str]:
    found = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    return {str(path.relative_to(folder)): files.digest(path) for path in found}


def _file_digest(data_set: AnySet, path: Given) -> list[str]:
    """What the examples of one file depend on; a quoted tsv is said to be one, as it was not always read so."""
    if isinstance(path, tuple):
        return ["aligned", *map(files.digest, path)]
    return [_format(data_set, path), files.digest(path), *(["quoted"] if _is_quoted(data_set, path) else [])]


def _is_quoted(data_set: AnySet, path: Given) -> bool:
    return isinstance(path, Path) and rows.quoted(path, rows.Layout.of(data_set))


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


def _parts(name: str, data_set: AnySet, found: Findings, *, cache: Path | None, base: Path) -> dict[str, list[Example]]:
    if _origin(data_set).startswith(functions.PREFIX):
        return functions.examples(name, data_set, base)
    some = _file_paths(name, data_set, base)
    if some is None:
        return _from_library(name, data_set, found, folder=_local_folder(name, data_set, base), cache=cache)
    found.told += [f"data.{name}: {part} from {_listed(one)}" for part, one in some.items()]
    return _from_files(name, data_set, some, found, cache=cache)


# ---------------------------------------------------------------------------------------------------------------- files

Given = Path | tuple[Path, Path]
"""A file, or the two of a pair whose lines are aligned."""


def _file_paths(name: str, data_set: AnySet, base: Path) -> dict[str, list[Given]] | None:
    """The set's files by split; None where the `datasets` library is to find them."""
    named = data_set.files or _named_file(data_set, base)
    if named is not None:
        given = {part: one for part in PARTS if (one := getattr(named, part)) is not None}
        return {part: _paths(data_set, one, base) for part, one in given.items()}
    folder = _local_folder(name, data_set, base)
    if folder is None or _is_saved(folder):
        return None
    some = paths.splits_in(folder, data_set.splits)
    return None if some is None else {part: list(one) for part, one in some.items()}


def _named_file(data_set: AnySet, base: Path) -> Files | None:
    """`dataset: reviews.csv` as the files that it means: what lies there, or has the ending of a file of data."""
    path = paths.place(base, _origin(data_set))
    if os.path.isdir(path) or not (os.path.isfile(path) or files.known_format(path) or "*" in path.name):
        return None
    return Files(train=_origin(data_set))


def _paths(data_set: AnySet, named: Paths | Aligned, base: Path) -> list[Given]:
    if not isinstance(named, Aligned):
        return list(paths.found(base, named, task=data_set.task, delimiter=data_set.delimiter))
    if not isinstance(data_set, TranslationSet):
        raise DataError(f"source and target files are for task: translation, not {data_set.task}")
    sides = [paths.found(base, side, task="text") for side in (named.source, named.target)]
    parallel.check_as_many(*sides)
    return list(zip(*sides, strict=True))


def _listed(some: list[Given]) -> str:
    return paths.listed(f"{path[0].name} with {path[1].name}" if isinstance(path, tuple) else path for path in some)


def _format(data_set: AnySet, path: Path) -> str:
    return files.format_of(path, delimiter=data_set.delimiter)


def _check_kind(name: str, data_set: AnySet, path: Path) -> None:
    aligned = f"; two files of aligned lines are {ALIGNED}"
    try:
        files.check_regular(path)
    except DataError as error:
        lacks = isinstance(data_set, TranslationSet) and not os.path.exists(path)
        raise DataError(f"{error}{aligned if lacks else ''}") from None
    text = files.known_format(path) in (None, "txt") and data_set.delimiter is None
    if text and isinstance(data_set, TranslationSet):
        raise DataError(f"{path}: a text file has no columns for source and target{aligned}")
    if _format(data_set, path) == "txt" and not isinstance(data_set, TextSet):
        raise DataError(
            f"{path}: a .txt file has no columns, data.{name} ({data_set.task}) wants a table of examples; "
            "if it holds one, say what stands between its columns: delimiter: '\\t'"
        )


def _from_files(
    name: str, data_set: AnySet, some: dict[str, list[Given]], found: Findings, *, cache: Path | None
) -> dict[str, list[Example]]:
    """With a valid file a .txt is one document; without, paragraphs are what is dealt out."""
    parts: dict[str, list[Example]] = {}
    whole = "valid" in some
    for part, one in some.items():
        examples: list[Example] = []
        for path in one:
            if isinstance(path, tuple):
                examples += _from_pair(path, data_set, found)
                continue
            _check_kind(name, data_set, path)
            if _format(data_set, path) == "txt":
                examples += [{"text": text} for text in _texts(path, data_set, found, whole=whole)]
            else:
                examples += _read(path, data_set, found, cache=cache)
        parts[part] = examples
    if whole and any(_is_document(data_set, path) for path in some["train"]):
        parts.setdefault("test", [])  # a document is not cut up for a test split that nobody gave
    return parts


def _is_document(data_set: AnySet, path: Given) -> bool:
    return (
        isinstance(data_set, TextSet)
        and not data_set.lines
        and isinstance(path, Path)
        and _format(data_set, path) == "txt"
    )


def _texts(path: Path, data_set: AnySet, found: Findings, *, whole: bool) -> list[str]:
    lines = isinstance(data_set, TextSet) and data_set.lines
    read = texts.single_lines if lines else texts.documents if whole else texts.paragraphs
    return read(path, data_set.encoding, found)


def _from_pair(path: tuple[Path, Path], data_set: AnySet, found: Findings) -> list[Example]:
    pairs = parallel.pairs(*path, data_set.encoding, found)
    examples = list(_examples(pairs, data_set.model_copy(update={"source": "source", "target": "target"}), found))
    if not examples:
        raise DataError(f"{path[0]}: the file holds no text")
    return examples


def _read(path: Path, data_set: AnySet, found: Findings, *, cache: Path | None) -> list[Example]:
    if _format(data_set, path) == "parquet":
        examples = _from_parquet(path, data_set, found, cache)
    else:
        if _format(data_set, path) != "jsonl":
            _check_columns(data_set, path)
        examples = list(_examples(rows.records(path, rows.Layout.of(data_set), found), data_set, found))
    if not examples and not found.skipped:
        raise DataError(f"{path}: no examples (a header alone, or blank lines)")
    return examples


def _examples(records: Iterator[tuple[str, Any]], data_set: AnySet, found: Findings) -> Iterator[Example]:
    for where, record in records:
        try:
            yield columns.example(where, record, data_set)
        except DataError as error:
            found.bad(error)


def _from_parquet(path: Path, data_set: AnySet, found: Findings, cache: Path | None) -> list[Example]:
    _check_columns(data_set, path)
    with _library(str(path)) as datasets:
        table = datasets.load_dataset("parquet", data_files=[str(path)], cache_dir=_folder(cache), split="train")
    return list(_table_examples(f"{path}:", table, data_set, found))


# ---------------------------------------------------------------------------------------------------------- the library


def _local_folder(name: str, data_set: AnySet, base: Path) -> Path | None:
    """The folder that `dataset` names (or its configuration's in it), or None for a name on the hub."""
    origin = _origin(data_set)
    folder = paths.place(base, origin)
    if os.path.isdir(folder):
        inner = folder / (data_set.config or ".")
        return inner if inner.is_dir() else folder
    if not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", origin):
        near = files.near(folder)
        raise DataError(f"data.{name}: dataset {origin!r}: no such folder, and no name of a data set on the hub{near}")
    return None


def _origin(data_set: AnySet) -> str:
    return data_set.dataset or ""


def _is_saved(folder: Path) -> bool:
    """Whether the folder is what the library's save_to_disk writes."""
    return (folder / "dataset_dict.json").exists() or (folder / "state.json").exists()


def _from_library(
    name: str, data_set: AnySet, found: Findings, *, folder: Path | None, cache: Path | None
) -> dict[str, list[Example]]:
    where = f"data.{name}: dataset {_origin(data_set)!r}" + ("" if folder else " (no folder, so sought on the hub)")
    with _library(where) as datasets:
        if folder and _is_saved(folder):
            loaded = datasets.load_from_disk(str(folder))
        else:
            config = [data_set.config] if data_set.config and (not folder or folder.name != data_set.config) else []
            loaded = datasets.load_dataset(str(folder or _origin(data_set)), *config, cache_dir=_folder(cache))
    tables = loaded if isinstance(loaded, dict) else {"train": loaded}
    named = _named_splits(where, data_set, list(tables))
    found.told += [f"data.{name}: {_told_splits(named, tables)}"]
    return {
        part: list(_table_examples(f"{where}: {part}", tables[other], data_set, found)) for part, other in named.items()
    }


def _named_splits(where: str, data_set: AnySet, there: list[str]) -> dict[str, str]:
    """{our split: its name there}, as `splits` says or by the usual names."""
    if data_set.splits is not None:
        named = {part: other for part, other in data_set.splits.model_dump().items() if other is not None}
    else:
        named = {part: other for part, others in NAMES.items() for other in others if other in there}
    for part in named if "train" in named else ("train",):
        if named.get(part) not in there:
            other = named.get(part, part)
            raise DataError(
                f"{where}: no {other} split, there are: {', '.join(there)}; splits: {{{part}: NAME}} names it"
            )
    return named


def _told_splits(named: dict[str, str], tables: dict[str, Any]) -> str:
    taken = ", ".join(f"{part} from its split {other}" for part, other in named.items())
    left = [other for other in tables if other not in named.values()]
    return taken + (f"; not read: {', '.join(left)}" if left else "")


def _table_examples(where: str, table: Any, data_set: AnySet, found: Findings) -> Iterator[Example]:
    columns.require(where, _names(table.features), data_set)
    records = ((f"{where} row {i + 1}", row) for i, row in enumerate(_rows(table, data_set)))
    yield from _examples(records, data_set, found)


def _names(features: Any) -> list[str]:
    """The columns of a library's table, those inside of others as "translation.en"."""
    return columns.names_in(features)


def _rows(table: Any, data_set: AnySet) -> Iterator[dict[str, Any]]:
    """The rows of a library's table, the numbers of its class labels as their names."""
    names = _names(table.features)
    outers = [[name, name.partition(".")[0], *columns.outers_of(name, names)] for name in columns.wanted(data_set)]
    tops = [next(name for name in some if name in table.column_names) for some in outers]
    table = table.select_columns(list(dict.fromkeys(tops)))
    labels = {column: kind.int2str for column, kind in table.features.items() if hasattr(kind, "int2str")}
    for row in table:
        yield {key: labels[key](value) if key in labels and value is not None else value for key, value in row.items()}


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
        lines = " ".join(line.strip() for line in str(error).strip().splitlines()[:3])[:300]
        raise DataError(f"{where}: the datasets library cannot load it ({type(error).__name__}: {lines})") from error
