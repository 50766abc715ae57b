"""The tokenized data of a training config."""

from __future__ import annotations

from hpsearch.config import digest
from hpsearch.contract import WorkerSettings
from hpsearch.data.corpus import Corpus
from hpsearch.training.config import FitConfig, TrainConfig


def open_corpus(config: TrainConfig, settings: WorkerSettings) -> Corpus:
    """Opens the corpus of the config; prepares it if no driver did. Raises DataError."""
    prepared = settings.prepared.get(config.corpus_digest())
    if prepared is not None:
        return Corpus.map(prepared)
    return Corpus.open(config.data, config.tokenizer, cache=settings.cache, base=settings.base)


def state_digest(config: FitConfig, corpus: Corpus) -> str:
    """What last.pt and previous.pt are sealed with: the config and its data, which may change under the same config."""
    return digest([config.digest(), corpus.fingerprint])
