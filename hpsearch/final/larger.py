"""A larger training than the searched ones, by the rules of the trainer: its values, and its config as a file."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpsearch.document.document import Fault
from hpsearch.errors import UserError
from hpsearch.final import best
from hpsearch.final.exported import best_evaluation
from hpsearch.final.provenance import provenance
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.policies.choice import Choice, winner
from hpsearch.trainers import Change, ScaleUp, Trainer

KEPT = (
    "study",
    "trial",
    "mlflow_run_id",
    "rules",
    "data_fingerprint",
    "data_contents",
    "models",
    "git_commit",
    "git_dirty",
    "processor",
    "python",
    "versions",
)  # of the provenance: what does not claim that the trial is repeated


def scale_up(
    history: History,
    trainer: Trainer,
    target: Mapping[str, Any],
    *,
    searched: Collection[tuple[str, str]],
    choice: Choice | None = None,
) -> ScaleUp:
    """What a larger training than the winner's, or the chosen trial's, is to have.

    Raises UserError for a target that is wrong, and for a trainer that has no rules.
    """
    trial = _trial(history, choice)
    evaluation = replace(best_evaluation(trial), precision="")  # the larger training may run on another device
    config = trainer.export_config(trainer.config.model_validate(trial.config), evaluation)
    try:
        found = trainer.scaled(config, target, sets=history.origin.data.get("sets") or {}, searched=searched)
    except Fault as error:
        raise UserError(f"the larger training: {error}") from None
    if found is None:
        raise UserError(f"trainer {trainer.name} has no rules for a larger training; causal_lm has")
    return replace(found, trial=trial.number)


def write(
    found: ScaleUp,
    history: History,
    trainer: Trainer,
    path: Path,
    *,
    base: Path,
    run_id: str | None,
    choice: Choice | None = None,
) -> None:
    """Writes the config that `hpsearch train` takes; raises UserError if it cannot be written."""
    trial = _trial(history, choice)
    known = provenance(history, trial, found.config, run_id)
    moved = {f"{one.section}.{one.key}": [one.before, one.after] for one in found.changes if one.before != one.after}
    text = best.document(
        history,
        trainer,
        found.config,
        base=best.relative(base, path),
        comments={(one.section, one.key): comment(one) for one in found.changes if one.after is not None},
        provenance={key: known[key] for key in KEPT if key in known} | {"scaled": moved},
        heading=best.lines(
            [
                f"A larger training than that of trial {trial.number} of study {history.study}, by rules: not a "
                "searched one.",
                *(f"warning: {line}" for line in found.warnings),
                "Train it, test it once and write the model:  hpsearch train THIS_FILE -o model",
            ]
        ),
    )
    best.written(path, text)


def comment(change: Change) -> str:
    """What a value was, by which rule it is another one, and where the rule holds."""
    by = change.by
    moved = f"{change.before} -> {change.after}" if change.before != change.after else f"as in the trial: {by.value}"
    words = [by.rule, by.formula, by.source and f"({by.source})", by.holds and f"holds for {by.holds}"]
    return f"{moved}: {', '.join(_joined(words))}"


def _joined(words: list[str]) -> Iterator[str]:
    """The words, a source in brackets joined to what it is the source of."""
    last = ""
    for word in filter(None, words):
        if word.startswith("("):
            last = f"{last} {word}"
            continue
        if last:
            yield last
        last = word
    yield last


def _trial(history: History, choice: Choice | None) -> TrialHistory:
    return winner(history) if choice is None else choice.trial
