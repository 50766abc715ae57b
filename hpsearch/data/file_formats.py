"""A data file's format (by its ending), checks that it is a regular file, and the digest of its bytes."""

from __future__ import annotations

import difflib
import hashlib
import os
from pathlib import Path

from hpsearch.config import FUNCTION
from hpsearch.data.compressed import ENDINGS, Part, data_errors, packing, parts, unpacked_name
from hpsearch.errors import DataError

FORMATS = {
    ".txt": "txt",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}


def format_of(path: Path, *, delimiter: str | None = None) -> str:
    """The format by the file's ending: "txt", "jsonl", "csv", "tsv" or "parquet".

    With a delimiter a .txt file, or one with an unknown ending, is a csv. Raises DataError for an unknown ending.
    """
    found = known_format(path)
    if found in (None, "txt") and delimiter is not None:
        return "csv"
    if found is None:
        suffix = Path(unpacked_name(path)).suffix.lower()
        allowed = f"{', '.join(FORMATS)} (all but .parquet also {', '.join(ENDINGS)})"
        other = f"others are read by a function: {FUNCTION}"
        if packing(path) == ".zip" and os.path.isfile(path):
            names = ", ".join(part.name for part in parts(path)[:3])
            raise DataError(
                f"{path}: files of no or several formats in it ({names}), one is expected: {allowed}; {other}"
            )
        raise DataError(f"{path}: unknown ending {suffix or path.name!r}, allowed: {allowed}; {other}")
    if found == "parquet" and packing(path):
        raise DataError(f"{path}: parquet is packed already, give the file without {packing(path)}")
    return found


def known_format(path: Path) -> str | None:
    """The format by the file's ending, or by the endings of a .zip's members; None if it is unknown."""
    found = FORMATS.get(Path(unpacked_name(path)).suffix.lower())
    if found is None and packing(path) == ".zip" and os.path.isfile(path):
        formats = {FORMATS.get(Path(part.name).suffix.lower()) for part in parts(path)}
        return formats.pop() if len(formats) == 1 else None
    return found


def table_part(path: Path) -> Part:
    """The file, or the only member of a .zip; raises DataError for a .zip with several members."""
    some = parts(path)
    if len(some) > 1:
        names = ", ".join(part.name for part in some[:3])
        raise DataError(f"{path}: {len(some)} tables in one .zip ({names}, ...), one is expected; unpack it")
    return some[0]


def check_regular(path: Path) -> None:
    """Raises DataError unless the path is a regular, non-empty file."""
    with data_errors(path):
        kinds = {
            "is a folder": path.is_dir(),
            "is not a regular file": path.exists(),
            "is a link to nothing or to itself": path.is_symlink(),
            "no such file": True,
        }
        if not path.is_file():
            what = next(kind for kind, holds in kinds.items() if holds)
            raise DataError(f"{path}: {what}, a data file is expected{near(path) if what == 'no such file' else ''}")
        if path.stat().st_size == 0:
            raise DataError(f"{path}: the file is empty")


def near(path: Path) -> str:
    """A hint, for a message: the files beside a missing one that have similar names."""
    try:
        there = [entry.name for entry in os.scandir(path.parent) if not entry.name.startswith(".")]
    except OSError:
        return f"; there is no folder {str(path.parent)!r} either"
    names = difflib.get_close_matches(path.name, there, n=2, cutoff=0.7)
    names += sorted(name for name in there if name.startswith(f"{path.name}.") and name not in names)[:2]
    return f"; did you mean {' or '.join(repr(name) for name in names)}?" if names else ""


def digest(path: Path) -> str:
    """The SHA-256 (hex) of the file's bytes, without unpacking them."""
    check_regular(path)
    with data_errors(path), path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
