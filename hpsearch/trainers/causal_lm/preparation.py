"""The data of a space: checked, tokenised where the cache lacks them, and what is to be said of them."""

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
from hpsearch.trainers.trainer import Asked, Prepared
from hpsearch.training import metric_checks
from hpsearch.training.config import TrainConfig


def check(asked: Asked) -> None:
    """What can be seen of the data sets at once: raises DataError, with the place in the space file.

    ConfigError where the machine cannot measure one of them, as for want of a tokenizer.
    """
    config: TrainConfig = asked.config
    if found := metric_checks.unmeasurable(config):
        key, reason = found
        raise ConfigError(f"{asked.where('evaluation', key)}: evaluation.{key}: {reason}")
    for name, data_set in config.data.items():
        with _placed(asked):
            sources.check_sources(name, data_set, base=asked.base)


def prepare(
    asked: Asked,
    *,
    cache: Path,
    progress: Callable[[str, float], None],
    known: Callable[[Mapping[str, Any]], None],
    fresh: bool,
) -> Prepared:
    """Checks the data sets, tokenises what the cache lacks; raises DataError or ConfigError, with the place."""
    config: TrainConfig = asked.config
    with _placed(asked):
        progress("reading the data", 0.0)
        contents, took = determinism.timed(lambda: Contents.of(config.data, config.tokenizer, base=asked.base))
        known(contents.facts)
        again = determinism.called_again(config.data, contents, base=asked.base, took=took if fresh else math.inf)
        with again as nondeterminism:
            places = {"cache": cache, "base": asked.base}
            corpus = Corpus.open(config.data, config.tokenizer, **places, progress=progress, contents=contents)
            doubts = [*nondeterminism(), *metric_checks.doubts(config, corpus)]
    return Prepared(
        folders={config.corpus_digest(): corpus.folder},
        fingerprint=contents.fingerprint,
        contents=contents.sets,
        sets=corpus.counts,
        warnings=[*corpus.warnings, *doubts, *data_checks.check(asked, corpus)],
        summary=corpus.summary,
        untested=corpus.untested,
    )


@contextlib.contextmanager
def _placed(asked: Asked) -> Iterator[None]:
    """Puts the place in the space file before an error of a data set, unless it names the line of a data file."""
    try:
        yield
    except DataError as error:
        said, name = str(error), error.data_set
        if name is None or re.match(r"(?!data\.)[^\n]+?:\d+: ", said):
            raise
        place = asked.where("data", name)
        raise DataError(f"{place}: {'' if said.startswith('data.') else f'data.{name}: '}{said}") from error
