"""Checks the data of a space and tokenizes them into the cache."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hpsearch.data import determinism, sources
from hpsearch.data.corpus import Contents, Corpus
from hpsearch.errors import ConfigError, DataError
from hpsearch.trainers.causal_lm import data_checks
from hpsearch.trainers.space_view import SpaceView
from hpsearch.trainers.values import Prepared
from hpsearch.training import metric_checks
from hpsearch.training.config import FitConfig, TrainConfig


def check(space: SpaceView) -> None:
    """Checks that the sources exist and can be measured.

    Raises DataError with the place in the space file, ConfigError if a package for a metric is missing.
    """
    config: FitConfig = space.config
    if found := metric_checks.unmeasurable(config):
        key, reason = found
        raise ConfigError(f"{space.where('evaluation', key)}: evaluation.{key}: {reason}")
    for name, data_set in config.data.items():
        with placed(space):
            sources.check_sources(name, data_set, base=space.base)


def prepare(
    space: SpaceView,
    *,
    cache: Path,
    progress: Callable[[str, float], None],
    known: Callable[[Mapping[str, Any]], None],
    fresh: bool,
) -> Prepared:
    """Reads the data sets and tokenizes those missing in the cache; raises DataError or ConfigError with the place."""
    config: TrainConfig = space.config
    with placed(space):
        progress("reading the data", 0.0)
        contents, took = determinism.timed(lambda: Contents.of(config.data, config.tokenizer, base=space.base))
        known(contents.facts)
        again = determinism.called_again(config.data, contents, base=space.base, took=took if fresh else math.inf)
        with again as unstable:
            places = {"cache": cache, "base": space.base}
            corpus = Corpus.open(config.data, config.tokenizer, **places, progress=progress, contents=contents)
            doubts = [*unstable(), *metric_checks.doubts(config, corpus)]
    return Prepared(
        folders={config.corpus_digest(): corpus.folder},
        fingerprint=contents.fingerprint,
        contents=contents.sets,
        sets=corpus.counts,
        warnings=[*corpus.warnings, *doubts, *data_checks.check(space, corpus)],
        summary=corpus.summary,
        untested=corpus.untested,
    )


@contextlib.contextmanager
def placed(space: SpaceView) -> Iterator[None]:
    """Adds the place in the space file to a DataError, unless it names the line of a data file."""
    try:
        yield
    except DataError as error:
        said, name = str(error), error.data_set
        if name is None or re.match(r"(?!data\.)[^\n]+?:\d+: ", said):
            raise
        place = space.where("data", name)
        raise DataError(f"{place}: {'' if said.startswith('data.') else f'data.{name}: '}{said}") from error
