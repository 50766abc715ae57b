"""Writes best.yaml: the space file with every range replaced by the winner's value, and its provenance."""

from __future__ import annotations

import io
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from hpsearch.atomic import write_atomically
from hpsearch.contract import Evaluation
from hpsearch.errors import UserError
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory, number
from hpsearch.outcome import Outcome
from hpsearch.provenance import provenance
from hpsearch.trainers import DEFAULT, Trainer, load, trainer_name


def winner(history: History) -> TrialHistory:
    """Returns the trial with the best value, which may be unfinished; raises UserError if there is none yet."""
    best = history.leader()
    if best is None or best.best is None:
        raise UserError(
            f"study '{history.study}': none of its {len(history.trials)} trials has completed or measured a finite "
            f"{history.metric}; run it further first"
        )
    return best


def text(history: History, trainer: Trainer, *, base: str, run_id: str | None) -> str:
    """Returns best.yaml of a study; `base`: the folder of the config's relative paths, relative to the file."""
    trial = winner(history)
    config = trainer.config.model_validate(trial.config)
    evaluation = _best_evaluation(trial)
    exported = trainer.export_config(config, evaluation)
    document = CommentedMap({"study": history.study, "base": base})
    if trainer.name != DEFAULT:
        document["trainer"] = trainer.name
    for key, value in exported.model_dump(mode="json", exclude_none=True).items():
        document[key] = _commented(value)
    then = after(history, trial)
    comments = trainer.comments(config, exported, trial=trial.number, evaluation=evaluation, then=then)
    for (section, key), comment in comments.items():
        document[section].yaml_add_eol_comment(comment, key)
    document["provenance"] = known = _commented(provenance(history, trial, exported, run_id))
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
    """Writes best.yaml atomically; raises UserError if it cannot be written.

    base: the folder of the study's relative paths and of its trainer's module.
    """
    trainer = load(trainer_name(history.origin), base)
    relative = os.path.relpath(base.resolve(), path.resolve().parent)
    try:
        write_atomically(path, text(history, trainer, base=relative, run_id=run_id).encode())
    except OSError as error:
        raise UserError(f"{path}: cannot write: {error.strerror}") from error


def _commented(value: Any) -> Any:
    if isinstance(value, dict):
        return CommentedMap({key: _commented(inner) for key, inner in value.items()})
    return value


def after(history: History, trial: TrialHistory) -> str:
    """What the trial did after its best evaluation, in a few words."""
    if trial.outcome is Outcome.UNFINISHED:
        status = history.trials[trial.number].status
        return f"trial {trial.number} is {status}, this is its best evaluation so far"
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


def _best_evaluation(trial: TrialHistory) -> Evaluation:
    """The trial's best evaluation, with the precision of the trial."""
    assert trial.best is not None  # of a winner
    best = trial.best
    lost = Evaluation(best.index, best.step, best.progress, {}, tokens=best.tokens, epoch=best.epoch)
    return replace(trial.evaluations.get(best.index, lost), precision=trial.precision)
