"""The tokenised data of a training config."""

from __future__ import annotations

from hpsearch.contract import WorkerSettings
from hpsearch.data.corpus import Corpus
from hpsearch.training.config import TrainConfig


def open_corpus(config: TrainConfig, settings: WorkerSettings) -> Corpus:
    """The corpus that was prepared for the config, or prepared now. Raises DataError."""
    prepared = settings.prepared.get(config.corpus_digest())
    if prepared is not None:
        return Corpus.map(prepared)
    return Corpus.open(config.data, config.tokenizer, cache=settings.cache, base=settings.base)
