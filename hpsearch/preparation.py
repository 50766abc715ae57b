"""The data of a run: checked, tokenised where the cache lacks them, and what is to be said of them."""

from __future__ import annotations

import contextlib
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hpsearch import fit
from hpsearch.atomic import make_folder
from hpsearch.contract import WorkerSettings
from hpsearch.data import determinism, sources
from hpsearch.data.corpus import Contents, Corpus
from hpsearch.errors import ConfigError, DataError
from hpsearch.home import Home
from hpsearch.identity import check_data
from hpsearch.journal.history import History
from hpsearch.launchers.devices import plan
from hpsearch.space.experiment import Experiment
from hpsearch.training import measurable
from hpsearch.training.config import TrainConfig


@dataclass(frozen=True)
class Prepared:
    """The data of an experiment, tokenised."""

    corpora: dict[str, Path]
    facts: dict[str, Any]  # fingerprint, and examples and tokens by set and split
    warnings: list[str]
    summary: list[str]  # what was read, a line a set
    untested: list[str]  # why the tests of sets cannot be used


def prepare(
    experiment: Experiment,
    home: Home,
    progress: Callable[[str, float], None],
    *,
    history: History | None = None,
    known: Callable[[Mapping[str, Any]], None] = lambda facts: None,
) -> Prepared:
    """Checks the data sets, tokenises what the cache lacks; raises DataError or ConfigError, with the place.

    history: of the study to be resumed; raises StudyMismatch, before it tokenises, where the data are not the same;
    known: is told the fingerprints of the data at that time, to raise an error of its own.
    """
    check(experiment)
    config = first_config(experiment)
    make_folder(home.cache)
    with _placed(experiment):
        progress("reading the data", 0.0)
        contents, took = determinism.timed(lambda: Contents.of(config.data, config.tokenizer, base=experiment.base))
        check_data(experiment, history or History(), contents.facts)
        known(contents.facts)
        begins = history is not None and not history.origin
        again = determinism.asked_again(config.data, contents, base=experiment.base, took=took if begins else math.inf)
        with again as unsteady:
            places = {"cache": home.cache, "base": experiment.base}
            corpus = Corpus.open(config.data, config.tokenizer, **places, progress=progress, contents=contents)
            doubts = [*unsteady(), *measurable.doubts(config, corpus)]
    facts = {**contents.facts, "sets": corpus.counts}
    warnings = [*corpus.warnings, *doubts, *fit.check(experiment, corpus)]
    folders = {config.corpus_digest(): corpus.folder}
    return Prepared(folders, facts, warnings, corpus.summary, corpus.untested)


def check(experiment: Experiment) -> None:
    """What can be seen of the data sets at once: raises DataError, with the place in the space file.

    ConfigError where the machine cannot measure one of them, as for want of a tokenizer.
    """
    if found := measurable.unmeasurable(experiment.settings):
        key, reason = found
        raise ConfigError(f"{experiment.where('evaluation', key)}: evaluation.{key}: {reason}")
    for name, data_set in experiment.settings.data.items():
        with _placed(experiment), _based(experiment):
            sources.check_sources(name, data_set, base=experiment.base)


def first_config(experiment: Experiment) -> TrainConfig:
    """One config of the space: what is the same in all of them can be read from it."""
    return TrainConfig.model_validate({name: getattr(experiment.settings, name) for name in TrainConfig.model_fields})


@contextlib.contextmanager
def _placed(experiment: Experiment) -> Iterator[None]:
    """Puts the place in the space file before an error of a data set."""
    try:
        yield
    except DataError as error:
        raise experiment.placed(error) from error


@contextlib.contextmanager
def _based(experiment: Experiment) -> Iterator[None]:
    """Names `base` behind an error of data that are not there: a best.yaml that was moved still begins where it was."""
    try:
        yield
    except DataError as error:
        if experiment.settings.base is None or not re.search(r"no such (file|folder)|cannot be imported", str(error)):
            raise
        folder = os.path.abspath(experiment.base)
        gone = "which is not there" if not os.path.isdir(folder) else "which may no longer fit"
        place = experiment.where("base")
        found = DataError(
            f"{error}; its path begins in {folder} ({place}: base), {gone}: was this file moved? Mend base"
        )
        found.data_set = error.data_set
        raise found from error


def setting_for(experiment: Experiment, home: Home, prepared: Prepared, threads: int | None) -> WorkerSettings:
    """How the final training runs: the device of `resources`, the threads that the trial had."""
    threads = threads or experiment.provenance.get("threads") or experiment.resources.threads
    resources = experiment.resources.model_copy(update={"workers": 1, "threads": threads})
    settings = plan(resources, cache=home.cache.resolve(), base=experiment.base.resolve())
    return replace(settings[0], corpora=prepared.corpora)
