"""Checks that the data fit the space: truncation by `context`, and batches and epochs larger than the data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hpsearch.data.corpus import Corpus, PairTokens, TextTokens
from hpsearch.data.truncation import Cut, Lengths, text_rows
from hpsearch.document.document import Keys, dotted
from hpsearch.document.ranges import Choices, ends
from hpsearch.errors import ConfigError
from hpsearch.tasks import LOSSES, TaskSet
from hpsearch.trainers.space_view import SpaceView

FEW = 0.01  # share of the examples that may be cut without a word on what to do
LOST = {"right": "end", "left": "beginning", "middle": "middle"}


def check(space: SpaceView, corpus: Corpus, *, longest: int | None = None) -> list[str]:
    """Returns warnings, a line each; raises ConfigError if trials cannot be compared by the objective.

    longest: the highest context that the model can have; None: any.
    """
    contexts = replace(Range.of(space, "model", "context"), most=longest)
    _refuse_other_tokens(space, corpus, contexts)
    cut = [line for name in corpus.sets for line in _cut_lines(space, corpus, name, contexts)]
    return [*cut, *_row_lines(space, corpus, contexts)]


@dataclass(frozen=True)
class Range:
    """The lowest and highest value that a key may have in a space."""

    low: Any
    high: Any
    keys: Keys  # of the lowest value
    most: int | None = None  # that it can have in any space; None: any

    @classmethod
    def of(cls, space: SpaceView, section: str, key: str) -> Range:
        """The range of a numeric key."""
        leaves = space.leaves(section, key)
        lowest = min(leaves, key=lambda leaf: float(ends(leaf)[0]))
        return cls(ends(lowest)[0], max((ends(leaf)[1] for leaf in leaves), key=float), lowest.keys)

    @property
    def varies(self) -> bool:
        """Whether the key has more than one value."""
        return bool(self.low != self.high)


# ---------------------------------------------------------------------------------------------------------- what is cut


@dataclass(frozen=True)
class Losses:
    """Counts of what a context truncates in a split."""

    examples: int
    prompts: int
    targets: int
    tokens: int

    @classmethod
    def of(cls, prompts: Lengths, targets: Lengths, cut: Cut) -> Losses:
        """The counts for prompts and targets of these lengths."""
        kept_prompts, kept_targets = cut.kept(prompts, targets)
        off_prompts, off_targets = prompts - kept_prompts, targets - kept_targets
        either = (off_prompts > 0) | (off_targets > 0)
        n_tokens = int(off_prompts.sum()) + int(off_targets.sum())
        return cls(int(either.sum()), int((off_prompts > 0).sum()), int((off_targets > 0).sum()), n_tokens)


def _cut_of(space: SpaceView, name: str, context: int) -> Cut:
    config = space.config
    cut: Cut = config.data[name].cut(context=context, max_new_tokens=config.evaluation.max_new_tokens)
    return cut


def _lengths(pairs: PairTokens) -> tuple[Lengths, Lengths]:
    prompts = np.asarray(pairs.prompt_lengths)
    return prompts, np.diff(pairs.starts) - prompts


def _cut_lines(space: SpaceView, corpus: Corpus, name: str, contexts: Range) -> Iterator[str]:
    """One line for each split of a set that has examples longer than the lowest context."""
    data_set = space.config.data[name]
    for part, pairs in corpus.sets[name].splits.items():
        if not isinstance(pairs, PairTokens):
            continue
        lengths = _lengths(pairs)
        low, high = (Losses.of(*lengths, _cut_of(space, name, end)) for end in (contexts.low, contexts.high))
        if not low.examples:
            continue
        also = f" ({high.examples} at {contexts.high})" if contexts.varies else ""
        found = []
        if low.prompts:
            what, truncate = next(iter(data_set.example_columns())), _cut_of(space, name, contexts.low).truncate
            found.append(f"{_lose(low.prompts, what, LOST[truncate])} (truncate: {truncate})")
        if low.targets:
            found.append(_lose(low.targets, "target", "end"))
        yield (
            f"data.{name}: {low.examples} of {len(lengths[0])} {part} examples ({low.tokens} tokens) are cut "
            f"at context {contexts.low}{also}: {', '.join(found)}"
            f"{_enough(space, name, lengths, contexts) if part == 'train' else ''}"
        )


def _enough(space: SpaceView, name: str, lengths: tuple[Lengths, Lengths], contexts: Range) -> str:
    """Names the context that cuts few examples, or the model's limit; empty if the lowest one cuts few."""
    allowed = FEW * len(lengths[0])

    def few(context: int) -> bool:
        return Losses.of(*lengths, _cut_of(space, name, context)).examples <= allowed

    if few(contexts.low):
        return ""
    enough = _lowest(few, lengths, contexts.low)
    if contexts.most is None or enough <= contexts.most:
        return f"; context {enough} would cut at most {FEW:.0%}"
    limit = f"; the model reads at most {contexts.most} tokens"
    if contexts.low >= contexts.most:
        return limit
    left = Losses.of(*lengths, _cut_of(space, name, contexts.most)).examples
    return f"{limit}, and context {contexts.most} would cut {left}"


def _lose(n: int, what: str, lost: str) -> str:
    return f"1 {what} loses its {lost}" if n == 1 else f"{n} {what}s lose their {lost}"


# --------------------------------------------------------------------------------------------------- what is compared


def _refuse_other_tokens(space: SpaceView, corpus: Corpus, contexts: Range) -> None:
    """Raises ConfigError if the objective is a loss over targets that some trials truncate more than others."""
    metric = space.config.objective.metric
    about, _, kind = metric.removeprefix("val/").rpartition("/")
    tokenizers = space.varies("tokenizer")
    if kind not in (loss.name for loss in LOSSES) or not (contexts.varies or tokenizers):
        return
    keys, what = (contexts.keys, "context") if contexts.varies else (("tokenizer",), "tokenizer")
    for name, corpus_set in corpus.sets.items():
        pairs = corpus_set.splits["valid"]
        if not isinstance(pairs, PairTokens) or pairs.labels is not None or about not in ("", name):
            continue  # a label is one token, which no context cuts
        lengths = _in_bytes(pairs) if tokenizers and _may_be_bytes(space) else _lengths(pairs)
        n = Losses.of(*lengths, _cut_of(space, name, contexts.low)).targets
        if n:
            whole = _whole(space, name, lengths, contexts.low)
            ways = [f"from context {whole} on none is"] if contexts.most is None or whole <= contexts.most else []
            ways += [f"use {names}"] if (names := _instead(space.config.data[name])) else []
            raise ConfigError(
                f"{space.where(*keys)}: {dotted(keys)}: {metric} cannot be compared over this range of {what}: "
                f"at context {contexts.low} {n} of {len(lengths[0])} valid targets of data.{name} are cut; "
                f"{', or '.join(ways) or f'give {what} one value'}"
            )


def _instead(data_set: TaskSet) -> str:
    """Metrics that truncated targets do not affect: the first ones of the task."""
    return " or ".join(f"val/{metric.name}" for metric in data_set.metrics()[:2])


def _in_bytes(pairs: PairTokens) -> tuple[Lengths, Lengths]:
    """The lengths of prompts and targets in bytes."""
    return np.array([len(text.encode()) for text in pairs.sources]) + 2, np.asarray(pairs.target_bytes) + 1


def _may_be_bytes(space: SpaceView) -> bool:
    kinds = space.leaves("tokenizer", "kind")
    return any("bytes" in (leaf.choices if isinstance(leaf, Choices) else [leaf.written()]) for leaf in kinds)


def _whole(space: SpaceView, name: str, lengths: tuple[Lengths, Lengths], low: int) -> int:
    """The lowest context that truncates no target."""
    return _lowest(lambda context: not Losses.of(*lengths, _cut_of(space, name, context)).targets, lengths, low)


def _lowest(enough: Callable[[int], bool], lengths: tuple[Lengths, Lengths], low: int) -> int:
    """The lowest context from `low` on that is enough, as one for the longest example is (bisection)."""
    high = int(max(low, 2 * (lengths[0] + lengths[1]).max()))
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return high


# ------------------------------------------------------------------------------------------------ batches and epochs


def _row_lines(space: SpaceView, corpus: Corpus, contexts: Range) -> Iterator[str]:
    """Warnings for batch sizes and epochs by which trainings do not differ."""
    batches, epochs = (Range.of(space, "training", key) for key in ("batch_size", "epochs"))
    rows = {name: _n_rows(one.splits["train"], contexts.high) for name, one in corpus.sets.items()}
    largest, total = max(rows, key=lambda name: rows[name]), sum(rows.values())
    if batches.high > rows[largest]:
        of = f"data.{largest}" if len(rows) == 1 else f"data.{largest}, the largest set,"
        same = _same(f"of {rows[largest]} or more", batches) or "each step reads all of them"
        yield f"training.batch_size {batches.high}: the train split of {of} has {rows[largest]} rows; {same}"
    read = max(1, round(epochs.low * total))
    if epochs.low < 1 and read < batches.high:
        same = _same(f"of {read} or more", batches) or "the training is a single step"
        yield f"training.epochs {epochs.low:g}: {read} of {total} rows, less than a batch of {batches.high}; {same}"


def _same(sizes: str, batches: Range) -> str:
    return f"trainings that differ only in a batch size {sizes} are the same training" if batches.varies else ""


def _n_rows(tokens: TextTokens | PairTokens, context: int) -> int:
    """Rows in an epoch; text is cut into rows of `context` tokens."""
    if isinstance(tokens, TextTokens):
        return text_rows(len(tokens.tokens), context)
    return len(tokens.prompt_lengths)
