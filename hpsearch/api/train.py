"""`hpsearch.train`: the final training and the only evaluation on the test set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from hpsearch.api.arguments import check_arguments, check_trained_on
from hpsearch.api.final_job import FinalJob, FinalResult, wanted_config
from hpsearch.api.interrupt import Interrupt
from hpsearch.api.options import Space, experiment_of, home_of, opening_turn, redacted
from hpsearch.displays.show import displayed
from hpsearch.displays.training import TrainingTerminal
from hpsearch.errors import UserError
from hpsearch.events import Show
from hpsearch.system.environment import refuse_old, stand_in_for_user
from hpsearch.trainers import Trainer
from hpsearch.views.mlflow.registry import Registration
from hpsearch.views.mlflow.schema import check_home

__all__ = ["FinalResult", "train"]


def train(
    config: Space,
    *,
    output: str | Path = "model",
    home: str | Path = "mlruns",
    base: str | Path | None = None,
    seeds: int = 1,
    data: Literal["train", "train+valid"] = "train",
    threads: int | None = None,
    device: str | None = None,
    data_changed: bool = False,
    register: str | None = None,
    alias: str | None = None,
    progress: bool | Show = True,
    stopping: Callable[[], bool] | None = None,
) -> FinalResult:
    """Trains a config without ranges, tests it once and writes the model to `output`, as `hpsearch train` does.

    config: best.yaml or another file, a mapping or an Experiment; relative data paths of a mapping start at `base`
    (default: the working folder). threads: CPU threads (default: the trial's number, which repeats it to the last
    bit). data_changed: accepts data that differ from those of the search. register: the name in MLflow's registry under
    which the model becomes a new version; alias: the alias that this version gets (default: `champion` for the first).

    seeds: trains so many, the config's own first; `FinalResult.seeds` has mean and deviation of their test metrics, and
    the model is the one that is best on validation. data: "train+valid" trains on the validation split as well, for the
    same number of epochs; nothing is validated then, and the model is that of the last step.

    progress, stopping and Ctrl-C: as for hpsearch.run. The same call resumes a stopped or killed training.

    Returns the metrics and the folder. Raises UserError (ConfigError, DataError, StudyMismatch) for a wrong argument,
    TrainingFailed if no evaluation was finite.
    """
    refuse_old("torch", "mlflow")
    stand_in_for_user()
    with redacted():
        check_arguments(config=config, output=output, home=home, base=base, data_changed=data_changed)
        check_arguments(progress=progress, stopping=stopping, seeds=seeds, register=register, alias=alias)
        check_trained_on(data)
        with opening_turn:
            experiment = experiment_of(config, base=base, device=device, threads=threads)
            wanted_config(experiment, data)  # raises if it has ranges, before anything is written
            registration = registration_of(register, alias, experiment.trainer)
            at = home_of(home)
            check_home(at.path, experiment.tracking.uri)
        interrupt = Interrupt(is_watching=stopping is None)
        with displayed(progress, in_terminal=TrainingTerminal) as show:
            job = FinalJob(experiment, at, Path(output), threads, data_changed, show, seeds, data, registration)
            result = job.run(interrupt, stopping or interrupt.stopping)
    if interrupt.caught and result.stopped:
        raise KeyboardInterrupt(f"the training in {output} is saved; the same call resumes it")
    return result


def registration_of(name: str | None, alias: str | None, trainer: Trainer) -> Registration | None:
    """How the model is to be registered, None: not at all; raises UserError if it cannot be."""
    if name is None:
        if alias is not None:
            raise UserError("an alias is one of a registered model; name the model, too (--register NAME)")
        return None
    if type(trainer).export is Trainer.export:
        raise UserError(f"nothing to register: the trainer {trainer.name} exports no model (it has no method export)")
    return Registration(name, alias)
