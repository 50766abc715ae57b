"""Checks what kind of value each argument of hpsearch.run, hpsearch.load and hpsearch.train is."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hpsearch.errors import UserError

MOST_SEEDS = 100
DATA = ("train", "train+valid")  # what a final training may train on


def check_arguments(**arguments: Any) -> None:
    """Raises UserError for the first argument of a wrong kind: its name, its value and what is allowed."""
    for name, value in arguments.items():
        _check(name, value, *_KINDS[name])
    _check_folders(arguments)
    _check_policy(arguments.get("policy"))


def check_trained_on(data: Any) -> None:
    """Raises UserError if it is not what a final training may train on."""
    _check("data", data, lambda value: isinstance(value, str) and value in DATA, " or ".join(map(repr, DATA)))


def _check(name: str, value: Any, is_allowed: Callable[[Any], bool], allowed: str) -> None:
    if not is_allowed(value):
        raise UserError(f"{name}: {value!r} is not allowed; allowed: {allowed}")


def _check_folders(arguments: Mapping[str, Any]) -> None:
    """Raises UserError if `base` is not a folder, or if `output` is, or is below, something that is not a folder."""
    base, output = arguments.get("base"), arguments.get("output")
    if base is not None and not os.path.isdir(base):
        raise UserError(f"base: no such folder: {base}")
    for path in [] if output is None else [Path(output), *Path(output).parents]:
        if os.path.lexists(path):
            if not path.is_dir():
                raise UserError(f"output: {path} is not a folder")
            return


def _check_policy(policy: Any) -> None:
    """Raises UserError if the policy is a class or lacks a method."""
    if policy is None:
        return
    if isinstance(policy, type):
        raise UserError(f"policy: {policy.__name__} is a class; allowed: an object, as in policy={policy.__name__}()")
    if missing := [method for method in ("next", "judge") if not callable(getattr(policy, method, None))]:
        raise UserError(f"policy: {type(policy).__name__} has no method {missing[0]}()")


def _is_path(value: Any) -> bool:
    return isinstance(value, str | Path)


def _is_space(value: Any) -> bool:
    from hpsearch.space.experiment import Experiment  # not needed by `load`, which is to be fast

    return _is_path(value) or isinstance(value, Mapping | Experiment)


def _is_index(value: Any) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool)  # also an integer of NumPy


_SPACE = _is_space, "the path of a file, a mapping or an Experiment"
_NAME = (lambda value: value is None or isinstance(value, str)), "a name, or None"
_KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "space": _SPACE,
    "config": _SPACE,
    "study": (_is_path, "the name of a study or the path of its space file"),
    "home": (_is_path, "the path of a folder"),
    "output": (_is_path, "the path of a folder"),
    "folder": (_is_path, "the path of a folder"),
    "data": (_is_space, "the path of a space file or of a data file, a mapping or an Experiment"),
    "base": (lambda value: value is None or _is_path(value), "the path of a folder, or None"),
    "data_changed": (lambda value: isinstance(value, bool), "True or False"),
    "register": _NAME,
    "alias": _NAME,
    "seeds": (lambda value: type(value) is int and 1 <= value <= MOST_SEEDS, f"a whole number from 1 to {MOST_SEEDS}"),
    "quick": (lambda value: isinstance(value, bool), "True or False"),
    "trial": (_is_index, "a whole number, or a trial of the study"),
    "policy": (lambda value: not isinstance(value, str), "an object with the methods next() and judge()"),
    "progress": (
        lambda value: isinstance(value, bool) or callable(value),
        "True, False, or a function that receives each event",
    ),
    "stopping": (lambda value: value is None or callable(value), "a function that returns True or False, or None"),
}
