"""The trainer whose sections are described: hpsearch's own, or one of the user's."""

from __future__ import annotations

from pathlib import Path

from hpsearch.trainers import Trainer, default, load


def trainer_of(name: str | None) -> Trainer:
    """The trainer of this name, "python:module:Class" in a module of the working folder; None: hpsearch's own.

    Raises ConfigError if it cannot be loaded.
    """
    return default() if name is None else load(name, Path())
