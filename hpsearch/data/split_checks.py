"""Checks the labels of a set's splits, and warns about data that bias the scores."""

from __future__ import annotations

from collections import Counter

from hpsearch.data.confusables import appearance, escaped, groups, remedy
from hpsearch.data.splits import LABEL, Example, Splits, text_key
from hpsearch.errors import DataError

FEW = 20  # examples; in fewer all labels may differ
MOST_DISTINCT = 0.8  # distinct labels per example; with more they are no classes
LONGEST = 60  # characters of a label in a message
SHOWN = 5  # labels, or groups of labels, that a line each is written about
NO_VALUE = ("nan", "nat", "<na>", "#n/a")  # how programs write a missing value


def check_labels(name: str, splits: Splits) -> None:
    """Raises DataError if train has only one label, or lacks a label of valid or test."""
    train = {example[LABEL] for example in splits.train}
    if len(train) < 2:
        raise DataError(f"data.{name}: train has one label only ({shown(train.pop())}), two or more are expected")
    for part in ("valid", "test"):
        unseen = {example[LABEL] for example in getattr(splits, part)} - train
        if unseen:
            refuse_ids(name, splits.train)
            _refuse_unseen(f"data.{name}: label", min(unseen), part, train)


def _refuse_unseen(what: str, label: str, part: str, train: set[str]) -> None:
    """Raises DataError for a label that train lacks; the message names a label of train that looks alike."""
    alike = sorted(other for other in train if appearance(other) == appearance(label))
    if alike:
        raise DataError(
            f"{what} {escaped(label)} is in {part} but not in train, "
            f"which has {escaped(alike[0])}: {remedy([label, alike[0]])}"
        )
    raise DataError(f"{what} {shown(label)} is in {part} but not in train")


def refuse_ids(name: str, examples: list[Example]) -> None:
    """Raises DataError for labels that nearly all differ: ids, free text or numbers."""
    labels = {example[LABEL] for example in examples if LABEL in example}
    if len(examples) >= FEW and len(labels) > MOST_DISTINCT * len(examples):
        some = ", ".join(map(shown, sorted(labels)[:3]))
        raise DataError(
            f"data.{name}.label: {len(labels)} labels for {len(examples)} examples ({some}, ...) look like an id "
            "column or free text, not like classes: name the column of the classes (label: ...)"
        )


def shown(label: str) -> str:
    """A label for a message: quoted, invisible characters escaped, shortened."""
    return repr(label if len(label) <= LONGEST else label[:LONGEST] + "...")


def warnings(name: str, splits: Splits) -> list[str]:
    """Warnings about data that bias the scores, a line each: examples in two splits, repeats, rare labels."""
    parts = splits.parts()
    found = [line for part in ("valid", "test") if part in parts for line in _shared(name, parts, part)]
    repeats = len(splits.train) - len({tuple(example.values()) for example in splits.train})
    if repeats > 0.05 * len(splits.train):
        found.append(f"data.{name}: {repeats} of {len(splits.train)} train examples repeat another")
    return splits.warnings + found + (_label_warnings(name, splits) if LABEL in splits.train[0] else [])


def _shared(name: str, parts: dict[str, list[Example]], part: str) -> list[str]:
    found = []
    for other in ("train", "valid")[: 1 if part == "valid" else 2]:
        keys = {text_key(example) for example in parts[other]}
        n = sum(text_key(example) in keys for example in parts[part])
        if n:
            found.append(f"data.{name}: {n} of {len(parts[part])} {part} examples are also in {other}")
    return found


def _label_warnings(name: str, splits: Splits) -> list[str]:
    train = Counter(example[LABEL] for example in splits.train)
    found = []
    for part in ("valid", "test"):
        if part == "valid" or (part in splits.cut and splits.test):
            found += _lacking_labels(name, part, train, {example[LABEL] for example in getattr(splits, part)})
    for alike in groups(train)[:SHOWN]:
        counted = ", ".join(f"{escaped(label)} ({train[label]} in train)" for label in alike[:SHOWN])
        found.append(f"data.{name}: {len(alike)} labels look alike and are different ones: {counted}; {remedy(alike)}")
    odd = [label for label in train if label.casefold() in NO_VALUE]
    return found + [
        f"data.{name}: label {shown(label)} ({train[label]} in train) looks like a missing value" for label in odd
    ]


def _lacking_labels(name: str, part: str, train: Counter[str], there: set[str]) -> list[str]:
    missing = sorted(set(train) - there)
    found = [
        f"data.{name}: label {shown(label)} is not in {part} (train has {train[label]})" for label in missing[:SHOWN]
    ]
    if (more := len(missing) - SHOWN) > 0:
        found.append(f"data.{name}: {more} more label{' is' if more == 1 else 's are'} not in {part}")
    return found
