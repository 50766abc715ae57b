"""The winner as a config: the same file with every range replaced by its value, and where it comes from."""

from __future__ import annotations

import io
import math
import os
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from hpsearch.atomic import write_atomically
from hpsearch.errors import UserError
from hpsearch.journal.history import History, TrialHistory, number
from hpsearch.outcome import Outcome
from hpsearch.provenance import provenance
from hpsearch.training.config import TrainConfig


def winner(history: History) -> TrialHistory:
    """The trial with the best validation value, an unfinished one included; raises UserError when there is none yet."""
    best = history.leader()
    if best is None or best.best is None:
        raise UserError(
            f"study '{history.study}': none of its {len(history.trials)} trials has completed or measured a finite "
            f"{history.metric}; run it further first"
        )
    return best


def winning_config(trial: TrialHistory) -> TrainConfig:
    """The trial's config in the precision it had, ending where its best evaluation stood: the schedule stays that of
    all its epochs.
    """
    config = TrainConfig.model_validate(trial.config)
    update: dict[str, Any] = {}
    if config.training.precision == "auto" and trial.precision:
        update["precision"] = trial.precision  # another machine's auto may be another
    if trial.best is not None and trial.best.index < config.evaluation.times * config.training.stop_at:
        update["stop_at"] = trial.best.index / config.evaluation.times
    return config.model_copy(update={"training": config.training.model_copy(update=update)})


def text(history: History, *, base: str, run_id: str | None) -> str:
    """best.yaml of a study; `base` is the folder that the config's relative paths begin at, as seen from the file."""
    trial = winner(history)
    config = winning_config(trial)
    document = CommentedMap({"study": history.study, "base": base})
    for key, value in config.model_dump(mode="json", exclude_none=True).items():
        document[key] = _commented(value)
    if config.training.stop_at < 1.0:
        _explain_stop(document["training"], config, trial, after(history, trial))
    if trial.config["training"].get("precision") == "auto" != config.training.precision:
        document["training"].yaml_add_eol_comment(f"what auto came to in trial {trial.number}", "precision")
    document["provenance"] = known = _commented(provenance(history, trial, config, run_id))
    known["config"].fa.set_flow_style()  # a few lines of it
    document.yaml_set_start_comment(
        f"The best of {len(history.trials)} trials of study {history.study}.\n"
        "Train it, test it once and write the model:  hpsearch train THIS_FILE -o model\n"
        "Any value may be made a range again:  hpsearch run THIS_FILE --study ANOTHER_NAME"
    )
    stream = io.StringIO()
    yaml = YAML()
    yaml.width = 120
    yaml.dump(document, stream)
    return stream.getvalue()


def write(history: History, path: Path, *, base: Path, run_id: str | None) -> None:
    """Writes best.yaml whole or not at all; raises UserError when it cannot be written."""
    relative = os.path.relpath(base.resolve(), path.resolve().parent)
    try:
        write_atomically(path, text(history, base=relative, run_id=run_id).encode())
    except OSError as error:
        raise UserError(f"{path}: cannot write: {error.strerror}") from error


def _commented(value: Any) -> Any:
    if isinstance(value, dict):
        return CommentedMap({key: _commented(inner) for key, inner in value.items()})
    return value


def after(history: History, trial: TrialHistory) -> str:
    """How the trial went on after its best evaluation, in a few words."""
    if trial.outcome is Outcome.UNFINISHED:
        return f"trial {trial.number} is unfinished, this is its best evaluation so far"
    index, value = trial.best.index if trial.best else 0, trial.value
    later = [e for i, e in trial.evaluations.items() if i > index]
    values = [number(e.metrics[history.metric]) for e in later if history.metric in e.metrics]
    losses = [number(e.metrics.get("val/loss")) for e in later]
    at_best = trial.evaluations[index].metrics.get("val/loss", math.nan) if index in trial.evaluations else math.nan
    if not later:
        return "the trial ended there"
    if trial.outcome is Outcome.OVERFIT and all(loss > at_best for loss in losses):
        return "later it overfits"
    if value in values:
        return "later ones tie with it or are worse"
    return "later ones are worse" if values else "later ones do not measure the objective"


def _explain_stop(training: CommentedMap, config: TrainConfig, trial: TrialHistory, then: str) -> None:
    index, epochs = trial.best.index if trial.best else 0, config.training.epochs
    training.yaml_add_eol_comment("the length of the schedule, not of the training: see stop_at", "epochs")
    training.yaml_add_eol_comment(
        f"ends at evaluation {index} of {config.evaluation.times}, the best one: "
        f"{config.training.stop_at * epochs:.4g} epochs; {then}",
        "stop_at",
    )
