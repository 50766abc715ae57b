"""Every key of a space file with its description, type, default and limits, from the fields of the sections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from hpsearch.space.settings import settings_of
from hpsearch.system.user_modules import PREFIX
from hpsearch.tasks import TASKS, TaskSet
from hpsearch.trainers import Trainer

NAME = "NAME"  # stands for the name of a data set in a path
SET = f"data.{NAME}"
SCALARS = {int: "integer", float: "number", bool: "true or false", str: "text", list: "list", dict: "mapping"}
TAGS = ("task", "name")  # fields whose value says which section of a union it is


@dataclass(frozen=True)
class Key:
    """One key; a key of several tasks, pruners or launchers has a field for each."""

    path: str  # training.cooldown, data.NAME.text, search.pruner.patience
    fields: Mapping[str, FieldInfo]  # by task, pruner or launcher; else under ""
    ranged: bool  # whether a range may stand for its value

    @property
    def section(self) -> str:
        """The first key of the path."""
        return self.path.partition(".")[0]

    @property
    def name(self) -> str:
        """The last key of the path."""
        return self.path.rpartition(".")[2]

    @property
    def field(self) -> FieldInfo:
        """The first of its fields."""
        return next(iter(self.fields.values()))

    @property
    def description(self) -> str:
        """What it is, in words and `code`; of several fields with other words, all of them."""
        said: dict[str, list[str]] = {}
        for tag, field in self.fields.items():
            said.setdefault(field.description or "", []).append(tag)
        if len(said) == 1 or self.name in TAGS:
            return "; ".join(said)
        return "; ".join(f"{', '.join(tags)}: {text}" for text, tags in said.items())

    @property
    def kind(self) -> str:
        """Its type and limits, as in `number, 0 to 1`."""
        kinds = dict.fromkeys(words for field in self.fields.values() for words in _kinds(field))
        return f"one of {', '.join(kinds)}" if self.name in TAGS else " or ".join(kinds)

    @property
    def default(self) -> str | None:
        """Its default as YAML spells it; None if the key must be given, or is a mapping; empty if it is left out."""
        found: dict[str, list[str]] = {}
        for tag, field in self.fields.items():
            if (text := _default(field)) is not None:
                found.setdefault(text, []).append(tag)
        if len(found) <= 1:
            return next(iter(found), None)
        return ", ".join(f"{text or 'left out'} ({', '.join(tags)})" for text, tags in found.items())

    @property
    def required(self) -> bool:
        """Whether its section needs it."""
        return all(field.is_required() for field in self.fields.values())

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks whose sets have it; empty if all do, or it is no key of a set."""
        own = tuple(self.fields)
        return () if not self.path.startswith(f"{SET}.") or set(own) in ({""}, set(plain_tasks())) else own


def plain_tasks() -> dict[str, type[TaskSet]]:
    """hpsearch's own tasks."""
    return {name: section for name, section in TASKS.items() if not name.startswith(PREFIX)}


def keys(trainer: Trainer) -> list[Key]:
    """Every key of a space file with this trainer, in the order of the sections."""
    found: dict[str, dict[str, FieldInfo]] = {}
    settings = settings_of(trainer.config)
    for path, tag, field in _walk(settings, "", ""):
        found.setdefault(path, {})[tag] = field
    ranged = set(trainer.sections)
    made = [Key(path, fields, path.partition(".")[0] in ranged and "." in path) for path, fields in found.items()]
    order = list(dict.fromkeys(key.section for key in sorted(made, key=lambda key: _place(key.section))))
    return sorted(made, key=lambda key: (order.index(key.section), key.path != f"{SET}.task" and key.section == "data"))


def section_words(trainer: Trainer) -> dict[str, str]:
    """Each section and what it is: the first paragraph of its class."""
    found = {}
    for name, field in settings_of(trainer.config).model_fields.items():
        if name == "data":
            found[name] = "Named data sets. Each has a `task`, and either `files` or `dataset`."
        elif models := models_in(field.annotation):
            found[name] = " ".join((models[0].__doc__ or "").partition("\n\n")[0].split())
    return found


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The sections that an annotation allows."""
    if annotation is TaskSet:
        return list(plain_tasks().values())
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return [annotation] if issubclass(annotation, BaseModel) else []
    if get_origin(annotation) is list:
        return []
    return [model for argument in get_args(annotation) for model in models_in(argument)]


def tag_of(model: type[BaseModel]) -> str:
    """The task, pruner or launcher of a section; empty if it is none."""
    for name in TAGS:
        if name in model.model_fields and get_origin(model.model_fields[name].annotation) is Literal:
            return str(get_args(model.model_fields[name].annotation)[0])
    return ""


FIRST = ("study", "seed", "trainer", "base", "budget", "objective", "data", "tokenizer", "model", "training")


def _place(section: str) -> int:
    return FIRST.index(section) if section in FIRST else len(FIRST) + (section == "provenance")


def _walk(model: type[BaseModel], prefix: str, tag: str) -> Iterator[tuple[str, str, FieldInfo]]:
    """(path, tag, field) of each key of a section, those of its sections after their own."""
    for name, field in model.model_fields.items():
        path = f"{prefix}.{name}" if prefix else name
        inner = models_in(field.annotation)
        if not (prefix == "" and inner):  # sections are described by their class
            yield path, tag, field
        for one in inner:
            yield from _walk(one, SET if path == "data" else path, tag_of(one) or tag)


def _kinds(field: FieldInfo) -> list[str]:
    limits = _limits(field.metadata)
    found = []
    for one in _members(field.annotation):
        kind, own = one, limits
        if get_origin(one) is not None and hasattr(one, "__metadata__"):  # Annotated
            kind, own = get_args(one)[0], _limits(_metadata(one.__metadata__))
        number = kind in (int, float)
        found.append(_named(kind) + (f", {own}" if own and number else ""))
    return list(dict.fromkeys(found))


def _metadata(raw: Any) -> list[Any]:
    return [inner for one in raw for inner in (one.metadata if isinstance(one, FieldInfo) else [one])]


def _members(annotation: Any) -> list[Any]:
    """The members of a union without None, or the annotation itself."""
    if get_origin(annotation) in (Literal, list, dict) or hasattr(annotation, "__metadata__"):
        return [annotation]
    inner = get_args(annotation)
    return [member for one in inner for member in _members(one) if one is not type(None)] if inner else [annotation]


def _named(kind: Any) -> str:
    if get_origin(kind) is Literal:
        values = [str(one).lower() if isinstance(one, bool) else str(one) for one in get_args(kind)]
        return f"one of {', '.join(values)}" if len(values) > 1 else values[0]
    origin = get_origin(kind) or kind
    if isinstance(origin, type) and issubclass(origin, BaseModel):
        return "mapping"
    return SCALARS.get(origin, "text")


def _limits(metadata: Any) -> str:
    """`1 to 256`, `above 0`, `from 0, below 1`."""
    bound = {name: getattr(one, name) for one in metadata for name in ("ge", "gt", "le", "lt") if hasattr(one, name)}
    if "ge" in bound and "le" in bound:
        return f"{_written(bound['ge'])} to {_written(bound['le'])}"
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    return ", ".join(f"{words[name]} {_written(value)}" for name, value in bound.items())


def _written(number: Any) -> str:
    return f"{number:,}" if isinstance(number, int) and number < 1e9 else "2^63" if number == 2**63 else f"{number:g}"


def _default(field: FieldInfo) -> str | None:
    if field.is_required():
        return None
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, BaseModel):
        return None
    if isinstance(value, dict):
        return str(value["name"]) if "name" in value else ""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value in (None, []) else f"{value:g}" if isinstance(value, float) else str(value)
