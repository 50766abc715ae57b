"""`hpsearch.run`: what the command of that name does, from a script or a notebook."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from hpsearch.api.interrupt import Interrupt
from hpsearch.api.options import Space, experiment_of, home_of, redacted
from hpsearch.api.study import Study, load
from hpsearch.displays.show import displayed
from hpsearch.displays.terminal import SearchTerminal
from hpsearch.driver import Driver, opened
from hpsearch.environment import refuse_old, stand_in_for_user
from hpsearch.errors import UserError
from hpsearch.events import Notice, Opened, Preparing, Searched, Shipped, Show
from hpsearch.policies.checked import CheckedPolicy
from hpsearch.policies.policy import Policy
from hpsearch.space.experiment import Experiment

PATIENCE_WHEN_STOPPED = 4.0  # seconds that MLflow has to hear of a stop: who asked for it wants to leave


def run(
    space: Space,
    *,
    home: str | Path = "mlruns",
    base: str | Path | None = None,
    study: str | None = None,
    trials: int | None = None,
    hours: float | None = None,
    workers: int | str | None = None,
    device: str | None = None,
    launcher: str | None = None,
    policy: Policy | None = None,
    progress: bool | Show = True,
    stopping: Callable[[], bool] | None = None,
) -> Study:
    """Searches a space until its budget is spent, or resumes its study where it was stopped, as `hpsearch run` does.

    space: a space file, the mapping that one holds, or an Experiment; relative data paths of a mapping begin at `base`
    (default: the working folder). study: its name (default: the file's); trials, hours: the study's budget, earlier
    runs included; workers, device, launcher: where trials train (launcher "inline": in this process).

    policy: decides which trial comes next and what becomes of each (default: the one that the space names).

    progress: True draws bars in a notebook or a terminal; False draws nothing, warnings go to Python's logging; a
    callable gets each event (hpsearch.events), now and then from another thread, but one at a time.

    Ctrl-C saves everything and then raises KeyboardInterrupt; a second one raises it at once. The same call resumes
    the study. stopping: is asked several times a second; once it returns True, everything is saved and the study
    returned as it stands. Where it is given, or in another thread than the main one, Ctrl-C is left alone.

    Returns the study. Raises UserError (ConfigError, DataError, StudyMismatch) for a mistake in what was given,
    StudyBusy where another process searches the study, TrainingFailed where too many trials fail, StorageFailed where
    a disk takes nothing.
    """
    refuse_old("torch", "mlflow")
    stand_in_for_user()
    with redacted():
        changes = {"study": study, "trials": trials, "hours": hours, "workers": workers, "device": device}
        experiment, at = experiment_of(space, base=base, launcher=launcher, **changes), home_of(home)
        interrupt = Interrupt(is_watching=stopping is None)
        with displayed(progress, in_terminal=SearchTerminal) as show:
            opening = opened(experiment, at, **_told(show), policy=_checked(policy, experiment))
            _run(opening, show, interrupt, stopping or interrupt.stopping)
        if interrupt.caught:
            raise KeyboardInterrupt(f"study '{experiment.study}' is saved; the same call resumes it")
        return load(experiment.study, home=at.path)


def _run(
    opening: AbstractContextManager[Driver], show: Show, interrupt: Interrupt, stopping: Callable[[], bool]
) -> None:
    """Opens the study, searches it, exports the winner and waits for the views."""
    show(Preparing("checking", 0.0))
    with opening as driver:
        with interrupt:
            _search(driver, show, stopping)
        _conclude(driver, show, stopped=stopping())


def _told(show: Show) -> dict[str, Any]:
    """How the driver tells what it does while it opens the study."""
    return {
        "progress": lambda what, share: show(Preparing(what, share)),
        "say": lambda line: show(Notice(line)),
    }


def _checked(policy: Policy | None, experiment: Experiment) -> Policy | None:
    """The caller's policy, each answer of which is checked; UserError where it is none."""
    if policy is None:
        return None
    if missing := [method for method in ("next", "judge") if not callable(getattr(policy, method, None))]:
        raise UserError(f"policy: {type(policy).__name__} has no method {missing[0]}()")
    return CheckedPolicy(policy, experiment.space, where=f"policy {type(policy).__name__}")


def _search(driver: Driver, show: Show, stopping: Callable[[], bool]) -> None:
    history, waiting = driver.study.history, len(driver.study.unfinished())
    data, workers = driver.prepared.summary, driver.workers.settings
    show(Opened(driver.experiment, history, driver.folder, data, workers, waiting))
    with contextlib.closing(driver.run(stopping)) as events:
        for event in events:
            show(event)


def _conclude(driver: Driver, show: Show, *, stopped: bool) -> None:
    """Exports the winner and waits for the views; only shortly where somebody asked to stop."""
    show(Searched(driver.study.history, stopped=stopped, idle=driver.idle))
    if stopped:
        driver.finish_views(PATIENCE_WHEN_STOPPED)
    elif driver.study.history.trials:
        show(Shipped(driver.export(), driver.finish_views()))
