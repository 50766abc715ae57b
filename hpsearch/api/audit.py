"""`hpsearch.audit`: trains a sample of the trials that were stopped early to their end: what has the pruner cost?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hpsearch.api.confirm import MOST, experiment_named
from hpsearch.api.run import run
from hpsearch.api.study import Study
from hpsearch.errors import UserError
from hpsearch.events import Show
from hpsearch.home.home import Home, history_of
from hpsearch.results.evidence.pruning_audit import TRIALS, stopped
from hpsearch.space.budget import Budget
from hpsearch.space.experiment import Experiment


def audit(
    study: str | Path,
    *,
    home: str | Path = "mlruns",
    trials: int = TRIALS,
    workers: int | str | None = None,
    progress: bool | Show = True,
    stopping: Callable[[], bool] | None = None,
) -> Study:
    """Trains a sample of `trials` of the pruned and paused trials of a study to their end, each with its own seed.

    A paused trial continues from a copy of its checkpoint, others start over. Trials that were audited before count
    among them. An audit is no trial of the search and changes no winner. The other arguments, and what it raises, are
    those of `hpsearch.run`. Returns the study, whose `audit` says what the pruner has cost.
    """
    experiment = auditing(study, Home.at(Path(home)), trials=trials)
    return run(experiment, home=home, workers=workers, progress=progress, stopping=stopping)


def auditing(study: str | Path, home: Home, *, trials: int) -> Experiment:
    """Returns the experiment of a study, of which a run trains the audits alone.

    Raises UserError for an unknown study, one without a winner or a trial that was stopped, and for wrong `trials`.
    """
    if type(trials) is not int or not 1 <= trials <= MOST:
        raise UserError(f"trials: {trials!r} is not allowed; allowed: a whole number from 1 to {MOST}")
    found = experiment_named(study, home)
    history = history_of(home, found.study, curves=False, space=study)
    if history.leader() is None:
        raise UserError(f"study '{found.study}': none of its trials has a value, so there is no winner to compare with")
    if not stopped(history) and not history.audits:
        raise UserError(f"study '{found.study}': none of its trials was pruned or is paused, so there is none to audit")
    settings = found.settings.model_copy(update={"budget": Budget()})
    return replace(found, settings=settings, searches=False, audits=trials)
