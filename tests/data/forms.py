"""Sets and files for the tests of what data look like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hpsearch.data import sources
from hpsearch.data.splits import Splits
from hpsearch.errors import DataError
from hpsearch.tasks import AnySet, ClassificationSet, TextSet, TranslationSet

KINDS = {"text": TextSet, "classification": ClassificationSet, "translation": TranslationSet}


def a_set(task: str, train: Any = None, **given: Any) -> AnySet:
    """A set whose training files are its validation files too, so that nothing is cut."""
    if train is not None:
        given["files"] = {"train": train, "valid": train}
        given.setdefault("split", {"test": 0})
    return KINDS[task].model_validate({"task": task, **given})  # type: ignore[return-value]


def loaded(folder: Path, data_set: AnySet) -> Splits:
    """The set's splits, after the check that comes before it."""
    sources.check_sources("mine", data_set, base=folder)
    return sources.load("mine", data_set, cache=folder / "library", base=folder)


def train(folder: Path, task: str, files: Any, **given: Any) -> list[tuple[str, ...]]:
    """The training examples as tuples of their values."""
    return [tuple(example.values()) for example in loaded(folder, a_set(task, files, **given)).train]


def refusal(folder: Path, data_set: AnySet) -> str:
    """The one line that the set is refused with, the folder left out."""
    with pytest.raises(DataError) as caught:
        loaded(folder, data_set)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{folder}/", "")
