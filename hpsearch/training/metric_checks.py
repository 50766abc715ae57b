"""Whether a config can be measured on its data and on this machine, seen before anything trains."""

from __future__ import annotations

from hpsearch.data.corpus import Corpus
from hpsearch.training.config import TrainConfig


def unmeasurable(config: TrainConfig) -> tuple[str, str] | None:
    """(key of `evaluation`, reason) where this machine cannot measure one of the sets; None: it can."""
    found = (data_set.unmeasurable(config.evaluation) for data_set in config.data.values())
    return next((reason for reason in found if reason is not None), None)


def doubts(config: TrainConfig, corpus: Corpus) -> list[str]:
    """What to know of the metrics on these data, one line each; raises DataError where they cannot be measured."""
    metric = config.objective.metric
    return [
        line
        for name, corpus_set in corpus.sets.items()
        for line in config.data[name].doubts(corpus_set, config.evaluation, metric=metric)
    ]
