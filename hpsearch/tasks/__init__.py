"""The family of tasks: what a data set may be for. A new member is a file beside these and an entry in `TASKS`.

Tasks of the user's own are named "python:module:Class" (loading.py), or added by `register` in one process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Union

from pydantic import Field, PlainValidator, SerializeAsAny, TypeAdapter

from hpsearch.errors import ConfigError
from hpsearch.system import user_modules
from hpsearch.system.user_modules import PREFIX, split
from hpsearch.tasks.baseline import Baseline
from hpsearch.tasks.classification import ClassificationSet
from hpsearch.tasks.evaluation import EvaluationConfig
from hpsearch.tasks.loading import load, search_in
from hpsearch.tasks.metric import LOSSES, Metric
from hpsearch.tasks.task import TaskSet
from hpsearch.tasks.text import TextSet
from hpsearch.tasks.translation import TranslationSet

__all__ = [
    "LOSSES",
    "TASKS",
    "AnySet",
    "Baseline",
    "ClassificationSet",
    "EvaluationConfig",
    "Metric",
    "TaskSet",
    "TextSet",
    "TranslationSet",
    "find_modules_in",
    "forget_changed_modules",
    "metric_named",
    "name_of",
    "register",
]

TASKS: dict[str, type[TaskSet]] = {}
"""The sections by the name of their task."""


def name_of(section: type[TaskSet]) -> str:
    """The name that the section's field `task` allows."""
    return str(section.model_fields["task"].annotation.__args__[0])  # type: ignore[union-attr]  # Literal[NAME]


def register(section: type[TaskSet]) -> type[TaskSet]:
    """Adds a task to the family; may decorate its section. Raises ValueError where the name is taken."""
    name = name_of(section)
    if TASKS.setdefault(name, section) is not section:
        raise ValueError(f"there is a task {name!r} already: {TASKS[name].__qualname__}")
    return section


for _section in (TextSet, TranslationSet, ClassificationSet):
    register(_section)


def find_modules_in(folder: Path) -> None:
    """Finds modules of tasks in a folder (that of a space file), too.

    Forgets the tasks of another folder's module of the same name: `load` refuses to use the one for the other.
    """
    search_in(folder)
    _forget(name for name in TASKS if user_modules.is_other(split(name)[0], folder))


def forget_changed_modules() -> None:
    """Forgets the user's modules that were edited since they were imported, and their tasks."""
    gone = user_modules.forget_changed()
    _forget(name for name in TASKS if split(name)[0] in gone)


def _forget(names: Iterable[str]) -> None:
    for name in [name for name in names if name.startswith(PREFIX)]:
        del TASKS[name]


def metric_named(name: str) -> Metric:
    """The metric of this name (bleu, as in val/bleu), whatever its task; of an unknown name a plain one."""
    every = (*LOSSES, *(metric for section in TASKS.values() for metric in section.METRICS))
    return next((metric for metric in every if metric.name == name), Metric(name))


def _of_its_task(raw: Any) -> TaskSet:
    """The section that `task` names; raises pydantic's errors of a tagged union.

    Raises ValueError for a task "python:module:Class" that cannot be loaded.
    """
    if isinstance(raw, TaskSet):
        return raw
    name = raw.get("task") if isinstance(raw, Mapping) else None
    if isinstance(name, str) and name.startswith(PREFIX) and name not in TASKS:
        try:
            register(load(name))
        except ConfigError as error:
            raise ValueError(str(error)) from error
    return _sections(tuple(TASKS.values())).validate_python(raw, strict=True)


@cache
def _sections(members: tuple[type[TaskSet], ...]) -> TypeAdapter[TaskSet]:
    kinds: Any = Annotated[Union[members], Field(discriminator="task")]  # noqa: UP007 - made of a tuple
    return TypeAdapter(kinds)


AnySet = Annotated[SerializeAsAny[TaskSet], PlainValidator(_of_its_task)]
"""A data set of any task, as a field of a config; it sees tasks that are registered later."""
