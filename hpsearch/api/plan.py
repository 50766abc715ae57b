"""`hpsearch.plan`: what a study will take, before it runs."""

from __future__ import annotations

from pathlib import Path

from hpsearch.api.arguments import check_arguments
from hpsearch.api.options import Space, check_changes, experiment_of, home_of, opening_turn, redacted
from hpsearch.displays.show import displayed
from hpsearch.displays.training import TrainingTerminal
from hpsearch.events import Preparing, Show
from hpsearch.preflight.planning import planner
from hpsearch.preflight.planning.plan import Plan
from hpsearch.system.environment import refuse_old, stand_in_for_user

SECONDS = 60.0  # of measuring


def plan(
    space: Space,
    *,
    home: str | Path = "mlruns",
    base: str | Path | None = None,
    seconds: float = SECONDS,
    quick: bool = False,
    trials: int | None = None,
    hours: float | None = None,
    device_hours: float | None = None,
    money: float | None = None,
    workers: int | str | None = None,
    device: str | None = None,
    launcher: str | None = None,
    progress: bool | Show = True,
) -> Plan:
    """Measures a few steps of some configs of a space, and returns what its study will take, and warnings.

    The configs are the default one, those with the smallest and the largest costs, and some between. They are trained
    for a few seconds each in worker processes, on the data and the device of the study, as many at once as a run has.
    No study, journal or MLflow run is touched or made; only the prepared data stay in the home, for the run.

    seconds: of measuring, at most, without the start of the workers; what takes longer is ended. quick: nothing is
    measured; the plan has the data and the warnings that need no measurement. The other arguments are those of
    `hpsearch.run`.

    The plan is a frozen value. A config that cannot be measured (out of memory, an error) is in `plan.measured` with
    its `failure`. Ctrl-C ends it at once. Raises UserError (ConfigError, DataError) for a wrong argument, space or
    data.
    """
    refuse_old("torch")
    stand_in_for_user()
    with redacted():
        check_arguments(space=space, home=home, base=base, quick=quick, progress=progress)
        check_changes(seconds=seconds)
        budget = {"trials": trials, "hours": hours, "device_hours": device_hours, "money": money}
        with opening_turn:
            experiment = experiment_of(space, base=base, workers=workers, device=device, launcher=launcher, **budget)
            at = home_of(home)
        with displayed(progress, in_terminal=TrainingTerminal) as show:

            def shown(what: str, share: float) -> None:
                show(Preparing(what, share))

            return planner.make(experiment, at, seconds=seconds, progress=shown, quick=quick)
