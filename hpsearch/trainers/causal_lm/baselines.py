"""The baselines of all data sets of a config, with metrics named as in evaluations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from hpsearch.contract import WorkerSettings
from hpsearch.data.corpus import Corpus
from hpsearch.tasks import Baseline
from hpsearch.tasks.baseline import Measurement
from hpsearch.training.config import FitConfig
from hpsearch.training.corpus import open_corpus


def baselines(
    config: FitConfig, settings: WorkerSettings, opened: Callable[[Any, WorkerSettings], Corpus] = open_corpus
) -> Iterator[Baseline]:
    """Yields the baselines of each set; a metric is val/NAME, or val/SET/NAME with several sets, as in evaluations.

    opened: opens the corpus of the config.
    """
    corpus, metric = opened(config, settings), config.objective.metric
    for name, corpus_set in corpus.sets.items():
        of_set = config.data[name].baselines(corpus_set, config.evaluation, tokenizer=corpus.tokenizer, metric=metric)
        prefix = "val/" if len(corpus.sets) == 1 else f"val/{name}/"
        yield from (replace(one, measure=_prefixed(one.measure, prefix)) for one in of_set)


def _prefixed(measure: Callable[[], Mapping[str, float]], prefix: str) -> Callable[[], Mapping[str, float]]:
    def named() -> Mapping[str, float]:
        found = measure()
        return (found if isinstance(found, Measurement) else Measurement(found)).prefixed(prefix)

    return named
