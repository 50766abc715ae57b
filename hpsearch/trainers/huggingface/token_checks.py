"""Whether a tokenizer is that of the model, and how much of the data it knows.

A tokenizer of another model gives ids that the model has no embedding for, or means other words by them; one whose
files are missing or of another language makes unknown tokens of the data. A tokenizer of the same size with other
letters (lower case for a model of both) cannot be told.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.data.corpus import Corpus, CorpusSet, PairTokens
from hpsearch.errors import UserError
from hpsearch.trainers.huggingface.folders import NO_TOKENIZER
from hpsearch.trainers.huggingface.vocabulary import PretrainedTokenizer

FEW = 0.9  # of the model's embeddings: a model of fewer tokens has another tokenizer (others round up by 3% at most)
SOME, NEARLY_ALL = 0.1, 0.9  # shares of unknown tokens that are a warning, and that nothing can be learnt from
USED = ("pad", "unk", "bos", "eos", "cls", "sep")  # special tokens that are read; masks and tokens of images are not
CHUNK = 1 << 24  # tokens that are counted at once


def check_tokenizer(tokenizer: PretrainedTokenizer, config: Any, name: str) -> None:
    """Raises UserError for a tokenizer without words, and for one with ids that the model has no embedding for.

    config: of the model; None: the model gets the size of the tokenizer. name: of the tokenizer.
    """
    inner = tokenizer.inner
    besides = {*inner.get_added_vocab(), *inner.all_special_tokens}
    words = [i for word, i in inner.get_vocab().items() if word not in besides]
    if len(words) <= 1:  # the mark of a space alone
        raise UserError(f"{name}: {NO_TOKENIZER} (its {tokenizer.vocab_size} tokens are special ones)")
    special = (getattr(inner, f"{name}_token_id", None) for name in USED)
    size, highest = embeddings(config), max([*words, *(i for i in special if i is not None)])
    if size is not None and highest >= size:
        raise UserError(
            f"{name}: its tokenizer is not that of the model: it has the id {highest}, and the model has the ids 0 to "
            f"{size - 1}"
        )


def size_doubts(tokenizer: PretrainedTokenizer, config: Any, name: str) -> Iterator[str]:
    """Yields a warning for a tokenizer that has far fewer tokens than the model."""
    size = embeddings(config)
    if size is not None and tokenizer.vocab_size < FEW * size:
        yield f"{name}: its tokenizer has {tokenizer.vocab_size:,} tokens, the model {size:,}: is it the model's own?"


def embeddings(config: Any) -> int | None:
    """The number of tokens that a model has embeddings for, by its config; None if unknown."""
    found = getattr(config, "vocab_size", None)
    if found is None and config is not None:
        found = getattr(config.get_text_config(), "vocab_size", None)
    return found if isinstance(found, int) and found > 0 else None


# ------------------------------------------------------------------------------------------------------------ the data


def check_corpus(corpus: Corpus, config: Any, name: str) -> list[str]:
    """Returns a warning for each set of which many train tokens are unknown; raises UserError if nearly all are.

    Raises UserError, too, for an id that the model has no embedding for. config: of the model, or None.
    """
    assert isinstance(corpus.tokenizer, PretrainedTokenizer)
    size, doubts = embeddings(config), []
    for one in corpus.sets.values():
        read = tokens_read(one)
        if size is not None and len(read) and (highest := int(read.max())) >= size:
            raise UserError(
                f"{name}: its tokenizer is not that of the model: it makes the id {highest} of data.{one.name}, and "
                f"the model has the ids 0 to {size - 1}"
            )
        doubts += unknown(corpus.tokenizer, read, f"data.{one.name}", name)
    return doubts


def tokens_read(corpus_set: CorpusSet) -> NDArray[np.int32]:
    """The train tokens of a set: of labelled texts the texts alone, as a head's target is no token."""
    found = corpus_set.splits["train"]
    if not isinstance(found, PairTokens) or found.labels is None:
        return found.tokens
    ends = found.starts[:-1] + found.prompt_lengths
    marks = np.zeros(len(found.tokens) + 1, np.int8)
    np.add.at(marks, found.starts[:-1], 1)
    np.add.at(marks, ends, -1)
    return found.tokens[marks[:-1].cumsum(dtype=np.int8) > 0]


def unknown(tokenizer: PretrainedTokenizer, tokens: NDArray[np.int32], about: str, name: str) -> list[str]:
    """A warning if many of the tokens are unknown ones, in a list; raises UserError if nearly all are.

    about: what the tokens are of; name: of the tokenizer.
    """
    share = unknown_share(tokenizer, tokens)
    if share <= SOME:
        return []
    token = tokenizer.inner.unk_token
    said = f"{about}: {share:.0%} of the train tokens are {token}, as the tokenizer of {name} does not know these words"
    if share > NEARLY_ALL:
        raise UserError(f"{said}; allowed: a tokenizer that knows most of them")
    return [f"{said}: is it the tokenizer of this model, and of this language?"]


def unknown_share(tokenizer: PretrainedTokenizer, tokens: NDArray[np.int32]) -> float:
    """The share of unknown tokens among the tokens that are no other special ones; 0 if none is unknown by its id."""
    inner = tokenizer.inner
    others = {*inner.all_special_ids, tokenizer.pad_id, tokenizer.eos_id} - {inner.unk_token_id}
    shared = {inner.pad_token_id, inner.eos_token_id, inner.bos_token_id}  # GPT-2's end token is its unknown one, too
    if inner.unk_token_id is None or inner.unk_token_id in shared:
        return 0.0
    unknown, known = 0, 0
    for start in range(0, len(tokens), CHUNK):
        some = tokens[start : start + CHUNK]
        there = int(np.count_nonzero(some == inner.unk_token_id))
        unknown, known = unknown + there, known + len(some) - there - int(np.isin(some, list(others)).sum())
    return unknown / max(1, unknown + known)
