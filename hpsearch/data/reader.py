"""Reads a set's files into examples, and checks the files before."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch.config import ALIGNED, DataSet
from hpsearch.data import aligned_files, columns, dataframes, file_formats, hf_datasets, rows, text_encoding, text_files
from hpsearch.data.compressed import parts as parts_of
from hpsearch.data.locations import Given, format_of
from hpsearch.data.read_report import ReadReport
from hpsearch.data.splits import Example
from hpsearch.data.targets import Targets
from hpsearch.errors import DataError


@dataclass(frozen=True)
class Reader:
    """Reads the files of one set."""

    name: str
    data_set: DataSet
    report: ReadReport

    # ---------------------------------------------------------------------------------------------------- beforehand

    def check(self, path: Given, part: str) -> None:
        """Raises DataError for mistakes that show early: a missing file, an unknown ending, a missing column."""
        if isinstance(path, tuple):
            for side in path:
                file_formats.check_regular(side)
                text_encoding.check_beginning(file_formats.table_part(side), self.data_set.encoding)
            return
        self._check_kind(path)
        kind = format_of(self.data_set, path)
        if kind == "txt":
            for one in parts_of(path):
                text_encoding.check_beginning(one, self.data_set.encoding)
        elif not (self.data_set.skip_bad_rows and kind == "jsonl"):
            self._check_columns(path, Targets(self.data_set, part).optional)

    def _check_columns(self, path: Path, optional: str | None) -> None:
        layout = rows.Layout.of(self.data_set)
        there = rows.columns_in(path, layout)
        kind = format_of(self.data_set, path)
        if kind in ("csv", "tsv", "parquet"):
            columns.require_one_each(f"{path}:1" if kind != "parquet" else str(path), there, self.data_set)
        hint = rows.hint(path, layout, there)
        columns.require(str(path), there, self.data_set, optional=optional, hint=hint)

    def _check_kind(self, path: Path) -> None:
        pair = f"; two files of aligned lines are {ALIGNED}" if self.data_set.reads_aligned_files else ""
        try:
            file_formats.check_regular(path)
        except DataError as error:
            raise DataError(f"{error}{'' if os.path.exists(path) else pair}") from None
        if file_formats.known_format(path) in (None, "txt") and not self.data_set.delimiter and pair:
            keys = " and ".join(columns.columns_of(self.data_set))
            raise DataError(f"{path}: a text file has no columns for {keys}{pair}")
        if format_of(self.data_set, path) == "txt" and not self.data_set.reads_text_files:
            raise DataError(
                f"{path}: a .txt file has no columns, data.{self.name} ({self.data_set.task_name}) wants a table of "
                'examples; if it holds one, say what stands between its columns: delimiter: "\\t"'
            )

    # ------------------------------------------------------------------------------------------------------ to examples

    def examples(self, some: dict[str, list[Given]]) -> dict[str, list[Example]]:
        """The examples by split; a .txt is one document if there is a valid file, else each paragraph is an example."""
        parts: dict[str, list[Example]] = {}
        whole = "valid" in some
        for part, one in some.items():
            targets = Targets(self.data_set, part)
            parts[part] = [example for path in one for example in self._read(path, targets, whole=whole)]
        if whole and any(self._is_document(path) for path in some["train"]):
            parts.setdefault("test", [])  # a document is not divided to make a test split
        if not whole and all(self._is_document(path) for path in some["train"]):
            parts["train"] = self._lines_of_few(parts["train"], n_parts=2 + self._cuts_test(some))
        return parts

    def _cuts_test(self, some: dict[str, list[Given]]) -> bool:
        return "test" not in some and self.data_set.split.test > 0

    def _lines_of_few(self, examples: list[Example], *, n_parts: int) -> list[Example]:
        """The paragraphs, or their lines (with a warning) if there are fewer paragraphs than splits."""
        key = next(iter(columns.columns_of(self.data_set)))
        if len({example[key] for example in examples}) >= n_parts:
            return examples
        lines = [line.rstrip("\r") for example in examples for line in example[key].split("\n") if line.strip()]
        if len(set(lines)) < n_parts:
            return examples
        self.report.doubts.append(
            f"data.{self.name}: {len(examples)} {'text is' if len(examples) == 1 else 'texts are'} too few to be dealt "
            f"out to {n_parts} splits, so each of the {len(lines)} lines is an example: lines: true if that is meant, "
            "else put blank lines between the examples, or give a valid file"
        )
        return [{key: line} for line in lines]

    def _is_document(self, path: Given) -> bool:
        is_lines = self.data_set.lines_are_examples
        return isinstance(path, Path) and not is_lines and format_of(self.data_set, path) == "txt"

    def _read(self, path: Given, targets: Targets, *, whole: bool) -> list[Example]:
        skipped = self.report.skipped
        if isinstance(path, tuple):
            examples = self._of_pair(path, targets)
        else:
            self._check_kind(path)
            kind = format_of(self.data_set, path)
            targets.typed = kind not in ("csv", "tsv")
            examples = self._texts(path, whole=whole) if kind == "txt" else self._of_table(path, kind, targets)
        if not examples and self.report.skipped == skipped:
            raise DataError(f"{path}: no examples (a header alone, or blank lines)")
        return examples

    def _texts(self, path: Path, *, whole: bool) -> list[Example]:
        read = (
            text_files.single_lines
            if self.data_set.lines_are_examples
            else text_files.documents
            if whole
            else text_files.paragraphs
        )
        return [columns.document(text, self.data_set) for text in read(path, self.data_set.encoding, self.report)]

    def _of_pair(self, path: tuple[Path, Path], targets: Targets) -> list[Example]:
        sides = self.data_set.model_copy(update={"source": "source", "target": "target"})
        pairs = aligned_files.pairs(*path, self.data_set.encoding, self.report)
        return examples_of(pairs, sides, targets, self.report)

    def _of_table(self, path: Path, kind: str, targets: Targets) -> list[Example]:
        layout = rows.Layout.of(self.data_set)
        if kind != "jsonl":
            self._check_columns(path, targets.optional)
        if kind == "parquet":
            names = columns.outers(rows.parquet_names(path), rows.columns_in(path, layout), self.data_set)
            return self.of_library(str(path), hf_datasets.parquet(path, names), targets)
        records = rows.records(path, layout, self.report)
        return examples_of(records, self.data_set, targets, self.report)

    def of_library(self, where: str, table: Any, targets: Targets) -> list[Example]:
        """The examples of a table of the `datasets` library."""
        records = enumerate(dataframes.rows(where, table, self.data_set, optional=targets.optional), start=1)
        placed = ((f"{where}{':' if where.endswith('.parquet') else ''} row {i}", row) for i, row in records)
        return examples_of(placed, self.data_set, targets, self.report)


def examples_of(
    records: Iterable[tuple[str, Any]], data_set: DataSet, targets: Targets, report: ReadReport
) -> list[Example]:
    """The examples of (where, record) pairs; `report` refuses or skips a bad record."""
    examples = []
    for where, record in records:
        try:
            examples.append(columns.example(where, record, data_set, targets))
        except DataError as error:
            report.add_bad_row(error)
    return examples
