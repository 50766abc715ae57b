"""`hpsearch.run`: searches a space from a script or a notebook."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from hpsearch.api.arguments import check_arguments
from hpsearch.api.interrupt import Interrupt
from hpsearch.api.notifications import notifying
from hpsearch.api.options import Space, experiment_of, home_of, opening_turn, redacted
from hpsearch.api.study import Study, load
from hpsearch.displays.show import displayed
from hpsearch.displays.terminal import SearchTerminal
from hpsearch.events import Notice, Opened, Preparing, Searched, Shipped, Show
from hpsearch.policies.checked import CheckedPolicy
from hpsearch.policies.policy import Policy
from hpsearch.search.driver import Driver, opened
from hpsearch.space.experiment import Experiment
from hpsearch.system.environment import refuse_old, stand_in_for_user

PATIENCE_WHEN_STOPPED = 4.0  # seconds to wait for MLflow after a stop: the person wants to leave


def run(
    space: Space,
    *,
    home: str | Path = "mlruns",
    base: str | Path | None = None,
    study: str | None = None,
    trials: int | None = None,
    hours: float | None = None,
    device_hours: float | None = None,
    money: float | None = None,
    workers: int | str | None = None,
    device: str | None = None,
    launcher: str | None = None,
    policy: Policy | None = None,
    progress: bool | Show = True,
    stopping: Callable[[], bool] | None = None,
) -> Study:
    """Searches a space until its budget is spent, or resumes its study, as `hpsearch run` does.

    space: a space file, the same content as a mapping, or an Experiment; relative data paths of a mapping start at
    `base` (default: the working folder). study: the study's name (default: the file's). trials, hours, device_hours,
    money: the study's budget, earlier runs included. workers, device, launcher: where trials train (launcher "inline":
    in this process).

    policy: proposes the trials and decides when each one ends (default: the policy that the space names).

    progress: True draws bars in a notebook or a terminal. False draws nothing; warnings go to Python's logging. A
    callable receives each event (hpsearch.events), one at a time, some of them in another thread. An exception that it
    raises ends the search; one in another thread is printed once, and the search continues.

    Ctrl-C saves everything and then raises KeyboardInterrupt; a second Ctrl-C raises it at once. The same call resumes
    the study. stopping: called several times a second; once it returns True, everything is saved and the study is
    returned. With `stopping`, or outside the main thread, Ctrl-C keeps its usual effect.

    Returns the study. Raises UserError (ConfigError, DataError, StudyMismatch) for a wrong argument, StudyBusy if
    another process searches the study, TrainingFailed if too many trials fail, StorageFailed if a disk fails.
    """
    refuse_old("torch", "mlflow")
    stand_in_for_user()
    with redacted():
        check_arguments(space=space, home=home, base=base, policy=policy, progress=progress, stopping=stopping)
        budget = {"trials": trials, "hours": hours, "device_hours": device_hours, "money": money}
        changes = {"study": study, "workers": workers, "device": device, "launcher": launcher}
        with opening_turn:
            experiment, at = experiment_of(space, base=base, **changes, **budget), home_of(home)
        interrupt = Interrupt(is_watching=stopping is None)
        with displayed(progress, in_terminal=SearchTerminal) as show, notifying(experiment, at, show) as told:
            opening = opened(experiment, at, **_callbacks(told), policy=_checked(policy, experiment))
            _run(opening, told, interrupt, stopping or interrupt.stopping)
        if interrupt.caught:
            raise KeyboardInterrupt(f"study '{experiment.study}' is saved; the same call resumes it")
        return load(experiment.study, home=at.path)


def _run(
    opening: AbstractContextManager[Driver], show: Show, interrupt: Interrupt, stopping: Callable[[], bool]
) -> None:
    """Opens the study, searches it, exports the winner and waits for the views."""
    show(Preparing("checking", 0.0))
    with contextlib.ExitStack() as stack:
        with opening_turn:
            driver = stack.enter_context(opening)
        with interrupt:
            _search(driver, show, stopping)
        _conclude(driver, show, stopped=stopping())


def _callbacks(show: Show) -> dict[str, Any]:
    """The driver's callbacks while it opens the study."""
    return {
        "progress": lambda what, share: show(Preparing(what, share)),
        "say": lambda line: show(Notice(line)),
    }


def _checked(policy: Policy | None, experiment: Experiment) -> Policy | None:
    """Wraps the caller's policy, so that each answer is checked."""
    if policy is None:
        return None
    return CheckedPolicy(policy, experiment.space, where=f"policy {type(policy).__name__}")


def _search(driver: Driver, show: Show, stopping: Callable[[], bool]) -> None:
    history, waiting = driver.study.history, len(driver.study.unfinished())
    data, workers = driver.prepared.summary, driver.workers.settings
    show(Opened(driver.experiment, history, driver.folder, data, workers, waiting))
    with contextlib.closing(driver.run(stopping)) as events:
        for event in events:
            show(event)


def _conclude(driver: Driver, show: Show, *, stopped: bool) -> None:
    """Exports the winner and waits for the views; after a stop it only waits, and not for long."""
    show(Searched(driver.study.history, stopped=stopped, idle=driver.idle))
    if stopped:
        driver.finish_views(PATIENCE_WHEN_STOPPED)
    elif driver.study.history.trials:
        show(Shipped(driver.export(), driver.finish_views()))
