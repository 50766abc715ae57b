"""Writes best.yaml: the space file with every range replaced by the winner's value, and its provenance."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from hpsearch.config import Config, OwnNames
from hpsearch.errors import UserError
from hpsearch.final.exported import best_evaluation, exported
from hpsearch.final.provenance import provenance
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory, number
from hpsearch.outcome import Outcome
from hpsearch.output.printable import printable
from hpsearch.policies.choice import Choice, winner
from hpsearch.results.evidence.caveats import at_chance
from hpsearch.results.evidence.comparisons import against_default, beaten, unbeaten
from hpsearch.system import gpus
from hpsearch.system.atomic import write_atomically
from hpsearch.system.own_output import with_checksum
from hpsearch.system.user_modules import PREFIX
from hpsearch.tasks import EvaluationConfig, TaskSet
from hpsearch.trainers import Trainer, load, trainer_name


def text(history: History, trainer: Trainer, *, base: str, run_id: str | None, choice: Choice | None = None) -> str:
    """Returns best.yaml of a study; `base`: the folder of the config's relative paths, relative to the file.

    choice: the trial to export; None for the winner.
    """
    trial = winner(history) if choice is None else choice.trial
    config, chosen = trainer.config.model_validate(trial.config), exported(trainer, trial)
    then = after(history, trial)
    evaluation = best_evaluation(trial)
    comments = trainer.comments(config, chosen, trial=trial.number, evaluation=evaluation, then=then)
    facts: Mapping[str, Any] = {} if choice is None else choice.facts
    return document(
        history,
        trainer,
        chosen,
        base=base,
        comments=comments,
        provenance=provenance(history, trial, chosen, run_id) | dict(facts),
        n_gpus=gpus.count([trial.device]),
        heading=f"{_heading(history) if choice is None else lines(choice.lines)}"
        "Train it, test it once and write the model:  hpsearch train THIS_FILE -o model\n"
        "Any value may be made a range again:  hpsearch run THIS_FILE --study ANOTHER_NAME",
    )


def document(
    history: History,
    trainer: Trainer,
    config: Config,
    *,
    base: str,
    comments: Mapping[Any, str],
    provenance: Mapping[str, Any],
    heading: str,
    n_gpus: int = 1,
) -> str:
    """Returns a config of a study's trainer as a file.

    comments: (section, key) -> text; heading: the lines above it; n_gpus: devices of a training.
    """
    found = CommentedMap({"study": history.study, "base": base})
    if trainer.name.startswith(PREFIX):  # the others have a key of their own, or none
        found["trainer"] = trainer.name
    if n_gpus > 1:
        found["resources"] = _commented({"gpus_per_trial": n_gpus})
    for key, value in config.model_dump(mode="json", exclude_none=True).items():
        own = getattr(config, key)
        if isinstance(own, EvaluationConfig):
            value = own.of_tasks(_tasks(config))
        found[key] = _commented(own.nested if isinstance(own, OwnNames) else value)
    for (section, key), comment in comments.items():
        found[section].yaml_add_eol_comment(comment, key)
    found["provenance"] = known = _commented(dict(provenance))
    if "config" in known:
        known["config"].fa.set_flow_style()  # a few lines of it
    found.yaml_set_start_comment(heading)
    stream = io.StringIO()
    yaml = YAML()
    yaml.width = 120
    yaml.dump(found, stream)
    return stream.getvalue()


def _tasks(config: Config) -> set[str]:
    """The tasks of a config's data sets; empty if it has others than those of our tasks."""
    sets = getattr(config, "data", None)
    some = list(sets.values()) if isinstance(sets, Mapping) else []
    return {one.task_name for one in some} if all(isinstance(one, TaskSet) for one in some) else set()


def write(history: History, path: Path, *, base: Path, run_id: str | None, choice: Choice | None = None) -> None:
    """Writes best.yaml atomically; raises UserError if it cannot be written.

    base: the folder of the study's relative paths and of its trainer's module; choice: as for `text`.
    """
    trainer = load(trainer_name(history.origin), base)
    written(path, text(history, trainer, base=relative(base, path), run_id=run_id, choice=choice))


def relative(base: Path, path: Path) -> str:
    """The folder of a config's relative paths, from the file at `path`."""
    return os.path.relpath(base.resolve(), path.resolve().parent)


def written(path: Path, text: str) -> None:
    """Writes a config atomically, with its checksum; raises UserError if it cannot be written."""
    try:
        write_atomically(path, with_checksum(text).encode())
    except OSError as error:
        raise UserError(f"{path}: cannot write: {error.strerror}") from error


def _heading(history: History) -> str:
    """The first lines of the winner's file, which compare it with the default config and the baselines."""
    good, bad = (
        [against_default(history), beaten(history)],
        [f"warning: {line}" for line in [*at_chance(history), *unbeaten(history)]],
    )
    return lines([f"The best of {len(history.trials)} trials of study {history.study}.", *good, *bad])


def lines(some: Iterable[str]) -> str:
    """Lines of a heading, without empty ones."""
    return "".join(f"{printable(line)}\n" for line in some if line)


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
    if trial.best is not None and trial.best.branch:
        overfit = trial.outcome is Outcome.OVERFIT
        why = "after it had begun to overfit" if overfit else "to end within the budget"
        return f"the trial cooled down from evaluation {index}, {why}"
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
