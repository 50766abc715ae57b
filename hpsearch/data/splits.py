"""The examples of a set in their three splits: train, valid, test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from hpsearch.data.confusables import appearance

T = TypeVar("T")

Example = dict[str, str]
"""{key of the task: text}, what the model reads first: {"text"}, {"source", "target"}, {"text", "label"}, ..."""
LABEL = "label"  # the key of a target that is one of a few classes

PARTS = ("train", "valid", "test")
NAMES = {"train": ("train",), "valid": ("dev", "val", "validation", "valid"), "test": ("test",)}  # in other data sets


@dataclass(frozen=True)
class Splits:
    """The examples of one set; `test` may be empty."""

    train: list[Example]
    valid: list[Example]
    test: list[Example] = field(default_factory=list)
    cut: tuple[str, ...] = field(default=(), compare=False)  # the parts that were cut from train
    untested: str | None = field(default=None, compare=False)  # the key ("label") that a given, unused test lacks
    warnings: list[str] = field(default_factory=list, compare=False)  # warnings of the reading, a line each
    notes: list[str] = field(default_factory=list, compare=False)  # which files were read, a line each

    def parts(self) -> dict[str, list[Example]]:
        """The splits that hold examples, by name."""
        return {name: part for name in PARTS if (part := getattr(self, name))}


def named_parts(found: Mapping[str, T], *, strict: bool = True) -> dict[str, T] | None:
    """The parts under our names; None if train is missing (strict: also for an unknown or a doubled part)."""
    named = {part: found[other] for part, others in NAMES.items() for other in others if other in found}
    return None if "train" not in named or (strict and len(named) < len(found)) else named


def text_key(example: Example) -> str:
    """The key of an example; examples with equal keys (texts that look alike) fall into one split."""
    return appearance(first_text(example))


def first_text(example: Example) -> str:
    """The text that the model reads."""
    return next(iter(example.values()))
