"""`hpsearch.verify`: trains an exported config again, and says whether it reproduces the value that the file names."""

from __future__ import annotations

import contextlib
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpsearch.api.arguments import check_arguments
from hpsearch.api.final_job import prepared_data
from hpsearch.api.interrupt import Interrupt
from hpsearch.api.options import Space, experiment_of, opening_turn, redacted
from hpsearch.contract import WorkerSettings
from hpsearch.displays.show import displayed
from hpsearch.displays.training import TrainingTerminal
from hpsearch.events import Notice, Show, Trained
from hpsearch.final.provenance import cannot_tell, data_changes
from hpsearch.final.reproduction import Expected, Verification, compared, expected
from hpsearch.final.training import FinalTraining
from hpsearch.home.home import Home
from hpsearch.home.identity import described
from hpsearch.preflight.preparation import settings_for
from hpsearch.space.experiment import Experiment
from hpsearch.system.environment import environment, refuse_old, stand_in_for_user


def verify(
    config: Space,
    *,
    home: str | Path = "mlruns",
    base: str | Path | None = None,
    threads: int | None = None,
    device: str | None = None,
    progress: bool | Show = True,
    stopping: Callable[[], bool] | None = None,
) -> Verification:
    """Trains an exported config again on the same split, and compares its value with the one that the file names.

    config: best.yaml, or its content as a mapping. On the CPU with the same versions and data the value must repeat to
    the last bit; else it must be a tie, by the seed noise that the confirmation measured or an assumed one. What
    differs from the search is said before the training. It never looks at the test data, keeps no model, and writes
    neither to the study nor to MLflow.

    The other arguments are those of hpsearch.train; nothing is kept of a training that is stopped. Returns the verdict
    (`reproduces`). Raises UserError for a file without a value or one that was edited, TrainingFailed if no evaluation
    was finite.
    """
    refuse_old("torch")
    stand_in_for_user()
    with redacted():
        check_arguments(config=config, home=home, base=base, progress=progress, stopping=stopping)
        with opening_turn:
            experiment = experiment_of(config, base=base, device=device, threads=threads)
            experiment.train_config()  # raises if it has ranges, before anything is written
            at = Home.at(Path(home))
        interrupt = Interrupt(is_watching=stopping is None)
        with displayed(progress, in_terminal=TrainingTerminal) as show, _cached(at) as at:
            found = _Job(experiment, at, threads, show).run(interrupt, stopping or interrupt.stopping)
    if interrupt.caught and found.stopped:
        raise KeyboardInterrupt("the verification was stopped; nothing of it is kept")
    return found


@contextlib.contextmanager
def _cached(home: Home) -> Iterator[Home]:
    """The home, for its tokenised data; in place of one that does not exist a temporary one: a check makes no home."""
    if home.path.is_dir():
        yield home
        return
    with tempfile.TemporaryDirectory(prefix="hpsearch-verify-", ignore_cleanup_errors=True) as folder:
        yield Home(Path(folder))


@dataclass
class _Job:
    """One verification, from the config to the verdict."""

    experiment: Experiment
    home: Home
    threads: int | None
    show: Show
    data: list[str] = field(default_factory=list)  # the sets that changed since the search

    def run(self, interrupt: Interrupt, stopping: Callable[[], bool]) -> Verification:
        """Prepares the data, says what differs, trains and compares."""
        with opening_turn:
            wanted = self.experiment.train_config()
            compared(self.experiment, wanted)  # raises before the data are read
            settings, here = self._settings(), environment(self.experiment.base)
        wants = expected(self.experiment, wanted, settings, here=here, data=self.data)
        for line in wants.lines(self.experiment.provenance, wanted.seed):
            self.show(Notice(line))
        with tempfile.TemporaryDirectory(prefix="hpsearch-verify-", ignore_cleanup_errors=True) as folder, interrupt:
            final = FinalTraining(wanted, Path(folder), settings, trainer=self.experiment.trainer)
            with contextlib.closing(final):
                self._train(final, stopping)
                return _stopped(wants) if final.stopped else wants.verdict(final.trainings[0].measured)

    def _settings(self) -> WorkerSettings:
        prepared = prepared_data(self.experiment, self.home, self.show, self._compare_data)
        return settings_for(self.experiment, self.home, prepared, self.threads)

    def _compare_data(self, facts: Mapping[str, Any]) -> None:
        """Notes the sets that changed since the search; warns if that cannot be told."""
        known = self.experiment.provenance
        self.data = [line.strip() for line in described(data_changes(known, facts)).splitlines()]
        if reason := cannot_tell(known, facts):
            self.show(Notice(f"warning: {self.experiment.path}: {reason}"))

    def _train(self, final: FinalTraining, stopping: Callable[[], bool]) -> None:
        ends_at = final.trainer.phases(final.config).ends_at
        for evaluation in final.trainings[0].run(stopping, self.show):
            self.show(Trained(evaluation, final.config.objective.metric, evaluation.progress / ends_at))


def _stopped(wants: Expected) -> Verification:
    line = f"stopped: whether {wants.trial} reproduces is not known"
    return Verification(False, False, math.nan, wants.value, wants.margin, wants.differences, line, stopped=True)
