"""The examples that a model is measured on: a split of a space file's data sets, or all of a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch.config import Section
from hpsearch.data import sources
from hpsearch.data.columns import wanted
from hpsearch.data.splits import Example
from hpsearch.errors import DataError, UserError
from hpsearch.serving.models.file_form import fitted, is_table, without_keys
from hpsearch.serving.models.folder import ModelFolder
from hpsearch.space.experiment import Experiment
from hpsearch.tasks import AnySet, EvaluationConfig, TaskSet
from hpsearch.training.uses import SetUse

FILE = "file"  # the split of a file that is measured whole
KEYS = {"text": ("text",), "classification": ("text", "label"), "translation": ("source", "target")}  # the columns


@dataclass(frozen=True)
class Examples:
    """Examples of one data set, to be measured by its task."""

    name: str  # of the data set
    section: TaskSet  # its section of the space file
    split: str
    examples: list[Example]
    reference: list[Example]  # of the train split: by them a task chooses how it scores
    evaluation: EvaluationConfig
    fingerprint: str = ""  # of the data set


class _Sets(Section):
    """Sections of data sets."""

    data: dict[str, AnySet]


def of_space(experiment: Experiment, split: str, names: tuple[str, ...] = ()) -> Iterator[Examples]:
    """Yields a split of each data set of a space file, or of those named; raises UserError for what is not there."""
    config = experiment.space_file.config
    sets: Mapping[str, Any] = getattr(config, "data", None) or {}
    sets = {name: one for name, one in sets.items() if isinstance(one, TaskSet)}
    if not sets:
        raise UserError(f"{experiment.path}: no data sets with a task in it: there is nothing to measure a model on")
    for name in names:
        if name not in sets:
            raise UserError(f"{experiment.path}: no data set {name!r}; allowed: {', '.join(sets)}")
    evaluation = getattr(config, "evaluation", None)
    for name in names or sets:
        found = sources.load(name, sets[name], cache=None, base=experiment.base)
        examples = found.parts().get(split)
        if not examples:
            there = ", ".join(found.parts())
            raise DataError(f"{experiment.path}: data.{name}: it has no {split} split; allowed: {there}")
        known = sources.fingerprint(name, sets[name], base=experiment.base)
        how = evaluation if isinstance(evaluation, EvaluationConfig) else EvaluationConfig()
        yield Examples(name, sets[name], split, examples, found.train, how, known)


def of_file(path: Path, folder: ModelFolder, use: SetUse, columns: Mapping[str, str]) -> Examples:
    """All examples of a file, as the data set of the use; `columns`: key of the task -> column of the file.

    The other keys (columns, encoding, `positive`) are those of the model's training, where it is known.
    """
    known = (folder.trained.get("data") or {}).get(use.name) or {"task": use.task}
    allowed = KEYS.get(use.task, ())
    for key in columns:
        if allowed and key not in allowed:
            raise UserError(f"column {key}={columns[key]}: {use.task} has no {key!r}; allowed: {', '.join(allowed)}")
    whole = {key: value for key, value in known.items() if value is not None and key not in ("files", "dataset")}
    place = str(path.resolve())
    raw = whole | dict(columns) | {"files": {"train": place, "valid": place}, "split": {"test": 0.0}, "weight": 1.0}
    section = _Sets.model_validate({"data": {use.name: raw}}).data[use.name]
    if not path.exists():
        raise DataError(f"{path}: no such file")
    with without_keys():
        section = fitted(path, section)
        if not (is_table(path, section) or section.reads_text_files):
            names = " and ".join(map(repr, wanted(section)))
            raise DataError(
                f"{path}: a text file without columns; a table (csv, tsv, jsonl, parquet) with {names} is expected"
            )
        found = sources.load(use.name, section, cache=None, base=Path())
    evaluation = EvaluationConfig.model_validate(folder.trained.get("evaluation") or {})
    return Examples(use.name, section, FILE, found.valid, found.valid, evaluation)
