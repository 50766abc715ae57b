"""Examples, tokens and lengths of the data that were read, by a tokenizer learnt from a sample of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hpsearch.data.splits import LABEL, Example
from hpsearch.data.tokenizer import Tokenizer
from hpsearch.preflight.draft.sets import Found
from hpsearch.trainers.causal_lm.ranges import vocabulary

SAMPLE = 1_000_000  # characters from which the sizes are estimated
MEASURED = 5000  # examples whose lengths are measured
SHORT = 0.99  # share of the examples that the context takes whole
STEP = 8  # contexts are multiples of it
LONGEST = 1024  # tokens of a context that is chosen for examples
FEWEST_BYTES = 20_000  # of training text, below which there are no merges to learn
SPECIALS = ["<|endoftext|>", "<|sep|>"]


@dataclass(frozen=True)
class Lengths:
    """The tokens of some examples of a set with prompts, as they are trained."""

    prompts: list[int]  # with the token of the task and the separator
    targets: list[int]  # with the end token

    @classmethod
    def of(cls, one: Found, tokenizer: Tokenizer) -> Lengths:
        """Those of evenly spaced training examples."""
        some = spaced(one.splits.train, MEASURED)
        prompts = [n + 2 for n in _tokens(tokenizer, map(_prompt, some))]
        if one.task == "classification":
            return cls(prompts, [1] * len(prompts))
        return cls(prompts, [n + 1 for n in _tokens(tokenizer, (example["target"] for example in some))])


@dataclass(frozen=True)
class Sizes:
    """What the ranges depend on."""

    n_bytes: int  # of the training texts
    tokens: int  # of an epoch
    vocab_size: int  # 0: bytes
    context: int | None  # that 99% of the examples need; None: only running text
    longest: int  # tokens that the model reads of 99% of the examples
    cut: int  # examples in a thousand that the context cuts
    new_tokens: int  # tokens of nearly all targets that are decoded; 0: none are
    examples: int  # of the sets with prompts
    running: int  # tokens of running text
    targets: int  # tokens that are predicted


def sizes(every: Sequence[Found]) -> Sizes:
    """Measures the sets."""
    n_bytes = sum(len(text.encode()) for one in every for text in texts(one.splits.train))
    only_labels = all(one.task == "classification" for one in every)
    vocab_size = vocabulary(n_bytes, labels=only_labels) if n_bytes >= FEWEST_BYTES else 0
    sample = [text for one in every for text in _sampled(one, SAMPLE // len(every))]
    specials = list(SPECIALS)
    tokenizer = (
        Tokenizer.train(sample, vocab_size=vocab_size, specials=specials)
        if vocab_size
        else Tokenizer.bytes(specials=specials)
    )
    ratio = sum(_tokens(tokenizer, sample)) / max(1, sum(len(text.encode()) for text in sample))
    lengths = {one.name: Lengths.of(one, tokenizer) for one in every if one.section.has_prompts}
    pairs = [lengths[one.name] for one in every if one.task == "translation"]
    new_tokens = max((rounded(1.5 * share_of(one.targets, 0.999)) for one in pairs), default=0)
    context = max((_context(one, lengths[one.name], new_tokens) for one in every if one.name in lengths), default=None)
    found = [(one, lengths[one.name]) for one in every if one.name in lengths]
    whole = [prompt + target for _, some in found for prompt, target in zip(some.prompts, some.targets, strict=True)]
    cut = sum(int(_cut(one, some, context or 0, new_tokens)) for one, some in found)
    examples = sum(len(one.splits.train) for one in every if one.section.has_prompts)
    extra = 3 * examples  # task, separator and label or end
    plain = (text for one in every if not one.section.has_prompts for text in texts(one.splits.train))
    running = round(sum(len(text.encode()) for text in plain) * ratio)
    of_targets = sum(_mean(lengths[one.name].targets) * len(one.splits.train) for one in every if one.name in lengths)
    return Sizes(
        n_bytes=n_bytes,
        tokens=max(1, round(n_bytes * ratio) + extra),
        vocab_size=vocab_size,
        context=context,
        longest=share_of(whole, SHORT) - 1 if whole else 0,
        cut=round(1000 * cut / max(1, len(whole))),
        new_tokens=new_tokens,
        examples=examples,
        running=running,
        targets=running + round(of_targets),
    )


def labels(one: Found) -> Counter[str]:
    """How often each label is in the training split; empty without labels."""
    return Counter(example[LABEL] for example in one.splits.train if LABEL in example)


def _tokens(tokenizer: Tokenizer, texts: Iterable[str]) -> list[int]:
    """The number of tokens of each text."""
    return [len(ids) for ids in tokenizer.encode(list(texts))]


def _context(one: Found, lengths: Lengths, new_tokens: int) -> int:
    """The least multiple of 8 that cuts at most 1% of the examples."""
    context = 2 * STEP
    while context < LONGEST and _cut(one, lengths, context, new_tokens) > (1 - SHORT) * len(lengths.prompts):
        context += STEP
    return context


def _cut(one: Found, lengths: Lengths, context: int, new_tokens: int) -> int:
    """How many of the examples lose tokens at this context."""
    rule: Any = one.section.cut(context=context, max_new_tokens=new_tokens)
    kept = zip(*rule.kept(lengths.prompts, lengths.targets), lengths.prompts, lengths.targets, strict=True)
    return sum(left < prompt or right < target for left, right, prompt, target in kept)


def share_of(values: Sequence[int], share: float) -> int:
    """The value that this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] if ordered else 0


def _mean(values: Sequence[int]) -> float:
    return sum(values) / max(1, len(values))


def rounded(number: float) -> int:
    """The next multiple of 8, at least 16."""
    return max(2 * STEP, math.ceil(number / STEP) * STEP)


def _prompt(example: Example) -> str:
    return next(iter(example.values()))


def texts(examples: Sequence[Example]) -> Iterator[str]:
    """Their texts, without labels."""
    return (text for example in examples for key, text in example.items() if key != LABEL)


def _sampled(one: Found, characters: int) -> list[str]:
    """Texts of evenly spaced training examples, about so many characters in all."""
    total = sum(map(len, texts(one.splits.train)))
    some = spaced(one.splits.train, max(1, round(len(one.splits.train) * characters / max(1, total))))
    return [text[:characters] for text in texts(some)]


def spaced(examples: Sequence[Example], most: int) -> list[Example]:
    """At most so many of the examples, evenly spaced."""
    n = len(examples)
    return [examples[i * n // most] for i in range(most)] if most < n else list(examples)
