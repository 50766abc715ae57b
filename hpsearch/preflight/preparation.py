"""Checks and prepares the data of a run through its trainer; the settings of a final training."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from hpsearch.contract import WorkerSettings
from hpsearch.errors import UserError
from hpsearch.home.home import Home
from hpsearch.home.identity import check_data
from hpsearch.journal.history import History
from hpsearch.launchers.devices import first_gpu, plan
from hpsearch.space.experiment import Experiment
from hpsearch.space.starting_folder import with_start
from hpsearch.system.atomic import make_folder
from hpsearch.trainers import Prepared, reporting_errors


def prepare(
    experiment: Experiment,
    home: Home,
    progress: Callable[[str, float], None],
    *,
    history: History | None = None,
    known: Callable[[Mapping[str, Any]], None] = lambda facts: None,
) -> Prepared:
    """Lets the trainer check and prepare the data; raises UserError with the place in the space file.

    history: of the study to resume; if its data differ, StudyMismatch is raised before anything is prepared.
    known: called with the fingerprints of the data at that time; may raise an error of its own.
    """

    def check_known(facts: Mapping[str, Any]) -> None:
        check_data(experiment, history or History(), facts)
        known(facts)

    check(experiment, home)
    make_folder(home.cache)
    with _reporting_errors(experiment, "prepare", home):
        return experiment.trainer.prepare(
            experiment.space_file,
            cache=home.cache,
            progress=progress,
            known=check_known,
            fresh=history is not None and history.is_new,
        )


def check(experiment: Experiment, home: Home) -> None:
    """Runs the trainer's quick checks; raises UserError with the place in the space file."""
    with _based(experiment), _reporting_errors(experiment, "check", home):
        experiment.trainer.check(experiment.space_file)


def _reporting_errors(experiment: Experiment, doing: str, home: Home) -> AbstractContextManager[None]:
    return reporting_errors(
        experiment.trainer, doing, base=experiment.base, log=home.study(experiment.study) / "error.txt"
    )


@contextlib.contextmanager
def _based(experiment: Experiment) -> Iterator[None]:
    """Adds the folder that a relative path starts from to an error about something missing."""
    try:
        yield
    except UserError as error:
        text = with_start(str(error), experiment.document)
        if text == str(error):
            raise
        found = type(error)(text)
        vars(found).update(vars(error))  # the data set of a DataError
        raise found from error


def settings_for(experiment: Experiment, home: Home, prepared: Prepared, threads: int | None) -> WorkerSettings:
    """The settings of a final training: the device of `resources`, the number of threads of the trial."""
    threads = threads or experiment.provenance.get("threads") or experiment.resources.threads
    resources = experiment.resources.model_copy(update={"workers": 1, "threads": threads})
    settings = plan(resources, cache=home.cache.resolve(), base=experiment.base.resolve())
    return replace(first_gpu(settings[0]), prepared=prepared.folders)
