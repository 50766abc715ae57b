"""`hpsearch.extend`: adds to the budget of a study, and goes on with it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hpsearch.api.arguments import check_arguments
from hpsearch.api.confirm import experiment_named
from hpsearch.api.options import check_changes
from hpsearch.api.run import run
from hpsearch.api.study import Study, load
from hpsearch.errors import UserError
from hpsearch.events import Show
from hpsearch.home.home import Home, history_of
from hpsearch.journal.history import MAX_TRIALS, History
from hpsearch.journal.study_lock import is_locked
from hpsearch.policies.budget.extension import Extension
from hpsearch.policies.budget.spending import allowed, extended, limits, spent
from hpsearch.policies.policy import Policy
from hpsearch.space.budget import Budget
from hpsearch.space.experiment import Experiment

POLL_SECONDS = 0.1  # between checks whether the driver of a running study has taken its new budget


def extend(
    study: str | Path,
    *,
    home: str | Path = "mlruns",
    trials: int | None = None,
    hours: float | None = None,
    device_hours: float | None = None,
    money: float | None = None,
    workers: int | str | None = None,
    policy: Policy | None = None,
    progress: bool | Show = True,
    stopping: Callable[[], bool] | None = None,
) -> Study:
    """Adds trials, hours, device-hours or money to the totals of a study, and goes on with its search.

    The totals are those of its latest run: after `run space.yaml --trials 2`, `trials=1` makes them 3, whatever the
    file has. If another process searches the study, that one takes the new budget without a restart, and `extend`
    returns. The new totals are in the journal: a later `run` of the same space keeps them. Without an amount it goes on
    with what is left.

    study: its name, or its space file, whose settings then hold. The other arguments, and what it raises, are those of
    `hpsearch.run`; besides UserError for a limit that the budget does not have, or if another limit is reached too.
    """
    check_arguments(study=study, home=home, policy=policy)
    at = Home.at(Path(home))
    more = {"trials": trials, "hours": hours, "device_hours": device_hours, "money": money}
    experiment = extending(study, at, **more)
    if handed_over(experiment.study, at):
        return load(experiment.study, home=home)
    return run(experiment, home=home, workers=workers, policy=policy, progress=progress, stopping=stopping)


def extending(study: str | Path, home: Home, **more: float | None) -> Experiment:
    """Asks for more of a study's budget, and returns the experiment that goes on with it."""
    check_changes(**more)
    added = {name: amount for name, amount in more.items() if amount is not None}
    found = experiment_named(study, home)
    history, extension = history_of(home, found.study, curves=False, space=study), Extension(home.study(found.study))
    history.extension = {**history.extension, **extension.waiting()}
    settings = found.settings.model_copy(update={"budget": allowed(found.budget, history)})
    found = replace(found, settings=settings)
    totals = _totals(found.study, extended(found.budget, history), history, added)
    history.extension = {**history.extension, **totals}
    _refuse_reached(found.study, extended(found.budget, history), history, added)
    if totals:
        extension.ask(totals)
    return found


def handed_over(study: str, home: Home) -> bool:
    """Whether another process searches the study and has taken its new budget; waits until it has, or has ended."""
    extension, lock = Extension(home.study(study)), home.study(study) / "lock"
    while is_locked(lock):
        if not extension.waiting():
            return True
        time.sleep(POLL_SECONDS)
    return False


def _totals(study: str, budget: Budget, history: History, added: dict[str, float]) -> dict[str, float]:
    """The new totals: what the study had, or has spent if that is more, and the amounts."""
    known = {limit.name: max(limit.total, limit.spent) for limit in spent(budget, history)}
    for name in added:
        if name not in known:
            raise UserError(
                f"study '{study}' has no limit of {name} to extend; its budget: {', '.join(limits(budget))}"
            )
    totals = {name: known[name] + amount for name, amount in added.items()}
    if totals.get("trials", 0) > MAX_TRIALS:
        raise UserError(f"study '{study}' would have {totals['trials']:,} trials; allowed: at most {MAX_TRIALS:,}")
    return totals


def _refuse_reached(study: str, budget: Budget, history: History, added: dict[str, float]) -> None:
    """Raises UserError if a limit is reached that was not extended: nothing could go on."""
    reached = [str(limit) for limit in spent(budget, history) if limit.is_reached]
    if reached:
        too = "as well" if added else "with an amount of each"
        raise UserError(f"study '{study}' has spent {' and '.join(reached)}: extend that {too}")
