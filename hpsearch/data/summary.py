"""The summary of a set, one line: examples by split, which splits were cut from train, the labels."""

from __future__ import annotations

from collections import Counter

from hpsearch.config import Split
from hpsearch.data.split_checks import LONGEST
from hpsearch.data.splits import LABEL, Splits

WIDTH = 100  # characters of the labels that are named


def summary(name: str, splits: Splits, split: Split) -> str:
    """The line of one set."""
    counts = ", ".join(f"{len(part)} {part_name}" for part_name, part in splits.parts().items())
    line = f"data.{name}: {counts} examples{_origin(splits, split)}"
    return f"{line}; {labels(splits)}" if LABEL in splits.train[0] else line


def _origin(splits: Splits, split: Split) -> str:
    if splits.untested:
        return f" (no test: it has no {splits.untested}s)"
    if not splits.cut:
        return "" if splits.test else " (no test)"
    shares = " and ".join(f"{part} {getattr(split, part):g}" for part in splits.cut)
    by_label = " by label" if LABEL in splits.train[0] else ""
    return f" ({shares} cut from train{by_label}, seed {split.seed})"


def untested(name: str, splits: Splits) -> str | None:
    """The line about a test split that cannot be used; None if there is no such split."""
    return splits.untested and f"data.{name}: the test split has no {splits.untested}s: the model is not tested on it"


def labels(splits: Splits) -> str:
    """The labels with their counts in train, the most frequent first, as many as fit a line."""
    counts = Counter(example[LABEL] for example in splits.train)
    named, length = [], 0
    for label, n in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        word = f"{label if len(label) <= LONGEST else label[:LONGEST] + '...'} {n}"
        length += len(word) + 2
        if length > WIDTH:
            break
        named.append(word)
    more = [f"{len(counts) - len(named)} more"] if len(named) < len(counts) else []
    return f"{len(counts)} labels: {', '.join(named + more)}"
