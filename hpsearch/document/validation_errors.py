"""Turns pydantic's errors into messages: the path of the value, what is allowed, the nearest known key."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from hpsearch.document.document import Fault, Keys
from hpsearch.output.printable import printable
from hpsearch.tasks import TASKS, TaskSet
from hpsearch.tasks.loading import FORM

_PHRASES = {
    "int_type": "must be an integer",
    "int_from_float": "must be an integer",
    "int_parsing": "must be an integer",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text",
    "model_type": "must be a mapping (key: value)",
    "model_attributes_type": "must be a mapping (key: value)",
    "dict_type": "must be a mapping (key: value)",
    "list_type": "must be a list",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "above"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "below"),
}


def shown(value: Any) -> str:
    """A value as YAML spells it, shortened."""
    if value is None or isinstance(value, bool):
        return str({None: "null", True: "true", False: "false"}[value])
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    text = f"'{printable(value[:200], keep='')}'" if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def check_value(model: type[BaseModel], key: str, value: Any, *, keys: Keys) -> Any:
    """Validates a value for the field `key` of the model; raises Fault at `keys` if it is not allowed."""
    try:
        return _adapter(model, key).validate_python(value)
    except ValidationError as error:
        raise Fault(keys, message(dict(error.errors()[0]))) from None


@cache
def _adapter(model: type[BaseModel], key: str) -> TypeAdapter[Any]:
    field = model.model_fields[key]
    kind: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
    return TypeAdapter(kind, config=ConfigDict(strict=True, str_strip_whitespace=True))


def message(error: Mapping[str, Any]) -> str:
    """The message of a pydantic error, as in `must be at least 1, not 0`."""
    kind, context = error["type"], error.get("ctx", {})
    given = shown(error.get("input"))
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return f"must be {words} {_bound(context[name])}, not {given}"
    if kind == "literal_error":
        expected = str(context["expected"]).replace("'", "").replace(" or ", ", ")
        return f"must be one of {expected}, not {given}"
    if kind == "value_error":
        return str(context["error"])
    if kind in _PHRASES:
        is_scalar = kind == "string_type" and isinstance(error.get("input"), bool | int | float)
        return f"{_PHRASES[kind]}, not {given}" + (f'; quote it: "{given}"' if is_scalar else "")
    return f"{str(error['msg'])[:1].lower()}{str(error['msg'])[1:]}, not {given}"


def _bound(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


def unknown_key(key: str, known: Iterable[str]) -> str:
    """The message about an unknown key: the nearest known key, or all known keys."""
    known = list(known)
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    return f"unknown key; did you mean '{near[0]}'?" if near else f"unknown key; allowed: {', '.join(known)}"


def fault(error: ValidationError, raw: Mapping[str, Any], model: type[BaseModel]) -> Fault:
    """The first mistake (misspelt keys before others) as a Fault, at the path of keys in the user's file."""
    problems: list[dict[str, Any]] = [{**problem} for problem in error.errors()]
    problem = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    if _is_path_or_paths(problem):
        problem = _wrong_path(problem, problems)
    location, kind = tuple(problem["loc"]), problem["type"]
    if kind == "extra_forbidden":
        keys = _keys(location, raw)
        return Fault(keys, unknown_key(str(keys[-1]), _fields(location[:-1], model)), at_key=True)
    if kind == "missing":
        return Fault(_keys(location[:-1], raw), f"key '{location[-1]}' is missing")
    keys = _keys(location, raw)
    if kind == "union_tag_not_found":
        return Fault(keys, _missing_tag(problem))
    if kind == "union_tag_invalid":
        name = str(problem["ctx"]["discriminator"]).strip("'")
        expected = str(problem["ctx"]["expected_tags"]).replace("'", "")
        own = f"; a task of your own: {FORM}" if name == "task" else ""
        return Fault((*keys, name), f"must be one of {expected}, not {problem['ctx']['tag']!r}{own}")
    if kind == "too_short":
        return Fault(keys, "at least one is needed")
    if _is_path_or_paths(problem):
        return Fault(keys, f"must be a path or a list of paths, not {shown(problem['input'])}")
    return Fault(keys, message(problem))


def _is_path_or_paths(problem: Mapping[str, Any]) -> bool:
    """Whether the error is about the union `str | list[str]`, whose members pydantic appends to the location."""
    return problem["loc"][3:4] == ("files",) and str(problem["loc"][-1]).endswith("str")


def _wrong_path(problem: dict[str, Any], problems: list[dict[str, Any]]) -> dict[str, Any]:
    """The error to report: that of the invalid path in a list, that of aligned files, or the given one."""
    if isinstance(problem["input"], Mapping):
        return next((p for p in problems if "Aligned" in p["loc"]), problem)
    around = problem["loc"][:-1]
    items = (p for p in problems if p["loc"][: len(around)] == around and isinstance(p["loc"][-1], int))
    return next(items, problem)


def _missing_tag(problem: Mapping[str, Any]) -> str:
    if not isinstance(problem.get("input"), Mapping):
        return f"must be a mapping (key: value), not {shown(problem.get('input'))}"
    name = str(problem["ctx"]["discriminator"]).strip("'")
    allowed = {"task": f" ({_one_of(list(TASKS))})"}.get(name, "")
    return f"key '{name}' is missing{allowed}"


def _one_of(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _keys(location: Keys, raw: Any) -> Keys:
    """pydantic's location as keys of the file, without the tags and union members that pydantic inserts."""
    keys: list[str | int] = []
    for depth, part in enumerate(location):
        if depth == 2 and (location[0] == "data" or location[:2] == ("search", "pruner")):
            continue  # the tag of the data set or pruner
        if part == "dataset" and isinstance(raw, Mapping) and "dataset" not in raw and "source" in raw:
            part = "source"
        inside_list = isinstance(raw, list) and isinstance(part, int) and part < len(raw)
        if inside_list or (isinstance(raw, Mapping) and part in raw):
            raw = raw[part]
            keys.append(part)
    return tuple(keys)


def _fields(location: Keys, model: type[BaseModel]) -> list[str]:
    """The keys that are allowed at a location of pydantic's."""
    kind: Any = model
    for part in location:
        kind = _child(kind, part)
    return list(dict.fromkeys(name for member in _models(kind) for name in member.model_fields))


def _child(kind: Any, part: str | int) -> Any:
    models = _models(kind)
    tagged = [m for m in models if any(part in get_args(f.annotation) for f in m.model_fields.values())]
    if len(models) > 1 and tagged:
        return tagged[0]
    fields = [m.model_fields[str(part)].annotation for m in models if str(part) in m.model_fields]
    if fields:
        return fields[0]
    return kind if models else get_args(kind)[-1]  # the values of a dict


def _models(kind: Any) -> list[type[BaseModel]]:
    if kind is TaskSet:
        return list(TASKS.values())
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [kind]
    if getattr(kind, "__origin__", None) is dict:
        return []
    return [model for argument in get_args(kind) for model in _models(argument)]
