"""`hpsearch.check`: whether the trainer of a space keeps its contract, by short trainings."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hpsearch.api.arguments import check_arguments
from hpsearch.api.options import Space, check_changes, experiment_of, opening_turn, redacted
from hpsearch.displays.show import displayed
from hpsearch.displays.training import TrainingTerminal
from hpsearch.events import Show
from hpsearch.home.home import Home
from hpsearch.preflight.checking import suite
from hpsearch.preflight.checking.findings import Conformance
from hpsearch.system.environment import refuse_old, stand_in_for_user

SECONDS = 20.0  # of a training, from its first evaluation on


def check(
    space: Space,
    *,
    home: str | Path = "mlruns",
    base: str | Path | None = None,
    trial_seconds: float = SECONDS,
    quick: bool = False,
    device: str | None = None,
    progress: bool | Show = True,
) -> Conformance:
    """Trains a small config of a space several times, and returns what its trainer keeps of its contract.

    It runs in worker processes of this machine, also for a study on Ray: to the end, or for `trial_seconds` each, with
    the same and another seed, twice at once, paused and resumed, killed and resumed. Nothing enters a study or MLflow;
    all files go to a temporary folder, the prepared data to the home if there is one.

    quick: only three trainings (undisturbed, paused, resumed). The other arguments are those of `hpsearch.run`.
    `check(...).ok` is False if anything fails; each of `findings` says in words what was seen, what a study will not
    promise, and how to mend it. Raises UserError (ConfigError, DataError) for a wrong argument, space or data.
    """
    refuse_old("torch")
    stand_in_for_user()
    with redacted():
        check_arguments(space=space, home=home, base=base, quick=quick, progress=progress)
        check_changes(seconds=trial_seconds)
        with opening_turn:
            experiment = experiment_of(space, base=base, device=device)
        with displayed(progress, in_terminal=TrainingTerminal) as show, _cached(home) as at:
            return suite.check(experiment, at, trial_seconds=trial_seconds, show=show, quick=quick)


@contextlib.contextmanager
def _cached(home: str | Path) -> Iterator[Home]:
    """The home, for its prepared data; in place of one that does not exist a temporary one: a check makes no home."""
    at = Home.at(Path(home))
    if at.path.is_dir():
        yield at
        return
    with tempfile.TemporaryDirectory(prefix="hpsearch-check-home-", ignore_cleanup_errors=True) as folder:
        yield Home(Path(folder))
