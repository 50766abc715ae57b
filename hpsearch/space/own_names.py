"""Reads the section whose keys are the user's own names: any value, any range, nested or flat.

A name in a nested mapping is written with dots (`optimizer.lr`), in the file too, if the user likes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hpsearch.config import Section
from hpsearch.document.document import Fault, Keys
from hpsearch.document.other_tools import in_our_spelling
from hpsearch.document.ranges import Branches, Fixed, Leaf, Node
from hpsearch.document.validation_errors import shown
from hpsearch.space.sections import RANGE_KEYS, Schema, choice_list, leaf_of, mapping, refuse_shadows

MARKS = ("low", "high", "choices")  # a mapping with one of these is a range
DEEPEST = 20  # mappings in mappings


class _Integer(Section):
    value: int


class _Number(Section):
    value: float


class _Anything(Section):
    value: Any


def read_own_names(section: str, raw: Any) -> dict[str, Node]:
    """The nodes of the section by dotted name; raises Fault for a mistake."""
    body = mapping(raw, (section,))
    nodes: dict[str, Node] = {}
    if "choices" in body:
        nodes["choices"] = _branches("", body["choices"], (section,))
        body = {key: value for key, value in body.items() if key != "choices"}
    for name, node in _nodes(body, (section,), ""):
        if name in nodes:
            raise Fault(node.keys, f"{name} is given twice", at_key=True)
        nodes[name] = node
    _refuse_parts(nodes)
    refuse_shadows(nodes)
    return nodes


def _nodes(body: Mapping[str, Any], keys: Keys, before: str) -> Iterator[tuple[str, Node]]:
    """Yields each name and its node; `before`: the names around, with a dot at the end."""
    for key, value in body.items():
        place = (*keys, key)
        name = before + _checked(key, place)
        if not isinstance(value, Mapping) or not value:
            yield name, Fixed(place, value)
        elif not any(mark in value for mark in MARKS):
            _refuse_other_tools(value, place, name)
            yield from _nodes(value, place, f"{name}.")
        elif _has_branches(value):
            yield name, _branches(name, value["choices"], place)
            yield from _nodes(_beside(value, place), place, f"{name}.")
        else:
            yield name, _range(value, place)


def _branches(name: str, raw: Any, keys: Keys) -> Branches:
    """The choices between sub-configs of a name; of the whole section if it is empty."""
    items = choice_list(raw, (*keys, "choices"))
    return Branches(keys, tuple(_branch(name, item, (*keys, "choices", i)) for i, item in enumerate(items)))


def _branch(name: str, raw: Any, keys: Keys) -> dict[str, Leaf]:
    if not isinstance(raw, Mapping) or (name and any(mark in raw for mark in MARKS)):
        if not name:
            raise Fault(keys, f"a choice of a section must be a mapping such as {{lr: ...}}, not {shown(raw)}")
        return {name: _leaf(raw, keys)}
    leaves: dict[str, Leaf] = {}
    for inner, node in _nodes(raw, keys, f"{name}." if name else ""):
        if isinstance(node, Branches):
            raise Fault((*node.keys, "choices"), "choices within choices; write them as one list", at_key=True)
        if inner in leaves:
            raise Fault(node.keys, f"{inner} is given twice", at_key=True)
        leaves[inner] = node
    _refuse_parts(leaves)
    return leaves


def _leaf(raw: Any, keys: Keys) -> Leaf:
    return _range(raw, keys) if isinstance(raw, Mapping) else Fixed(keys, raw)


def _range(raw: Mapping[str, Any], keys: Keys) -> Leaf:
    """A range of integers if both ends are integers, else of numbers; or choices."""
    ends = [raw.get(end) for end in ("low", "high")]
    kind: type[Section] = _Anything
    if "choices" not in raw:
        kind = _Integer if all(type(end) is int for end in ends) else _Number
    return leaf_of(Schema(str(keys[0]), kind), raw, keys, field="value")


def _has_branches(raw: Mapping[str, Any]) -> bool:
    choices = raw.get("choices")
    return isinstance(choices, list) and any(isinstance(item, Mapping) for item in choices)


def _beside(raw: Mapping[str, Any], keys: Keys) -> Mapping[str, Any]:
    """What stands beside the choices: names that all of them share. Raises Fault if a choice is no sub-config."""
    shared = {key: value for key, value in raw.items() if key != "choices"}
    alone = next((i for i, item in enumerate(raw["choices"]) if not isinstance(item, Mapping)), None)
    if shared and alone is not None:
        raise Fault((*keys, "choices", alone), f"must be a mapping: {', '.join(shared)} stand beside the choices")
    return shared


def _checked(key: str, keys: Keys) -> str:
    if not all(key.split(".")):
        raise Fault(keys, f"{key!r} is no name: a part of it is empty", at_key=True)
    if len(keys) > DEEPEST:
        raise Fault(keys, f"more than {DEEPEST} mappings in one another", at_key=True)
    if key in RANGE_KEYS and key in MARKS:
        raise Fault(keys, f"{key} is a word of a range, which stands in the mapping of a name", at_key=True)
    return key


def _refuse_other_tools(value: Mapping[str, Any], keys: Keys, name: str) -> None:
    """Raises Fault for what is a range in another tool: here it would be a sub-config that is never searched."""
    if ours := in_our_spelling(value):
        own = " and ".join(f"{name}.{key}" for key in value)
        raise Fault(keys, f"is this a range? Then write {ours}; if these are names of your own, write {own}")


def _refuse_parts(nodes: Mapping[str, Any]) -> None:
    """Raises Fault for a name that has a value and is also the beginning of longer names."""
    for name, node in nodes.items():
        parts = name.split(".")
        for end in range(1, len(parts)):
            around = nodes.get(".".join(parts[:end]))
            if around is not None and not isinstance(around, Branches):
                raise Fault(node.keys, f"{'.'.join(parts[:end])} has a value, so it cannot contain {name}", at_key=True)
