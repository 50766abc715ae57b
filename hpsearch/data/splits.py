"""Examples in their three splits: cut where no file is given, checked, and warned about."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field

from hpsearch.config import Split
from hpsearch.errors import DataError

Example = dict[str, str]
"""text: {"text"}; translation: {"source", "target"}; classification: {"text", "label"}; whatever the columns are."""


PARTS = ("train", "valid", "test")
FEW = 20  # examples whose labels may all differ
MOST_DISTINCT = 0.8  # labels for each example; beyond it they are no classes
LONGEST = 60  # characters of a label in a message


@dataclass(frozen=True)
class Splits:
    """The examples of one set; `test` may be empty."""

    train: list[Example]
    valid: list[Example]
    test: list[Example] = field(default_factory=list)

    def parts(self) -> dict[str, list[Example]]:
        """The splits that hold examples, by name."""
        return {name: part for name in PARTS if (part := getattr(self, name))}


def divide(name: str, parts: dict[str, list[Example]], split: Split) -> Splits:
    """Splits in which a part that `parts` lacks is cut from the train part.

    By a hash of the example's text and the seed: the same on every machine, and equal texts on one side.
    Raises DataError for an empty part or too few examples.
    """
    shares = {part: getattr(split, part) for part in ("test", "valid") if part not in parts and getattr(split, part)}
    if sum(shares.values()) >= 1:
        raise DataError(f"data.{name}.split: valid {split.valid} + test {split.test} leave nothing to train on")
    if shares:
        _refuse_ids(name, parts["train"])
    parts = {**parts, **_cut(name, parts["train"], shares, split.seed)} if shares else parts
    splits = Splits(parts["train"], parts["valid"], parts.get("test", []))
    for part in ("train", "valid"):
        if not getattr(splits, part):
            few = f", {len(parts['train'])} examples are too few to cut it from" if part in shares else ""
            raise DataError(f"data.{name}: the {part} split is empty{few}")
    return splits


def _cut(name: str, examples: list[Example], shares: dict[str, float], seed: int) -> dict[str, list[Example]]:
    places = {key: _place(key, seed) for key in map(_key, examples)}
    if len(places) <= len(shares):
        raise DataError(f"data.{name}: {len(places)} different examples are too few to cut {' and '.join(shares)} from")
    side = _sides(places, shares)
    _return_lonely_labels(examples, side)
    cut: dict[str, list[Example]] = {part: [] for part in ("train", *shares)}
    for example in examples:
        cut[side[_key(example)]].append(example)
    return cut


def _sides(places: dict[str, float], shares: dict[str, float]) -> dict[str, str]:
    """{key: split}: the part of [0, 1) in which the key's place lies, but at least one key for every split."""
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


def _return_lonely_labels(examples: list[Example], side: dict[str, str]) -> None:
    """Gives train an example of each label that it would else never see (a label can be rarer than 1 in 10)."""
    seen = {example.get("label") for example in examples if side[_key(example)] == "train"}
    for example in examples:
        if example.get("label") not in seen:
            side[_key(example)] = "train"
            seen.add(example.get("label"))


def _key(example: Example) -> str:
    """What two examples share when they must not be on two sides: their text, whatever its case and spaces."""
    return " ".join((example["text"] if "text" in example else example["source"]).casefold().split())


def _place(key: str, seed: int) -> float:
    return int.from_bytes(hashlib.sha256(f"{seed}\n{key}".encode()).digest()[:8], "big") / 2**64


# -------------------------------------------------------------------------------------------------- checks and warnings


def check_labels(name: str, splits: Splits) -> None:
    """Raises DataError when train has one label only, or lacks one that valid or test has."""
    train = {example["label"] for example in splits.train}
    if len(train) < 2:
        raise DataError(f"data.{name}: train has one label only ({_named(train.pop())}), two or more are wanted")
    for part in ("valid", "test"):
        unseen = sorted({example["label"] for example in getattr(splits, part)} - train)
        if unseen:
            _refuse_ids(name, splits.train)
            raise DataError(f"data.{name}: label {_named(unseen[0])} is in {part} but not in train")


def _refuse_ids(name: str, examples: list[Example]) -> None:
    """Raises DataError for labels that nearly all differ: a column of ids, or of numbers to be estimated."""
    labels = {example["label"] for example in examples if "label" in example}
    if len(examples) >= FEW and len(labels) > MOST_DISTINCT * len(examples):
        some = ", ".join(map(_named, sorted(labels)[:3]))
        raise DataError(
            f"data.{name}.label: {len(labels)} labels for {len(examples)} examples ({some}, ...) look like an id "
            "column or free text, not like classes: name the column of the classes (label: ...)"
        )


def _named(label: str) -> str:
    """A label as a message shows it: quoted, what is not seen escaped, the end of a long one left out."""
    return repr(label if len(label) <= LONGEST else label[:LONGEST] + "...")


def warnings(name: str, splits: Splits) -> list[str]:
    """What is no error but bends the scores, one line each: examples in two splits, repeats, labels too rare."""
    parts = splits.parts()
    found = [line for part in ("valid", "test") if part in parts for line in _shared(name, parts, part)]
    repeats = len(splits.train) - len({tuple(example.values()) for example in splits.train})
    if repeats > 0.05 * len(splits.train):
        found.append(f"data.{name}: {repeats} of {len(splits.train)} train examples repeat another")
    return found + _label_warnings(name, splits)


def _shared(name: str, parts: dict[str, list[Example]], part: str) -> list[str]:
    found = []
    for other in ("train", "valid")[: 1 if part == "valid" else 2]:
        keys = {_key(example) for example in parts[other]}
        n = sum(_key(example) in keys for example in parts[part])
        if n:
            found.append(f"data.{name}: {n} of {len(parts[part])} {part} examples are also in {other}")
    return found


def _label_warnings(name: str, splits: Splits) -> list[str]:
    if "label" not in splits.train[0]:
        return []
    train = Counter(example["label"] for example in splits.train)
    missing = sorted(set(train) - {example["label"] for example in splits.valid})
    found = [f"data.{name}: label {_named(label)} is not in valid (train has {train[label]})" for label in missing[:5]]
    if len(missing) > 5:
        found.append(f"data.{name}: {len(missing) - 5} more labels are not in valid")
    return found
