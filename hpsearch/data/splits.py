"""Examples in their three splits: cuts missing splits from train, checks labels, warns about doubtful data."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from hpsearch.config import Split
from hpsearch.data.confusables import appearance, escaped, groups, remedy
from hpsearch.errors import DataError

T = TypeVar("T")

Example = dict[str, str]
"""{key of the task: text}, what the model reads first: {"text"}, {"source", "target"}, {"text", "label"}, ..."""
LABEL = "label"  # the key of a target that is one of a few classes

PARTS = ("train", "valid", "test")
NAMES = {
    "train": ("train",),
    "valid": ("dev", "val", "validation", "valid"),
    "test": ("test",),
}  # names in other data sets
FEW = 20  # examples; in fewer all labels may differ
MOST_DISTINCT = 0.8  # distinct labels per example; with more they are no classes
LONGEST = 60  # characters of a label in a message
SHOWN = 5  # labels, or groups of labels, that a line each is written about
NO_VALUE = ("nan", "nat", "<na>", "#n/a")  # how programs write a missing value


@dataclass(frozen=True)
class Splits:
    """The examples of one set; `test` may be empty."""

    train: list[Example]
    valid: list[Example]
    test: list[Example] = field(default_factory=list)
    cut: tuple[str, ...] = field(default=(), compare=False)  # the parts that were cut from train
    untested: str | None = field(
        default=None, compare=False
    )  # the key that a given test lacks ("label"), so that it is left out
    warnings: list[str] = field(default_factory=list, compare=False)  # warnings of the reading, a line each
    notes: list[str] = field(default_factory=list, compare=False)  # which files were read, a line each

    def parts(self) -> dict[str, list[Example]]:
        """The splits that hold examples, by name."""
        return {name: part for name in PARTS if (part := getattr(self, name))}


def named_parts(found: Mapping[str, T], *, strict: bool = True) -> dict[str, T] | None:
    """The parts under our names; None if train is missing (strict: also for an unknown or a doubled part)."""
    named = {part: found[other] for part, others in NAMES.items() for other in others if other in found}
    return None if "train" not in named or (strict and len(named) < len(found)) else named


def divide(name: str, parts: dict[str, list[Example]], split: Split) -> Splits:
    """Makes splits; cuts a missing part from train, and leaves out a test without targets.

    The cut depends on a hash of the text and the seed: it is the same on every machine, equal texts fall into one
    split, and each label is cut by the same share. Raises DataError for an empty part or too few examples.
    """
    untested = _lacking(parts.get("test", []))
    parts = {**parts, "test": []} if untested else parts
    shares = {part: getattr(split, part) for part in ("test", "valid") if part not in parts and getattr(split, part)}
    if sum(shares.values()) >= 1:
        raise DataError(f"data.{name}.split: valid {split.valid} + test {split.test} leave nothing to train on")
    if shares:
        _refuse_ids(name, parts["train"])
    parts = {**parts, **_cut(name, parts["train"], shares, split.seed)} if shares else parts
    cut = tuple(part for part in PARTS if part in shares)
    splits = Splits(parts["train"], parts["valid"], parts.get("test", []), cut, untested)
    for part in ("train", "valid"):
        if not getattr(splits, part):
            few = f", {len(parts['train'])} examples are too few to cut it from" if part in shares else ""
            raise DataError(f"data.{name}: the {part} split is empty{few}")
    return splits


def _lacking(test: list[Example]) -> str | None:
    """The key for which the test's examples have no value; if one has none, none has (targets.py)."""
    return next((key for key, value in test[0].items() if value == ""), None) if test else None


def _cut(name: str, examples: list[Example], shares: dict[str, float], seed: int) -> dict[str, list[Example]]:
    keys = [_key(example) for example in examples]
    if len(set(keys)) <= len(shares):
        raise DataError(
            f"data.{name}: {len(set(keys))} different examples are too few to cut {' and '.join(shares)} from"
        )
    places = _places(examples, keys, seed)
    side = _by_label(name, examples, keys, places, shares) if LABEL in examples[0] else _sides(places, shares)
    cut: dict[str, list[Example]] = {part: [] for part in ("train", *shares)}
    for key, example in zip(keys, examples, strict=True):
        cut[side[key]].append(example)
    return cut


def _places(examples: list[Example], keys: list[str], seed: int) -> dict[str, float]:
    """{key: place in [0, 1)}, the lowest of all spellings that share the key."""
    places: dict[str, float] = {}
    known: dict[str, float] = {}
    for example, key in zip(examples, keys, strict=True):
        spelt = _spelling(example)
        if spelt not in known:
            known[spelt] = _place(spelt, seed)
            places[key] = min(places.get(key, 1.0), known[spelt])
    return places


def _by_label(
    name: str, examples: list[Example], keys: list[str], places: dict[str, float], shares: dict[str, float]
) -> dict[str, str]:
    """{key: split}, each label cut by the shares; a text with several labels counts for the first."""
    of_label: dict[str, str] = {}
    labelled: dict[str, dict[str, float]] = {}
    for example, key in zip(examples, keys, strict=True):
        if of_label.setdefault(key, example[LABEL]) == example[LABEL]:
            labelled.setdefault(example[LABEL], {})[key] = places[key]
    side = {key: part for some in labelled.values() for key, part in _dealt(some, shares).items()}
    if "valid" in shares and "valid" not in side.values():
        raise DataError(
            f"data.{name}: each of the {len(labelled)} labels has one text only, "
            "so none can be in train and in valid; is the label the right column?"
        )
    _return_lonely_labels(examples, keys, side)
    return side


def _dealt(places: dict[str, float], shares: dict[str, float]) -> dict[str, str]:
    """{key: split} of one label's texts: at least one for train, then valid, then test; the rest by the shares."""
    ordered = sorted(places, key=lambda key: (places[key], key))
    counts: dict[str, int] = {}
    left = len(ordered) - 1
    for part in ("valid", "test"):
        if part in shares:
            reserve = 1 if part == "valid" and "test" in shares and left > 1 else 0
            counts[part] = min(max(1, int(len(ordered) * shares[part] + 0.5)), left - reserve)
            left -= counts[part]
    names = ["test"] * counts.get("test", 0) + ["valid"] * counts.get("valid", 0)
    return {key: names[i] if i < len(names) else "train" for i, key in enumerate(ordered)}


def _sides(places: dict[str, float], shares: dict[str, float]) -> dict[str, str]:
    """{key: split} by the part of [0, 1) that contains the key's place; at least one key for every split."""
    ordered = sorted(places, key=lambda key: places[key])
    side = {}
    start, edge = 0, 0.0
    for i, (part, share) in enumerate(shares.items()):
        edge += share
        end = sum(places[key] < edge for key in ordered)
        end = min(max(end, start + 1), len(ordered) - (len(shares) - i))
        side.update(dict.fromkeys(ordered[start:end], part))
        start = end
    return {**side, **dict.fromkeys(ordered[start:], "train")}


def _return_lonely_labels(examples: list[Example], keys: list[str], side: dict[str, str]) -> None:
    """Moves one example to train of each label that train lacks, which happens to texts with several labels."""
    labelled = list(zip(keys, (example[LABEL] for example in examples), strict=True))
    known = {label for key, label in labelled if side[key] == "train"}
    for key, label in labelled:
        if label not in known:
            side[key] = "train"
            known.add(label)


def _key(example: Example) -> str:
    """The key of an example; examples with equal keys (texts that look alike) fall into one split."""
    return appearance(_first(example))


def _spelling(example: Example) -> str:
    """The text without differences of case and spaces."""
    return " ".join(_first(example).casefold().split())


def _first(example: Example) -> str:
    return next(iter(example.values()))


def _place(key: str, seed: int) -> float:
    return int.from_bytes(hashlib.sha256(f"{seed}\n{key}".encode()).digest()[:8], "big") / 2**64


# -------------------------------------------------------------------------------------------------- checks and warnings


def check_labels(name: str, splits: Splits) -> None:
    """Raises DataError if train has only one label, or lacks a label of valid or test."""
    train = {example[LABEL] for example in splits.train}
    if len(train) < 2:
        raise DataError(f"data.{name}: train has one label only ({_named(train.pop())}), two or more are expected")
    for part in ("valid", "test"):
        unseen = {example[LABEL] for example in getattr(splits, part)} - train
        if unseen:
            _refuse_ids(name, splits.train)
            _refuse_unseen(f"data.{name}: label", min(unseen), part, train)


def _refuse_unseen(what: str, label: str, part: str, train: set[str]) -> None:
    """Raises DataError for a label that train lacks; the message names a label of train that looks alike."""
    alike = sorted(other for other in train if appearance(other) == appearance(label))
    if alike:
        raise DataError(
            f"{what} {escaped(label)} is in {part} but not in train, "
            f"which has {escaped(alike[0])}: {remedy([label, alike[0]])}"
        )
    raise DataError(f"{what} {_named(label)} is in {part} but not in train")


def _refuse_ids(name: str, examples: list[Example]) -> None:
    """Raises DataError for labels that nearly all differ: ids, free text or numbers."""
    labels = {example[LABEL] for example in examples if LABEL in example}
    if len(examples) >= FEW and len(labels) > MOST_DISTINCT * len(examples):
        some = ", ".join(map(_named, sorted(labels)[:3]))
        raise DataError(
            f"data.{name}.label: {len(labels)} labels for {len(examples)} examples ({some}, ...) look like an id "
            "column or free text, not like classes: name the column of the classes (label: ...)"
        )


def _named(label: str) -> str:
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
        keys = {_key(example) for example in parts[other]}
        n = sum(_key(example) in keys for example in parts[part])
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
        f"data.{name}: label {_named(label)} ({train[label]} in train) looks like a missing value" for label in odd
    ]


def _lacking_labels(name: str, part: str, train: Counter[str], there: set[str]) -> list[str]:
    missing = sorted(set(train) - there)
    found = [
        f"data.{name}: label {_named(label)} is not in {part} (train has {train[label]})" for label in missing[:SHOWN]
    ]
    if (more := len(missing) - SHOWN) > 0:
        found.append(f"data.{name}: {more} more label{' is' if more == 1 else 's are'} not in {part}")
    return found
