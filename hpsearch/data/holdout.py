"""Cuts the missing splits of a set from its training examples, by a hash of each text."""

from __future__ import annotations

import hashlib

from hpsearch.config import Split
from hpsearch.data.split_checks import refuse_ids
from hpsearch.data.splits import LABEL, PARTS, Example, Splits, first_text, text_key
from hpsearch.errors import DataError


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
        refuse_ids(name, parts["train"])
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
    keys = [text_key(example) for example in examples]
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


def _spelling(example: Example) -> str:
    """The text without differences of case and spaces."""
    return " ".join(first_text(example).casefold().split())


def _place(key: str, seed: int) -> float:
    return int.from_bytes(hashlib.sha256(f"{seed}\n{key}".encode()).digest()[:8], "big") / 2**64
