"""`hpsearch.run`: what the command of that name does, from a script or a notebook."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from hpsearch.api.interrupt import Interrupt
from hpsearch.api.options import Space, experiment_of, home_of, redacted
from hpsearch.displays.show import displayed
from hpsearch.driver import Driver, opened
from hpsearch.environment import refuse_old, stand_in_for_user
from hpsearch.events import Notice, Opened, Preparing, Searched, Shipped, Show
from hpsearch.home import Home
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
    progress: bool | Show = True,
    stopping: Callable[[], bool] | None = None,
) -> None:
    """Searches a space until its budget is spent, or resumes its study where it was stopped."""
    refuse_old("torch", "mlflow")
    stand_in_for_user()
    with redacted():
        changes = {"study": study, "trials": trials, "hours": hours, "workers": workers, "device": device}
        experiment = experiment_of(space, base=base, launcher=launcher, **changes)
        _run(experiment, home_of(home), progress=progress, stopping=stopping)


def _run(experiment: Experiment, home: Home, *, progress: bool | Show, stopping: Callable[[], bool] | None) -> None:
    from hpsearch.displays.terminal import SearchTerminal

    interrupt = Interrupt()
    with displayed(progress, in_terminal=SearchTerminal) as show, contextlib.ExitStack() as stack:
        show(Preparing("checking", 0.0))
        driver = stack.enter_context(_opened(experiment, home, show))
        with contextlib.nullcontext() if stopping is not None else interrupt:
            _search(driver, show, stopping or interrupt.stopping)
        _conclude(driver, show, stopped=(stopping or interrupt.stopping)())
    if interrupt.caught:
        raise KeyboardInterrupt(f"study '{experiment.study}' is saved; the same call resumes it")


def _opened(experiment: Experiment, home: Home, show: Show) -> contextlib.AbstractContextManager[Driver]:
    return opened(
        experiment,
        home,
        progress=lambda what, share: show(Preparing(what, share)),
        say=lambda line: show(Notice(line)),
    )


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
