"""One JSON Schema for the space files of every trainer: a file's own keys say which trainer's keys it may have.

The trainers are told apart by `if`, not by `oneOf`, so that an editor names the wrong key of the one trainer that is
meant, and not that the file is none of four.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hpsearch.preflight.reference.schema import FUNCTION, NULL, Schema, schema
from hpsearch.system.user_modules import PREFIX
from hpsearch.trainers import DEFAULT, KEYS, ORIGINS, PRETRAINED, load

REFERENCE = "#/definitions/"


def schema_of_all() -> Schema:
    """The schema of the space files of hpsearch's trainers; of a trainer of the user's it knows the common keys."""
    names = [DEFAULT, PRETRAINED, *KEYS.values()]
    every = {name: _prefixed(schema(load(name, Path())), name) for name in names}
    shared = _shared(every)
    definitions: Schema = dict(shared)
    for one in every.values():
        definitions |= one["definitions"]
    branches = {name: _branch(one, shared) for name, one in every.items()}
    _offer_others(branches[DEFAULT], every)
    common = [key for key in shared if all(key in one["properties"] for one in every.values())]
    users = {"properties": {**_references(common), "trainer": {"type": "string", "pattern": FUNCTION}}}
    chosen: Schema = branches[DEFAULT]
    for name in (PRETRAINED, *reversed(list(KEYS.values()))):
        chosen = {"if": _is_of(name), "then": branches[name], "else": chosen}
    head = {key: every[DEFAULT][key] for key in ("$schema", "title", "description", "type")}
    return head | {"if": _is_users(), "then": users, "else": chosen, "definitions": definitions}


# --------------------------------------------------------------------------------------------- which trainer is meant


def _is_users() -> Schema:
    return {"properties": {"trainer": {"type": "string", "pattern": f"^{PREFIX}"}}, "required": ["trainer"]}


def _is_of(trainer: str) -> Schema:
    """Whether a file is one of this trainer, as trainers/loading.py tells it."""
    named = {"properties": {"trainer": {"enum": [trainer]}}, "required": ["trainer"]}
    for key, meant in KEYS.items():
        if meant == trainer:
            return {"properties": {key: {"not": NULL}}, "required": [key]}
    origin = {"anyOf": [{"required": [key]} for key in ORIGINS]}
    inside = {"properties": {"choices": {"contains": {"type": "object", **origin}}}, "required": ["choices"]}
    model = {"type": "object", "anyOf": [*origin["anyOf"], inside]}
    return {"anyOf": [named, {"properties": {"model": model, "trainer": NULL}, "required": ["model"]}]}


# ------------------------------------------------------------------------------------------------------------- parts


def _prefixed(one: Any, name: str) -> Any:
    """The schema with the trainer's name before the names of its definitions, and in what refers to them."""
    if isinstance(one, list):
        return [_prefixed(item, name) for item in one]
    if not isinstance(one, Mapping):
        return one
    found = {key: _prefixed(value, name) for key, value in one.items()}
    if isinstance(one.get("$ref"), str):
        return {"$ref": one["$ref"].replace(REFERENCE, f"{REFERENCE}{name}.")}
    if isinstance(one.get("definitions"), Mapping):
        found["definitions"] = {f"{name}.{key}": value for key, value in found["definitions"].items()}
    return found


def _shared(every: Mapping[str, Schema]) -> dict[str, Schema]:
    """The keys that are the same for several trainers, with their schema."""
    texts = Counter((key, json.dumps(value)) for one in every.values() for key, value in one["properties"].items())
    return {key: json.loads(text) for (key, text), count in texts.items() if count > 1}


def _references(shared: Iterable[str]) -> Schema:
    return {key: {"$ref": f"{REFERENCE}{key}"} for key in shared}


def _branch(one: Schema, shared: Mapping[str, Schema]) -> Schema:
    """What a file of one trainer is held against."""
    references = _references(shared)
    keys = {key: references[key] if shared.get(key) == value else value for key, value in one["properties"].items()}
    return {"properties": keys, "additionalProperties": False, "required": one["required"]}


def _offer_others(branch: Schema, every: Mapping[str, Schema]) -> None:
    """Adds the keys that choose another trainer: an editor completes them, and then has that trainer's keys."""
    keys = branch["properties"]
    keys |= {key: every[trainer]["properties"][key] for key, trainer in KEYS.items()}
    model = every[PRETRAINED]["properties"]["model"]["properties"]
    keys["model"] = keys["model"] | {
        "properties": {**{key: model[key] for key in ORIGINS}, **keys["model"]["properties"]}
    }
