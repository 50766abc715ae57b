"""`hpsearch.schema` and `hpsearch.explain`: what the keys of a space file mean."""

from __future__ import annotations

from typing import Any

from hpsearch.preflight.reference.entries import Entry, entry
from hpsearch.preflight.reference.every_trainer import schema_of_all
from hpsearch.preflight.reference.schema import schema as schema_of
from hpsearch.preflight.reference.trainers import trainer_of


def schema(*, trainer: str | None = None) -> dict[str, Any]:
    """The JSON Schema (draft 7) of a space file, with descriptions, defaults and examples.

    trainer: the name of one trainer, or "python:module:Class", for its space files alone; None: those of all trainers
    of hpsearch. Raises ConfigError if it cannot be loaded.
    """
    return schema_of_all() if trainer is None else schema_of(trainer_of(trainer))


def explain(key: str | None = None, *, trainer: str | None = None) -> Entry:
    """What a key of a space file is: its type, default, recommended range, an example, related keys.

    key: `training.cooldown`, `data.NAME.text`, a section (`training`), a metric (`val/f1_macro`) or an outcome of a
    trial (`overfit`); None: the sections. `str` of the entry is a text. Raises UserError for an unknown one.
    """
    return entry(key, trainer_of(trainer))
