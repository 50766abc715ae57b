"""The tokenized data of a training config."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from hpsearch.config import digest
from hpsearch.contract import WorkerSettings
from hpsearch.data.corpus import Corpus
from hpsearch.data.token_arrays import joined
from hpsearch.data.tokenizer import Tokenizer
from hpsearch.training.config import FitConfig, TrainConfig


def open_corpus(config: TrainConfig, settings: WorkerSettings) -> Corpus:
    """Opens the corpus of the config; prepares it if no driver did. Raises DataError."""
    prepared = settings.prepared.get(config.corpus_digest())
    if prepared is not None:
        return Corpus.map(prepared)
    return Corpus.open(config.data, config.tokenizer, cache=settings.cache, base=settings.base)


def own_tokenizer(corpus: Corpus) -> Tokenizer:
    """The tokenizer of a corpus that `open_corpus` opened."""
    return cast(Tokenizer, corpus.tokenizer)


def state_digest(config: FitConfig, corpus: Corpus) -> str:
    """What last.pt and previous.pt are sealed with: the config and its data, which may change under the same config."""
    return digest([config.digest(), corpus.fingerprint])


def trained_on(config: TrainConfig, corpus: Corpus) -> Corpus:
    """The corpus whose train split a training of the config reads: with the valid split in it if it trains on that."""
    if not config.trains_on_valid:
        return corpus
    sets = {
        name: replace(one, splits={**one.splits, "train": joined(one.splits["train"], one.splits["valid"])})
        for name, one in corpus.sets.items()
    }
    return replace(corpus, sets=sets)
