"""The answers of a user's trainer, checked: a mistake in one of its methods is one line, never a traceback."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from hpsearch.config import Objective
from hpsearch.contract import Handle
from hpsearch.error_lines import message
from hpsearch.errors import ConfigError, HpsearchError
from hpsearch.trainers.trainer import Shape, Trainer
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
    "shape": (Shape,),
    "dedup_key": (Mapping,),
    "export_config": (BaseModel,),
    "comments": (Mapping,),
    "nondeterminism": (str,),
}


def check_answers(trainer: Trainer, base: Path) -> None:
    """Wraps the methods of ANSWERS, so that they raise ConfigError for any error and for an answer of another type."""
    for name in ANSWERS:
        method = getattr(trainer, name)
        if not hasattr(method, "__wrapped__"):  # a module's instance is loaded more than once
            setattr(trainer, name, _checked(trainer, name, method, base))
    if not hasattr(trainer.train, "__wrapped__"):
        trainer.train = _checked_train(trainer.train)  # type: ignore[method-assign]


def _checked(trainer: Trainer, name: str, method: Callable[..., Any], base: Path) -> Callable[..., Any]:
    @wraps(method)
    def checked(*args: Any, **options: Any) -> Any:
        try:
            answer: Any = method(*args, **options)
        except HpsearchError:
            raise
        except (Exception, SystemExit) as error:
            raise ConfigError(f"{trainer.name}: {name}() raised {in_one_line(error, base)}") from error
        if not isinstance(answer, ANSWERS[name]) or (name == "dedup_key" and not _of_sections(answer)):
            allowed = "a mapping of sections" if name == "dedup_key" else " or ".join(map(_called, ANSWERS[name]))
            raise ConfigError(f"{trainer.name}: {name}() returned {repr(answer)[:LONGEST]}; allowed: {allowed}")
        return answer

    return checked


def _checked_train(train: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(train)
    def checked(config: Any, handle: Handle) -> Any:
        found = train(config, handle)
        if not isinstance(found, Iterable):
            what = "None" if found is None else type(found).__name__
            raise TypeError(f"train() returned {what}; it must yield evaluations")
        return found

    return checked


def _of_sections(answer: Any) -> bool:
    return all(isinstance(values, Mapping) for values in answer.values())


def _called(kind: type) -> str:
    return {"NoneType": "None", "BaseModel": "a config"}.get(kind.__name__, kind.__name__)


def in_one_line(error: BaseException, base: Path) -> str:
    """The error's type, its first line, and the line of the user's code (a file below `base`) that raised it."""
    lines = message(error).strip().splitlines() or [""]
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _inside(frame.filename, base)]
    place = f", {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    said = f": {lines[0]}" if lines[0] else ""
    return f"{type(error).__name__}{said}{place}"


def _inside(file: str, base: Path) -> bool:
    return Path(file).is_relative_to(base.resolve())
