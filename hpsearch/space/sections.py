"""Reads and checks the sections that may have ranges: each value and end of a range against its field, and combinations
of values against the rules between fields that the trainer declares (`Trainer.tied`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import product
from typing import Any, Literal, NamedTuple, get_args

from pydantic import BaseModel, ValidationError

from hpsearch.document.document import Fault, Keys
from hpsearch.document.other_tools import WORDS, suggestion
from hpsearch.document.ranges import Branches, Choices, Fixed, Leaf, Node, Number, Prior
from hpsearch.document.validation_errors import check_value, message, shown, unknown_key
from hpsearch.trainers import Trainer

RANGE_KEYS = ("low", "high", "step", "log", "choices")
ALLOWED = (*RANGE_KEYS, "prior")  # in a range
PRIOR_KEYS = ("center", "spread")
OFF = ("off", "none", False)  # of a prior
MAX_CHOICES = 1000  # in one list
MAX_COMBINATIONS = 20_000  # of values of the fields of one rule
MAX_INTEGER = 2**53  # beyond it a float is not exact


class Schema(NamedTuple):
    """A section's name and its fields."""

    name: str
    model: type[BaseModel]


def read_section(schema: Schema, raw: Any) -> dict[str, Node]:
    """The nodes of a section; choices of the whole section have the key `choices`. Raises Fault for a mistake."""
    name = schema.name
    body = mapping(raw, (name,))
    nodes: dict[str, Node] = {}
    for key, value in body.items():
        if key == "choices":
            nodes[key] = Branches((name,), tuple(_section_branches(schema, value)))
        else:
            nodes[key] = _node(schema, value, (name, _known(key, schema, (name, key))))
    refuse_shadows(nodes)
    return nodes


# ------------------------------------------------------------------------------------------------------------- reading


def _section_branches(schema: Schema, raw: Any) -> Iterator[dict[str, Leaf]]:
    for index, item in enumerate(choice_list(raw, (schema.name, "choices"))):
        keys: Keys = (schema.name, "choices", index)
        if not isinstance(item, Mapping):
            such = f"{{{next(iter(schema.model.model_fields), 'key')}: ...}}"
            raise Fault(keys, f"a choice of a section must be a mapping such as {such}, not {shown(item)}")
        yield _branch(schema, item, keys)


def _branch(schema: Schema, raw: Mapping[str, Any], keys: Keys) -> dict[str, Leaf]:
    """One sub-config: keys of the section with values or plain ranges."""
    if "choices" in raw:
        raise Fault((*keys, "choices"), "choices within choices; write them as one list", at_key=True)
    return {key: leaf_of(schema, value, (*keys, _known(key, schema, (*keys, key)))) for key, value in raw.items()}


def _node(schema: Schema, raw: Any, keys: Keys) -> Node:
    """The value, range or choice between sub-configs of one key."""
    choices = raw.get("choices") if isinstance(raw, Mapping) else None
    if not isinstance(choices, list) or not any(isinstance(item, Mapping) for item in choices):
        return leaf_of(schema, raw, keys)
    _only(raw, ("choices",), keys)
    items = choice_list(choices, (*keys, "choices"))
    branches = [_leaf_branch(schema, item, (*keys, "choices", index)) for index, item in enumerate(items)]
    return Branches(keys, tuple(branches))


def _leaf_branch(schema: Schema, raw: Any, keys: Keys) -> dict[str, Leaf]:
    """One choice of a key: a value or range for the key, or a sub-config that sets it and other keys."""
    own = str(keys[1])
    if not isinstance(raw, Mapping) or any(key in RANGE_KEYS for key in raw):
        return {own: leaf_of(schema, raw, keys, field=own)}
    if own not in raw:
        for key in raw:
            _known(key, schema, (*keys, key))
        raise Fault(keys, f"a choice of {own} must set {own} itself")
    return _branch(schema, raw, keys)


def leaf_of(schema: Schema, raw: Any, keys: Keys, *, field: str = "") -> Leaf:
    """A value or plain range of a field of the section (`field`, or else the last key)."""
    field = field or str(keys[-1])
    if not isinstance(raw, Mapping):
        return Fixed(keys, _value(schema.model, field, raw, keys))
    if not raw:
        raise Fault(keys, "an empty mapping; a range is {low: ..., high: ...} or {choices: [...]}")
    _refuse_lone(schema, raw, keys, field)
    _only(raw, ALLOWED, keys)
    if "choices" in raw:
        _only(raw, ("choices",), keys)
        return _choices(schema, field, raw["choices"], (*keys, "choices"))
    return _number(schema, field, raw, keys)


def _refuse_lone(schema: Schema, raw: Mapping[str, Any], keys: Keys, field: str) -> None:
    """Raises Fault for a sub-config that is no choice among others: its keys stand in the section itself."""
    if all(key in schema.model.model_fields and key not in ALLOWED for key in raw):
        beside = {field: "..."} | {key: "..." if isinstance(one, Mapping) else one for key, one in raw.items()}
        written = ", ".join(f"{key}: {str(one)[:60]}" for key, one in beside.items())
        raise Fault(keys, f"a mapping of these keys stands in choices alone; write {schema.name}: {{{written}}}")


def _value(section: type[BaseModel], field: str, raw: Any, keys: Keys) -> Any:
    """The validated value; raises Fault, with a suggestion if it is a range as another tool writes it."""
    try:
        return check_value(section, field, raw, keys=keys)
    except Fault as fault:
        raise fault.extended(suggestion(raw)) from None


def _choices(schema: Schema, field: str, raw: Any, keys: Keys) -> Choices:
    values: list[Any] = []
    for index, item in enumerate(choice_list(raw, keys)):
        if isinstance(item, Mapping):
            raise Fault((*keys, index), "a choice here must be a plain value")
        value = check_value(schema.model, field, item, keys=(*keys, index))
        if any(value == other for other in values):
            raise Fault((*keys, index), f"{shown(value)} is given twice")
        values.append(value)
    choices = Choices(keys[:-1], tuple(values))
    return Choices(keys[:-1], tuple(sorted(values))) if choices.ordered else choices


def _number(schema: Schema, field: str, raw: Mapping[str, Any], keys: Keys) -> Number:
    """A checked range of numbers; high is lowered to the last number on the grid of step."""
    kinds = _kinds(schema, field)
    if not {int, float} & kinds or bool in kinds:
        raise Fault(keys, "only a number can have low and high; write {choices: [...]}")
    for end in ("low", "high"):
        if raw.get(end) is None:
            raise Fault(keys, f"'{end}' is missing; a range needs low and high")
    low, high = (check_value(schema.model, field, raw[end], keys=(*keys, end)) for end in ("low", "high"))
    if low > high:
        raise Fault(keys, f"low {low} is above high {high}")
    log, step = _log(raw, keys, low), _step(raw, keys, integer=int in kinds)
    if int in kinds and high > MAX_INTEGER:
        raise Fault((*keys, "high"), f"must be at most 2^53, not {high}")
    if step is not None and log:
        raise Fault((*keys, "step"), "log and step cannot both be given", at_key=True)
    if step is not None and low < high and step > high - low:
        raise Fault((*keys, "step"), f"step {step} is larger than the range from {low} to {high}")
    if step is not None:
        low_, step_ = Decimal(str(low)), Decimal(str(step))
        high = type(high)(low_ + (Decimal(str(high)) - low_) // step_ * step_)
    if step is None and int in kinds and not log:
        step = 1
    return Number(keys, low, high, step, log, int in kinds, _prior(raw, keys, (low, high), log=log))


def _prior(
    raw: Mapping[str, Any], keys: Keys, ends: tuple[float, float], *, log: bool
) -> Prior | Literal["off"] | None:
    """The prior of a range, if one is given; in decades if `log` is set."""
    prior, keys = raw.get("prior"), (*keys, "prior")
    if prior is None or any(prior is off or prior == off for off in OFF):
        return None if prior is None else "off"
    if not isinstance(prior, Mapping):
        raise Fault(keys, f"must be {{center: ..., spread: ...}} or off, not {shown(prior)}")
    for key in prior:
        if key not in PRIOR_KEYS:
            raise Fault((*keys, key), unknown_key(key, PRIOR_KEYS), at_key=True)
    center, spread = (_finite(prior, key, keys) for key in PRIOR_KEYS)
    if not ends[0] <= center <= ends[1]:
        raise Fault((*keys, "center"), f"{center:g} is not in the range from {ends[0]:g} to {ends[1]:g}")
    if spread <= 0:
        raise Fault((*keys, "spread"), f"must be above 0, not {spread:g}")
    return Prior(center, spread, decades=log)


def _finite(raw: Mapping[str, Any], key: str, keys: Keys) -> float:
    value = raw.get(key)
    if value is None:
        raise Fault(keys, f"'{key}' is missing; a prior needs center and spread")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Fault((*keys, key), f"must be a finite number, not {shown(value)}")
    return float(value)


def _log(raw: Mapping[str, Any], keys: Keys, low: float) -> bool:
    log = raw.get("log")
    if log is not None and not isinstance(log, bool):
        raise Fault((*keys, "log"), f"must be true or false, not {shown(log)}")
    if log and low <= 0:
        raise Fault((*keys, "low"), f"low must be above 0 where log is true, not {low:g}")
    return bool(log)


def _step(raw: Mapping[str, Any], keys: Keys, *, integer: bool) -> Any:
    step = raw.get("step")
    if step is None or (step == 1 and integer and raw.get("log") and not isinstance(step, bool)):
        return None  # step 1 is the default of integers, and the only one that Optuna allows with log
    if isinstance(step, bool) or not isinstance(step, int if integer else int | float):
        raise Fault((*keys, "step"), f"must be {'an integer' if integer else 'a number'}, not {shown(step)}")
    if step <= 0:
        raise Fault((*keys, "step"), f"must be above 0, not {step}")
    return step if integer else float(step)


def choice_list(raw: Any, keys: Keys) -> list[Any]:
    """The list of choices; raises Fault if it is none, or has none or too many."""
    if not isinstance(raw, list):
        raise Fault(keys, f"must be a list, not {shown(raw)}")
    if not raw:
        raise Fault(keys, "an empty list; at least one choice is needed")
    if len(raw) > MAX_CHOICES:
        raise Fault(keys, f"{len(raw)} choices; at most {MAX_CHOICES} are allowed, or a range {{low: ..., high: ...}}")
    for index, item in enumerate(raw):
        if isinstance(item, Mapping) and item in raw[:index]:
            raise Fault((*keys, index), "this choice is given twice")
    return raw


def mapping(raw: Any, keys: Keys) -> Mapping[str, Any]:
    """The value if it is a mapping; raises Fault."""
    if not isinstance(raw, Mapping):
        raise Fault(keys, f"must be a mapping (key: value), not {shown(raw)}")
    return raw


def _known(key: str, schema: Schema, keys: Keys) -> str:
    if key not in schema.model.model_fields:
        raise Fault(keys, unknown_key(key, schema.model.model_fields), at_key=True)
    return key


def _only(raw: Mapping[str, Any], allowed: Sequence[str], keys: Keys) -> None:
    for key in raw:
        if key not in ALLOWED:
            ours = suggestion(raw) if key.lower() in WORDS else ""
            raise Fault((*keys, key), f"unknown key{ours}" if ours else unknown_key(key, ALLOWED), at_key=True)
        if key not in allowed:
            raise Fault((*keys, key), f"{key} cannot stand beside choices", at_key=True)


def _kinds(schema: Schema, field: str) -> set[Any]:
    annotation = schema.model.model_fields[field].annotation
    return set(get_args(annotation)) or {annotation}


def refuse_shadows(nodes: Mapping[str, Node]) -> None:
    """Raises Fault for a key that has a range in two places of a section, or that two choices set."""
    claimed = {key: "is a range of its own" for key, node in nodes.items() if not isinstance(node, Fixed)}
    for own, node in nodes.items():
        if not isinstance(node, Branches):
            continue
        inner = {key: leaf for branch in reversed(node.branches) for key, leaf in branch.items() if key != own}
        for key, leaf in inner.items():
            if key in claimed:
                raise Fault(leaf.keys, f"{key} {claimed[key]} too; it can be set in one place only")
        claimed |= dict.fromkeys(inner, f"is set by the choices of {own}")


# --------------------------------------------------------------------------------------------------------------- rules


def check_section(trainer: Trainer, name: str, nodes: Mapping[str, Node]) -> None:
    """Raises Fault if a combination of the section's values breaks a rule between its fields."""
    tied, checked = trainer.tied.get(name, ()), 0
    for case in _cases(tied, nodes):
        ruled = {key: case[key] for key in tied if key in case}
        rest = {key: trainer.probes(key, leaf)[0] for key, leaf in case.items() if key not in ruled}
        for values in product(*(trainer.probes(key, leaf) for key, leaf in ruled.items())):
            combination = dict(zip(ruled, values, strict=True))
            if (checked := checked + 1) > MAX_COMBINATIONS:
                raise Fault((name,), f"more than {MAX_COMBINATIONS} combinations of {', '.join(ruled)}; list fewer")
            try:
                trainer.sections[name].model_validate(rest | combination, strict=True)
            except ValidationError as error:
                reason = message(dict(error.errors()[0]))
                raise _broken_rule(name, ruled, combination, reason, trainer.remedy(name, ruled)) from None


def _cases(tied: Sequence[str], nodes: Mapping[str, Node]) -> Iterator[dict[str, Leaf]]:
    """Yields the section with its branches chosen, for every combination of branches that matters to the rule."""
    base: dict[str, Leaf] = {key: node for key, node in nodes.items() if not isinstance(node, Branches)}
    choices = (node.branches for node in nodes.values() if isinstance(node, Branches))
    for branches in product(*(_ruled(tied, some) for some in choices)):
        case = dict(base)
        for branch in branches:
            case |= branch
        yield case


def _ruled(tied: Sequence[str], branches: Sequence[Mapping[str, Leaf]]) -> list[Mapping[str, Leaf]]:
    """The branches that set a key of the rule, and one of the others."""
    keys = set(tied)
    return [b for b in branches if b.keys() & keys] + [b for b in branches if not b.keys() & keys][:1]


def _broken_rule(name: str, ruled: Mapping[str, Leaf], values: Mapping[str, Any], message: str, remedy: str) -> Fault:
    ranges = [leaf for leaf in ruled.values() if not isinstance(leaf, Fixed)]
    if not ranges:
        return Fault(next(iter(ruled.values())).keys if ruled else (name,), message)
    combination = ", ".join(f"{key} {shown(value)}" for key, value in values.items())
    return Fault(ranges[0].keys, f"{message} (with {combination}){remedy}")
