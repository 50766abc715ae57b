"""The JSON Schema of a space file: its keys, their values and ranges, with descriptions, for editors and programs.

Draft 7: the latest that editors' yaml-language-server supports throughout. What a schema cannot say (rules between
keys, files that must exist) is checked by `Experiment.load` alone; a file that it accepts is valid by the schema, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, TypeAdapter

from hpsearch.config import OwnNames
from hpsearch.preflight.reference.keys import models_in, plain_tasks, section_words, tag_of
from hpsearch.space.pruners import DEFAULT_PRUNER
from hpsearch.space.resources import Resources
from hpsearch.space.search import Search
from hpsearch.space.sections import MAX_CHOICES, OFF
from hpsearch.space.settings import settings_of
from hpsearch.space.validation import STUDY
from hpsearch.trainers import DEFAULT, Trainer
from hpsearch.trainers.causal_lm.constraints import SET

Schema = dict[str, Any]

DRAFT = "http://json-schema.org/draft-07/schema#"
FUNCTION = r"^python:[\w.]+:\w+$"
NULL: Schema = {"type": "null"}
ANY_TASK = "a task of your own (see A task of your own)"
PRIOR: Schema = {
    "anyOf": [
        {
            "type": "object",
            "properties": {"center": {"type": "number"}, "spread": {"type": "number", "exclusiveMinimum": 0}},
            "additionalProperties": False,
            "required": ["center", "spread"],
        },
        {"enum": [*OFF, None]},
    ],
    "description": "where good values are thought to lie (spread in decades with `log`); `off`: none of the rules",
}


def schema(trainer: Trainer) -> Schema:
    """The schema of the space files of a trainer."""
    settings = settings_of(trainer.config)
    words = section_words(trainer)
    properties: Schema = {}
    for name, field in settings.model_fields.items():
        if name in trainer.sections:
            properties[name] = _nullable(_section(name, trainer.sections[name]))
        elif name == "data" and plain_tasks():
            properties[name] = _data_sets()
        else:
            properties[name] = _nullable(_field(settings, name))
        if name in words:
            properties[name]["description"] = words[name]
        elif field.description:
            properties[name]["description"] = field.description
    properties["study"]["pattern"] = f"^{STUDY.pattern}$"
    properties["trainer"] = _trainer(trainer) | {"description": properties["trainer"]["description"]}
    return {
        "$schema": DRAFT,
        "title": "hpsearch space",
        "description": "A training config in which some values are ranges; `hpsearch explain` says more.",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "required": [name for name, field in settings.model_fields.items() if field.is_required()],
        "definitions": {"prior": PRIOR} | _definitions(trainer),
    }


def _trainer(trainer: Trainer) -> Schema:
    """The name of the trainer; another one has other sections."""
    if trainer.name != DEFAULT:
        return {"enum": [trainer.name, None]}
    return {"anyOf": [{"enum": [DEFAULT, None]}, {"type": "string", "pattern": FUNCTION}]}


# ------------------------------------------------------------------------------------------------ sections with ranges


def _section(name: str, model: type[BaseModel]) -> Schema:
    """A section whose values may be ranges; `choices` of it are sub-configs."""
    if issubclass(model, OwnNames):
        return {"type": "object"}  # any names, with values and ranges of any kind
    choice = _ref(f"{name}_choice")
    keys = {key: _node(name, model, key) for key in model.model_fields}
    choices = {"type": "array", "minItems": 1, "maxItems": MAX_CHOICES, "uniqueItems": True, "items": choice}
    return {
        "type": "object",
        "properties": keys | {"choices": choices | {"description": "sub-configs of the section, one for each trial"}},
        "additionalProperties": False,
        "required": _required(model),
    }


def _definitions(trainer: Trainer) -> Schema:
    """For each section: the values and plain ranges of each key, and a sub-config of some of them."""
    found: Schema = {}
    for name, model in trainer.sections.items():
        if issubclass(model, OwnNames):
            continue
        keys = {key: _about(model, key, {"anyOf": [_ref(f"{name}.{key}")]}) for key in model.model_fields}
        found |= {f"{name}.{key}": {"anyOf": _leaf(model, key)} for key in model.model_fields}
        found[f"{name}_choice"] = {"type": "object", "properties": keys, "additionalProperties": False}
    return found


def _node(section: str, model: type[BaseModel], key: str) -> Schema:
    """A value, a range, or choices between values, ranges and sub-configs that set the key."""
    leaf = _ref(f"{section}.{key}")
    own = {"allOf": [_ref(f"{section}_choice"), {"required": [key]}]}
    items = {"anyOf": [leaf, own]}
    mixed = _mapping(
        {"choices": {"type": "array", "minItems": 1, "maxItems": MAX_CHOICES, "uniqueItems": True, "items": items}},
        ["choices"],
    )
    return _about(model, key, {"anyOf": [leaf, mixed]})


def _ref(name: str) -> Schema:
    return {"$ref": f"#/definitions/{name}"}


def _leaf(model: type[BaseModel], key: str) -> list[Schema]:
    """A value, a range of numbers if it is one, or choices between values."""
    value = _value(model, key)
    several = {"type": "array", "minItems": 1, "maxItems": MAX_CHOICES, "uniqueItems": True, "items": value}
    number = _number(value)
    return [value, *([_range(number)] if number else []), _mapping({"choices": several}, ["choices"])]


def _number(value: Schema) -> Schema | None:
    """The schema of the numbers among the values; None if there are none, or switches beside them."""
    members = value.get("anyOf", [value])
    if any(one.get("type") == "boolean" for one in members):
        return None
    return next((one for one in members if one.get("type") in ("integer", "number")), None)


def _range(number: Schema) -> Schema:
    bare = {key: value for key, value in number.items() if key not in ("default", "description", "title")}
    step = {"type": [number["type"], "null"], "exclusiveMinimum": 0}
    is_log: Schema = {"properties": {"log": {"const": True}}, "required": ["log"]}
    in_log: Schema = {"properties": {"low": {"exclusiveMinimum": 0}, "step": {"enum": [1, None]}}}
    found = _mapping(
        {
            "low": bare | {"description": "the lowest value"},
            "high": bare | {"description": "the highest value"},
            "step": step | {"description": "`low` plus multiples of it; not with `log`"},
            "log": {"type": ["boolean", "null"], "description": "uniform in the logarithm; `low` above 0"},
            "prior": _ref("prior"),
        },
        ["low", "high"],
    )
    return found | {"if": is_log, "then": in_log}


# ---------------------------------------------------------------------------------------------------- other sections


def _object(model: type[BaseModel]) -> Schema:
    """A section without ranges."""
    keys = {name: _field(model, name) for name in model.model_fields}
    made = _mapping(keys, _required(model))
    if tag := tag_of(model):
        made["title"] = tag
    return made | _rules(model)


def _rules(model: type[BaseModel]) -> Schema:
    """Rules between keys that a schema can say."""
    if "price_per_hour" in model.model_fields:
        return {
            "if": {"properties": {"money": {"type": "number"}}, "required": ["money"]},
            "then": {"required": ["price_per_hour"]},
        }
    return {}


def _field(model: type[BaseModel], name: str) -> Schema:
    """The values of a key, in every form in which it may be written."""
    members = [*_members(model, name), *_short_forms(model, name)]
    return _about(model, name, {"anyOf": members} if len(members) > 1 else dict(members[0]))


def _members(model: type[BaseModel], name: str) -> list[Schema]:
    annotation = model.model_fields[name].annotation
    inner = models_in(annotation)
    if not inner:
        return [_value(model, name)]
    others = [_plain(one) for one in _union(annotation) if not models_in(one)]
    return [*others, *map(_object, inner)]


def _union(annotation: Any) -> list[Any]:
    """The members of a union, those of unions inside it too."""
    if get_origin(annotation) is Annotated:
        return _union(get_args(annotation)[0])
    if isinstance(annotation, type) or get_origin(annotation) in (list, dict):
        return [annotation]
    return [member for one in get_args(annotation) for member in _union(one)] or [annotation]


def _short_forms(model: type[BaseModel], name: str) -> list[Schema]:
    """Other ways to write a value, which validators of the section read (space/search.py, config/data.py)."""
    field = model.model_fields[name]
    names = [tag for one in models_in(field.annotation) if (tag := tag_of(one))]
    if model is Search and name == "pruner":
        default = next(one for one in models_in(field.annotation) if tag_of(one) == DEFAULT_PRUNER)
        options = _object(default)
        return [{"enum": names}, options | {"required": [], "title": "options"}]
    if model is Resources and name == "launcher":
        return [{"enum": names}]
    if model is Search and name in ("overfitting", "confirm", "stop"):
        return [{"type": "boolean"}]
    if model is Search and name == "warm_start":
        return [{"type": "string"}]
    if name == "files":
        return [_plain(str), {"type": "array", "minItems": 1, "items": _plain(str)}]
    return []


# -------------------------------------------------------------------------------------------------------- data sets


def _data_sets() -> Schema:
    own = {
        "title": "python",
        "type": "object",
        "description": ANY_TASK,
        "properties": {"task": {"type": "string", "pattern": FUNCTION}},
        "required": ["task"],
    }
    return {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": f"^{SET.pattern}$"},
        "additionalProperties": {"anyOf": [*(_data_set(one) for one in plain_tasks().values()), own]},
    }


def _data_set(model: type[BaseModel]) -> Schema:
    """A set of one task: `files`, or `dataset`, for which `source` is a synonym."""
    made = _object(model)
    keys = made["properties"]
    keys.setdefault("source", {"type": "string", "description": "a synonym of `dataset`"})
    keys["task"] = {"enum": [tag_of(model)], "description": keys["task"]["description"]}
    origins = [
        {"required": ["files"], "properties": {"files": {"not": NULL}, "dataset": NULL}},
        {"required": ["dataset"], "properties": {"dataset": {"not": NULL}, "files": NULL}},
        {"required": ["source"], "properties": {"files": NULL, "dataset": NULL}},
    ]
    return made | {"anyOf": origins}


# ------------------------------------------------------------------------------------------------------------- parts


def _value(model: type[BaseModel], name: str) -> Schema:
    field = model.model_fields[name]
    kind: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
    found = _plain(kind)
    if extra := field.json_schema_extra:
        found |= dict(extra) if isinstance(extra, Mapping) else {}
    return found


def _plain(kind: Any) -> Schema:
    """The schema of a type, as pydantic writes it, with a single constant as an enumeration."""
    found = TypeAdapter(kind).json_schema()
    return _enumerated({key: value for key, value in found.items() if key != "title"})


def _enumerated(found: Schema) -> Schema:
    if "const" in found:
        return {"enum": [found["const"]]}
    return found | {key: [_enumerated(one) for one in found[key]] for key in ("anyOf", "oneOf") if key in found}


def _about(model: type[BaseModel], name: str, found: Schema) -> Schema:
    """The schema with the key's description, default and examples."""
    field = model.model_fields[name]
    about = {"description": field.description} if field.description else {}
    if not field.is_required():
        default = field.get_default(call_default_factory=True, validated_data={})
        if not isinstance(default, BaseModel) and default not in (None, [], {}):
            about["default"] = default
    return found | about | ({"examples": field.examples} if field.examples else {})


def _mapping(properties: Schema, required: Iterable[str]) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False, "required": list(required)}


def _required(model: type[BaseModel]) -> list[str]:
    return [name for name, field in model.model_fields.items() if field.is_required()]


def _nullable(found: Schema) -> Schema:
    """The same, or no value: a top-level key without a value counts as left out."""
    if "anyOf" in found:
        return found | {"anyOf": [*(one for one in found["anyOf"] if one != NULL), NULL]}
    kind = found.get("type")
    return found | {"type": [kind, "null"]} if isinstance(kind, str) else found


def text_of(found: Schema) -> str:
    """The schema as a JSON text."""
    return json.dumps(found, ensure_ascii=False, indent=1) + "\n"
