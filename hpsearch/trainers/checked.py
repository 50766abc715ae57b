"""The answers of a user's trainer, checked: a mistake in one of its methods is one line, never a traceback."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from hpsearch.config import Objective
from hpsearch.errors import ConfigError, HpsearchError
from hpsearch.output.error_lines import with_line
from hpsearch.trainers.trainer import Trainer, trains_many
from hpsearch.trainers.values import Shape
from hpsearch.verdict import Phases

LONGEST = 100  # characters of an answer in an error

# What the driver asks a trainer, and the types of an answer. `check`, `prepare`, `train`, `test` and `export` run the
# user's code for long: `loading.reporting` writes their tracebacks to a file.
ANSWERS: Mapping[str, tuple[type, ...]] = {
    "validate": (type(None),),
    "objective": (Objective,),
    "cannot_prepare": (str,),
    "files": (Sequence,),
    "probes": (Sequence,),
    "remedy": (str,),
    "phases": (Phases,),
    "evaluations": (int, type(None)),
    "rules": (Mapping,),
    "shape": (Shape,),
    "shortened": (Mapping,),
    "cools_down": (bool,),
    "dedup_key": (Mapping,),
    "export_config": (BaseModel,),
    "comments": (Mapping,),
    "nondeterminism": (str,),
    "on_all_data": (BaseModel, type(None)),
    "steps": (int, type(None)),
    "work": (Mapping,),
    "cost_model": (Callable,),  # type: ignore[dict-item]  # a class of its own, for isinstance
    "advice": (Iterable,),
}


def check_answers(trainer: Trainer, base: Path) -> None:
    """Wraps the methods of ANSWERS, so that they raise ConfigError for any error and for an answer of another type."""
    for name in ANSWERS:
        method = getattr(trainer, name)
        if not hasattr(method, "__wrapped__"):  # a module's instance is loaded more than once
            setattr(trainer, name, _checked(trainer, name, method, base))
    for name in ("train", "train_many") if trains_many(trainer) else ("train",):
        if not hasattr(getattr(trainer, name), "__wrapped__"):
            setattr(trainer, name, _checked_train(name, getattr(trainer, name)))


def _checked(trainer: Trainer, name: str, method: Callable[..., Any], base: Path) -> Callable[..., Any]:
    @wraps(method)
    def checked(*args: Any, **options: Any) -> Any:
        try:
            answer: Any = method(*args, **options)
        except HpsearchError:
            raise
        except (Exception, SystemExit) as error:
            raise ConfigError(f"{trainer.name}: {name}() raised {with_line(error, base)}") from error
        if not isinstance(answer, ANSWERS[name]) or (name == "dedup_key" and not _of_sections(answer)):
            allowed = "a mapping of sections" if name == "dedup_key" else " or ".join(map(_called, ANSWERS[name]))
            raise ConfigError(f"{trainer.name}: {name}() returned {repr(answer)[:LONGEST]}; allowed: {allowed}")
        return answer

    return checked


def _checked_train(name: str, train: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(train)
    def checked(*args: Any) -> Any:
        found = train(*args)
        if not isinstance(found, Iterable):
            what = "None" if found is None else type(found).__name__
            raise TypeError(f"{name}() returned {what}; it must yield evaluations")
        return found

    return checked


def _of_sections(answer: Any) -> bool:
    return all(isinstance(values, Mapping) for values in answer.values())


def _called(kind: type) -> str:
    return {"NoneType": "None", "BaseModel": "a config", "Callable": "a function"}.get(kind.__name__, kind.__name__)
