"""Checks before any training that the metrics of a config can be computed."""

from __future__ import annotations

from hpsearch.data.corpus import Corpus
from hpsearch.training.config import FitConfig


def unmeasurable(config: FitConfig) -> tuple[str, str] | None:
    """(key of `evaluation`, reason) if this machine cannot compute the metrics of a set, else None."""
    found = (data_set.unmeasurable(config.evaluation) for data_set in config.data.values())
    return next((reason for reason in found if reason is not None), None)


def doubts(config: FitConfig, corpus: Corpus) -> list[str]:
    """Warnings about metrics on these data, a line each; raises DataError if they cannot be computed."""
    metric = config.objective.metric
    return [
        line
        for name, corpus_set in corpus.sets.items()
        for line in config.data[name].doubts(corpus_set, config.evaluation, metric=metric)
    ]
