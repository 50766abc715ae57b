"""The winner as a config: the same file with every range replaced by its value, and where it comes from."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from hpsearch.atomic import write_atomically
from hpsearch.config import TrainConfig
from hpsearch.errors import UserError
from hpsearch.history import UNFINISHED, History, TrialHistory
from hpsearch.provenance import provenance


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
    """The trial's config, ending where its best evaluation stood: the schedule stays that of all its epochs."""
    config = TrainConfig.model_validate(trial.config)
    best = trial.best
    if best is None or best["index"] >= config.evaluation.times * config.training.stop_at:
        return config
    stop_at = best["index"] / config.evaluation.times
    return config.model_copy(update={"training": config.training.model_copy(update={"stop_at": stop_at})})


def text(history: History, *, base: str, run_id: str | None) -> str:
    """best.yaml of a study; `base` is the folder that the config's relative paths begin at, as seen from the file."""
    trial = winner(history)
    config = winning_config(trial)
    document = CommentedMap({"study": history.study, "base": base})
    for key, value in config.model_dump(mode="json", exclude_none=True).items():
        document[key] = _commented(value)
    if config.training.stop_at < 1.0 and trial.outcome == UNFINISHED:
        _explain_unfinished(document["training"], config, trial)
    elif config.training.stop_at < 1.0:
        _explain_stop(document["training"], config, trial)
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


def _explain_stop(training: CommentedMap, config: TrainConfig, trial: TrialHistory) -> None:
    index, epochs = trial.best["index"] if trial.best else 0, config.training.epochs
    training.yaml_add_eol_comment("the length of the schedule, not of the training: see stop_at", "epochs")
    training.yaml_add_eol_comment(
        f"ends at evaluation {index} of {config.evaluation.times}, the best one: "
        f"{config.training.stop_at * epochs:.4g} epochs; later it overfits",
        "stop_at",
    )


def _explain_unfinished(training: CommentedMap, config: TrainConfig, trial: TrialHistory) -> None:
    index, epochs = trial.best["index"] if trial.best else 0, config.training.epochs
    training.yaml_add_eol_comment("the length of the schedule, not of the training: see stop_at", "epochs")
    training.yaml_add_eol_comment(
        f"ends at evaluation {index} of {config.evaluation.times}: {config.training.stop_at * epochs:.4g} epochs; "
        f"trial {trial.number} is unfinished, this is its best evaluation so far",
        "stop_at",
    )
