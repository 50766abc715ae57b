"""`hpsearch.register`: a model of an earlier final training as a version in MLflow's registry."""

from __future__ import annotations

from pathlib import Path

from hpsearch.api.arguments import check_arguments
from hpsearch.api.final_log import FinalLog
from hpsearch.api.options import home_of, redacted
from hpsearch.displays.show import displayed
from hpsearch.displays.training import TrainingTerminal
from hpsearch.errors import HpsearchError
from hpsearch.events import Notice, Show
from hpsearch.system.environment import refuse_old, stand_in_for_user
from hpsearch.views.mlflow.registry import Registered, Registration
from hpsearch.views.mlflow.schema import check_home


def register(
    folder: str | Path,
    name: str,
    *,
    alias: str | None = None,
    home: str | Path = "mlruns",
    progress: bool | Show = True,
) -> Registered:
    """Makes the model in a folder a version of `name` in MLflow's registry, as `hpsearch train --register` does.

    folder: as `hpsearch.train` has written it, without `register` or while MLflow was down: what MLflow lacks of the
    training's runs (curves, metrics, data sets, the model) is written first, with its times. The registry is that of
    the home, or of the server that the training's config names. alias: the alias that the version gets (default:
    `champion` for the first of a name). The same call again finds the version that the first one made.

    Returns the version. Raises UserError for a folder without such a model and for a name or an alias that MLflow
    refuses, HpsearchError if MLflow does not answer or refuses the version.
    """
    refuse_old("mlflow")
    stand_in_for_user()
    with redacted():
        check_arguments(folder=folder, register=name, alias=alias, home=home, progress=progress)
        wanted, log, lines = Registration(name, alias), FinalLog.read(Path(folder)), list[str]()
        at, model = home_of(home), None
        check_home(at.path, log.tracking)
        for seed in log.seeds:
            run = log.begin(seed, at, say=lines.append)
            for evaluation in seed.evaluations:
                run.evaluation(evaluation)
            log.end(seed, run, Path(folder), wanted)
            model = run if seed.is_model else model
        if model is None or model.registered is None:
            reason = (model and model.fault) or (lines[-1] if lines else "MLflow does not answer in time")
            raise HpsearchError(f"{folder}: not registered as {name}: {reason}")
    with displayed(progress, in_terminal=TrainingTerminal) as show:
        for line in lines:
            show(Notice(line))
    return model.registered
