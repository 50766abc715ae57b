"""`hpsearch.confirm`: trains the best trials of a study again with fresh seeds."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hpsearch.api.named import recorded, study_named
from hpsearch.api.run import run
from hpsearch.api.study import Study
from hpsearch.errors import UserError
from hpsearch.events import Show
from hpsearch.home.home import Home, history_of
from hpsearch.space.budget import Budget
from hpsearch.space.experiment import Experiment
from hpsearch.space.search import Confirm

TOP, SEEDS, MOST = 3, 3, 100


def confirm(
    study: str | Path,
    *,
    home: str | Path = "mlruns",
    top: int = TOP,
    seeds: int = SEEDS,
    workers: int | str | None = None,
    progress: bool | Show = True,
    stopping: Callable[[], bool] | None = None,
) -> Study:
    """Trains the `top` best trials of a study again, each with `seeds` fresh seeds, whatever that takes.

    It trains no new trial; repeats that the study has are not trained again. The other arguments, and what it raises,
    are those of `hpsearch.run`. Returns the study, whose `confirmation` ranks the trials by the fresh seeds alone.
    """
    experiment = confirming(study, Home.at(Path(home)), top=top, seeds=seeds)
    return run(experiment, home=home, workers=workers, progress=progress, stopping=stopping)


def confirming(study: str | Path, home: Home, *, top: int, seeds: int) -> Experiment:
    """Returns the experiment of a study, of which a run trains the repeats alone.

    Raises UserError for an unknown study, one without a completed trial, and for a wrong top or seeds.
    """
    for name, value in (("top", top), ("seeds", seeds)):
        if type(value) is not int or not 1 <= value <= MOST:
            raise UserError(f"{name}: {value!r} is not allowed; allowed: a whole number from 1 to {MOST}")
    found = experiment_named(study, home)
    history = history_of(home, found.study, curves=False, space=study)
    if history.best() is None:
        raise UserError(f"study '{found.study}': none of its trials has completed, so there is none to confirm")
    search = found.search.model_copy(update={"confirm": Confirm(top=top, seeds=seeds)})
    settings = found.settings.model_copy(update={"search": search, "budget": Budget()})
    return replace(found, settings=settings, searches=False)


def experiment_named(study: str | Path, home: Home) -> Experiment:
    """The experiment of a space file, or the one that the journal of a study holds."""
    path = Path(study)
    if path.suffix in (".yaml", ".yml") or os.path.isfile(path):
        return Experiment.load(path)
    name, _ = study_named(study)
    return recorded(history_of(home, name, curves=False), home.study(name))
