"""Two text files of aligned lines as pairs: line i of one translates line i of the other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from hpsearch.data import file_formats
from hpsearch.data.read_report import ReadReport
from hpsearch.data.text_encoding import lines
from hpsearch.errors import DataError

Pair = tuple[str, dict[str, str]]  # where, {"source", "target"}


def check_as_many(sources: list[Path], targets: list[Path]) -> None:
    """Raises DataError unless there are as many source files as target files."""
    if len(sources) != len(targets):
        raise DataError(f"{len(sources)} source files, {len(targets)} target files: they go together one by one")


def pairs(source: Path, target: Path, encoding: str | None, report: ReadReport) -> Iterator[Pair]:
    """Yields the lines of the two files in pairs; lines that are blank in both are left out.

    Raises DataError for files of different lengths, and for a line that is blank on one side unless `report` skips it.
    """
    sides = [_numbered(path, encoding) for path in (source, target)]
    for number, (one, other) in enumerate(zip_longest(*sides), start=1):
        if one is None or other is None:
            if (one or other or "").strip():
                raise DataError(_unequal(source, target, encoding))
            continue  # blank lines at the end of one file
        blank = [not one.strip(), not other.strip()]
        if all(blank):
            continue
        if any(blank):
            empty, full = (source, target) if blank[0] else (target, source)
            report.add_bad_row(DataError(f"{empty}:{number}: the line is blank, its partner {full}:{number} is not"))
            continue
        yield f"{source}:{number}", {"source": one, "target": other}


def _numbered(path: Path, encoding: str | None) -> Iterator[str]:
    """The lines; a line that is not text is always an error, since skipping it would shift the pairs."""
    file_formats.check_regular(path)
    for _, line in lines(file_formats.table_part(path), encoding):
        yield line.rstrip("\r\n")


def _unequal(source: Path, target: Path, encoding: str | None) -> str:
    counts = [sum(1 for _ in _numbered(path, encoding)) for path in (source, target)]
    return f"{source} has {counts[0]} lines, {target} has {counts[1]}: line i of one translates line i of the other"
