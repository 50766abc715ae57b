"""Data sets for the files that were found: the keys that the space file gets, and the examples that were read."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hpsearch.data import file_formats, sources
from hpsearch.data.guessed_encoding import guessed
from hpsearch.data.holdout import divide
from hpsearch.data.read_report import ReadReport
from hpsearch.data.splits import LABEL, Splits
from hpsearch.data.text_files import paragraphs, single_lines
from hpsearch.errors import DataError, UserError
from hpsearch.preflight.draft.guesses import guess
from hpsearch.preflight.draft.origins import Origin
from hpsearch.preflight.draft.questions import Answers
from hpsearch.preflight.draft.table import FEW_BAD, Table, library_table, table_of, tables_of
from hpsearch.tasks import TASKS, TaskSet

SAMPLE = 60  # characters of a text that show whether its encoding is right
MOST_HELD_OUT = 10_000  # examples of a split that is cut from the training examples
FEW_PARAGRAPHS = 10  # in fewer, the lines of a text are its examples


@dataclass(frozen=True)
class Found:
    """One data set of the draft."""

    name: str
    keys: dict[str, Any]  # as the space file has them, paths as they are
    reasons: dict[str, str]  # by key, in a few words
    section: TaskSet
    splits: Splits
    notes: tuple[str, ...] = field(default=())

    @property
    def task(self) -> str:
        """text, translation or classification."""
        return self.section.task_name


def found(origin: Origin, answers: Answers, *, shared: bool = False) -> Found:
    """Guesses the set's task and columns, and reads it; in a guessed encoding where it is not UTF-8.

    shared: the answers are about other sets, too, so that columns that this one lacks are theirs. Raises DataError,
    with file and line, for data that cannot be trained on, and UserError for what cannot be guessed.
    """
    try:
        return _found(origin, answers, answers.encoding, shared=shared)
    except DataError as error:
        if answers.encoding is not None or not _is_undecodable(error):
            raise
        encoding = guessed([some[0] for by_split in (origin.files, origin.targets) for some in by_split.values()])
        if encoding is None:
            raise
        try:
            made = _found(origin, answers, encoding, shared=shared)
        except DataError as other:
            raise (error if f"not {encoding}" in str(other) else other) from None
        except UserError as other:
            raise UserError(f"{other}; it was read as {encoding}: if that is wrong, give --encoding") from None
        return replace(made, notes=(*made.notes, _read_as(made, encoding)))


def _is_undecodable(error: DataError) -> bool:
    return "is not UTF-8" in str(error)


def _read_as(made: Found, encoding: str) -> str:
    """Says in which encoding a set was read, with a text of it that is not all ASCII."""
    values = (value for example in made.splits.train for value in example.values() if isinstance(value, str))
    sample = next((value for value in values if not value.isascii()), "")
    return f"{made.name}: not UTF-8, read as {encoding}: {around(sample)!r}; if that is wrong, give --encoding"


def around(text: str) -> str:
    """The part of a text around its first character beyond ASCII, with ... where it was cut."""
    at = next((place for place, character in enumerate(text) if not character.isascii()), 0)
    first = max(0, min(at - SAMPLE // 2, len(text) - SAMPLE))
    last = first + SAMPLE
    return f"{'...' if first else ''}{text[first:last]}{'...' if last < len(text) else ''}"


def _found(origin: Origin, answers: Answers, encoding: str | None, *, shared: bool) -> Found:
    keys, reasons = _keys(origin, answers, encoding, shared=shared)
    if encoding is not None:
        keys["encoding"] = encoding
        reasons["encoding"] = "as given" if answers.encoding else "the file is not UTF-8; is the text at the top right?"
    section = TASKS[keys["task"]].model_validate(keys)
    try:
        splits = _read(origin.name, section)
    except DataError as error:
        section, splits = _skipping(origin.name, section, error)
        keys["skip_bad_rows"] = True
        reasons["skip_bad_rows"] = "few rows are bad, see the warning; better mend them"
    if splits.cut:
        keys["split"] = shares = _shares(splits)
        if min(shares.values()) < section.split.valid:
            section = TASKS[keys["task"]].model_validate(keys)
            splits = _divided(origin.name, splits, section)
    if section.target_key == LABEL:
        reasons["label"] = f"{len({example[LABEL] for example in splits.train})} labels"
    reasons["split"] = "shares that are cut from the training examples"
    about_task = (f"{origin.name}: {reasons['task']}",) if "task" in reasons else ()
    return Found(origin.name, keys, reasons, section, splits, (*origin.notes, *about_task, *splits.notes))


def _read(name: str, section: TaskSet) -> Splits:
    sources.check_sources(name, section, base=Path())
    with tempfile.TemporaryDirectory() as cache:
        return sources.load(name, section, cache=Path(cache), base=Path())


def _skipping(name: str, section: TaskSet, error: DataError) -> tuple[TaskSet, Splits]:
    """The set without its bad rows, if they are few; else raises the error that it was refused with."""
    lenient = section.model_copy(update={"skip_bad_rows": True})
    try:
        splits = _read(name, lenient)
    except DataError:
        raise error from None
    counts = [found for line in splits.warnings if (found := re.search(r": (\d+) of (\d+) rows skipped", line))]
    if _is_undecodable(error) or not counts or int(counts[0][1]) > FEW_BAD * int(counts[0][2]):
        raise error
    return lenient, splits


def _divided(name: str, splits: Splits, section: TaskSet) -> Splits:
    """The same examples with the shares of the set."""
    parts = {part: getattr(splits, part) for part in ("valid", "test") if part not in splits.cut}
    train = [*splits.train, *(example for part in splits.cut for example in getattr(splits, part))]
    made = divide(name, {"train": train, **parts}, section.split)
    return replace(made, warnings=splits.warnings, notes=splits.notes, untested=splits.untested)


def _shares(splits: Splits) -> dict[str, float]:
    """The shares to cut: a tenth, or what an evaluation needs at most."""
    total = len(splits.train) + sum(len(getattr(splits, part)) for part in splits.cut)
    share = min(0.1, float(f"{MOST_HELD_OUT / max(1, total):.1g}"))
    return dict.fromkeys(sorted(splits.cut, reverse=True), share)


def _keys(
    origin: Origin, answers: Answers, encoding: str | None, *, shared: bool
) -> tuple[dict[str, Any], dict[str, str]]:
    """The keys of the set without its shares, and the reasons."""
    if origin.targets:
        _refuse_other_task("translation", answers, "two files of aligned lines")
        return {"task": "translation", "files": _aligned(origin)}, {}
    if origin.library and not origin.files:
        table = library_table(tables_of(origin.name, origin.folder)["train"])  # type: ignore[arg-type]
        return _of_table({"dataset": str(origin.folder)}, table, answers, shared=shared)
    if origin.delimiter is None and all(file_formats.known_format(path) == "txt" for path in origin.files["train"]):
        _refuse_other_task("text", answers, "text files without columns")
        return _of_texts(origin, encoding)
    table = table_of(origin.first, delimiter=origin.delimiter, encoding=encoding)
    keys, reasons = _of_table(_place(origin), table, answers, shared=shared)
    if table.delimiter is not None:
        keys["delimiter"], reasons["delimiter"] = table.delimiter, "between the columns"
    return keys, reasons


def _of_table(
    origin: Mapping[str, Any], table: Table, answers: Answers, *, shared: bool
) -> tuple[dict[str, Any], dict[str, str]]:
    if not table.n_rows:
        raise DataError(f"{next(iter(origin.values()))}: no examples (a header alone, or blank lines)")
    made = guess(table, answers.for_columns(lambda name: table.named(name) is not None) if shared else answers)
    return {"task": made.task, **origin, **made.keys}, made.reasons


def _of_texts(origin: Origin, encoding: str | None) -> tuple[dict[str, Any], dict[str, str]]:
    """Text files; without a valid file, the lines of a text with few paragraphs are its examples."""
    keys: dict[str, Any] = {"task": "text", **_place(origin)}
    if "valid" in origin.files or len(origin.files["train"]) > 1:
        return keys, {}
    report = ReadReport(origin.name)
    if len(paragraphs(origin.first, encoding, report)) >= FEW_PARAGRAPHS:
        return keys, {}
    if len(single_lines(origin.first, encoding, report)) < FEW_PARAGRAPHS:
        return keys, {}
    return keys | {"lines": True}, {"lines": "the file has no blank lines between its texts"}


def _refuse_other_task(task: str, answers: Answers, what: str) -> None:
    if answers.task not in (None, task):
        raise UserError(f"--task {answers.task}: {what} can only be of task {task}")


def _place(origin: Origin) -> dict[str, Any]:
    """`dataset` or `files`."""
    return {"dataset": str(origin.folder)} if origin.library else {"files": _files(origin)}


def _files(origin: Origin) -> dict[str, Any]:
    if origin.folder is not None:
        return {"train": str(origin.folder)}
    return {part: _one_or_several(some) for part, some in origin.files.items()}


def _aligned(origin: Origin) -> dict[str, Any]:
    return {
        part: {"source": _one_or_several(some), "target": _one_or_several(origin.targets[part])}
        for part, some in origin.files.items()
    }


def _one_or_several(some: list[Path]) -> str | list[str]:
    return str(some[0]) if len(some) == 1 else [str(path) for path in some]


def relative(keys: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The keys with their paths relative to the folder of the space file."""
    return {key: _relative(value, folder) if key in ("files", "dataset") else value for key, value in keys.items()}


def _relative(value: Any, folder: Path) -> Any:
    if isinstance(value, Mapping):
        return {key: _relative(inner, folder) for key, inner in value.items()}
    if isinstance(value, list):
        return [_relative(inner, folder) for inner in value]
    return Path(os.path.relpath(value, folder)).as_posix()
