"""Checks the arguments of hpsearch.run and hpsearch.train; each error names the argument."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hpsearch.errors import ConfigError, HpsearchError, UserError
from hpsearch.home.home import Home
from hpsearch.journal.history import MAX_TRIALS
from hpsearch.output.redaction import redact
from hpsearch.space.experiment import Experiment
from hpsearch.space.validation import wrong_study

DEVICES = ("auto", "cpu", "cuda", "mps")
LAUNCHERS = ("local", "inline", "ray")
Space = str | Path | Mapping[str, Any] | Experiment
# One thread at a time reads a space and prepares its data: this imports packages and the user's modules, and changes
# sys.path and sys.argv meanwhile.
opening_turn = threading.RLock()


def experiment_of(space: Space, *, base: str | Path | None = None, **changes: Any) -> Experiment:
    """Returns the experiment of a file, a mapping or an Experiment, with the changes that are not None.

    Raises ConfigError with the place in the file or the path of keys, UserError for a wrong change.
    """
    check_changes(**changes)
    if isinstance(space, Experiment):
        found = space
    elif isinstance(space, Mapping):
        found = Experiment.of(space, base=base, study=changes.get("study"))
    else:
        found = Experiment.load(space)
    found = found.override(**changes)
    _refuse_main(found)
    return found


def check_changes(**changes: Any) -> None:
    """Raises UserError for the first change that is not allowed; None changes nothing."""
    for name, value in changes.items():
        if value is not None and (allowed := _wrong(name, value)):
            raise UserError(f"{name}: {value!r} is not allowed; allowed: {allowed}")


def home_of(path: str | Path) -> Home:
    """Returns the home at this path, created if missing; raises UserError if it cannot be written."""
    return Home.at(Path(path)).make()


@contextlib.contextmanager
def redacted() -> Iterator[None]:
    """Removes passwords and tokens from the errors raised in the block."""
    try:
        yield
    except HpsearchError as error:
        error.args = (redact(str(error)),)
        raise


def _refuse_main(experiment: Experiment) -> None:
    """Raises ConfigError for a trainer in the running script or notebook, which worker processes do not have."""
    name = experiment.settings.trainer
    if name.startswith("python:__main__:") and experiment.resources.launcher.name != "inline":
        raise ConfigError(
            f"{experiment.where('trainer')}: trainer: {name}: worker processes cannot import the running script; "
            "put the trainer into a module beside it, or take launcher='inline'"
        )


def _wrong(name: str, value: Any) -> str:
    """Returns what is allowed for a setting; empty if the value is allowed."""
    if name == "study":
        return wrong_study(value) if isinstance(value, str) else "a name"
    if name == "trials":
        return "" if _is_count(value) and value <= MAX_TRIALS else f"a whole number from 1 to {MAX_TRIALS:,}"
    if name == "threads":
        return "" if _is_count(value) else "a whole number of at least 1"
    if name == "workers":
        return "" if value == "auto" or _is_count(value) else "auto, or a whole number of at least 1"
    if name in ("hours", "device_hours", "money", "seconds"):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return "" if is_number and math.isfinite(value) and value > 0 else "a finite number above 0"
    known = {"device": DEVICES, "launcher": LAUNCHERS}[name]
    return "" if value in known else ", ".join(known)


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 1
