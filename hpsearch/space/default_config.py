"""The default config of a space: what a rule recommends, clipped to the ranges, and the middle of all other ranges."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hpsearch.document.document import Fault, Keys
from hpsearch.document.ranges import Choices, Internal, Number, Range
from hpsearch.document.validation_errors import shown, unknown_key
from hpsearch.errors import ConfigError
from hpsearch.space.space import Space
from hpsearch.trainers import Config, Rule

ConfigOf = Callable[[Mapping[str, Any]], Config]  # the config of internal values; raises ConfigError


class NoDefault(ConfigError):
    """The trainer's sections refuse the middle of the ranges."""


@dataclass(frozen=True)
class DefaultConfig:
    """A trial's internal values, and the rules that chose some of them."""

    internal: dict[str, Internal]
    rules: dict[str, Rule]  # by short name


def default_config(
    space: Space, config_of: ConfigOf, sets: Mapping[str, Any], given: Mapping[str, Any] | None = None
) -> DefaultConfig:
    """The default config, or `given` values (by short name) completed from it.

    sets: counts of the prepared data (Prepared.sets). Raises NoDefault if the trainer's sections refuse it, Fault if
    the trainer's rules are wrong.
    """
    given = given or {}
    config = _accepted(config_of, space.middle(given))
    wanted = {key: _checked(key, rule) for key, rule in _flat(_rules(space, config, sets))}
    internal = space.middle(given, {key: rule.value for key, rule in wanted.items()})
    _accepted(config_of, internal)
    fields = {name: space.field_of(name) for name in internal if name not in given and _is_ruled(space.params[name])}
    return DefaultConfig(internal, {name: wanted[key] for name, key in fields.items() if key in wanted})


def check_first(space: Space, config_of: ConfigOf, first: Sequence[Mapping[str, Any]]) -> None:
    """Raises Fault for a value of `search.first` that no trial of the space can have."""
    for index, given in enumerate(first):
        check_given(space, config_of, given, keys=("search", "first", index))


def check_given(space: Space, config_of: ConfigOf, given: Mapping[str, Any], *, keys: Keys = ()) -> None:
    """Raises Fault, at `keys`, for given values (by short name) that no trial of the space can have."""
    for name, value in given.items():
        _check_value(space, (*keys, name), value)
    active = space.middle(given)
    for name in [name for name in given if name not in active]:
        choice, words = space.choice_with(name)
        way_out = f'it is of another choice; add the choice that has it: {choice}="{words}"'
        raise Fault((*keys, name), f"this config has no {name}: {way_out}", at_key=True)
    try:
        config_of(active)
    except ConfigError as error:
        raise Fault(keys, f"is no valid config: {error}") from None


def _accepted(config_of: ConfigOf, internal: Mapping[str, Any]) -> Config:
    try:
        return config_of(internal)
    except ConfigError as error:
        raise NoDefault(str(error)) from None


def _rules(space: Space, config: Config, sets: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return space.trainer.rules(config, sets)
    except ConfigError as error:
        raise Fault(("trainer",), str(error)) from error


def _is_ruled(node: Range) -> bool:
    return isinstance(node, Number) or (isinstance(node, Choices) and node.ordered)


def _flat(rules: Mapping[str, Any]) -> list[tuple[tuple[str, str], Any]]:
    if not all(isinstance(some, Mapping) for some in rules.values()):
        raise Fault(("trainer",), "rules() returned no mapping of sections to mappings of keys to Rules")
    return [((str(section), str(key)), rule) for section, some in rules.items() for key, rule in some.items()]


def _checked(key: tuple[str, str], rule: Any) -> Rule:
    if not isinstance(rule, Rule) or not _is_finite(rule.value):
        raise Fault(("trainer",), f"rules() returned {shown(rule)} for {'.'.join(key)}; allowed: a Rule of a number")
    if rule.spread is not None and not (_is_finite(rule.spread) and rule.spread > 0):
        wrong = f"rules() returned a Rule with spread {shown(rule.spread)} for {'.'.join(key)}"
        raise Fault(("trainer",), f"{wrong}; allowed: a number above 0, or None")
    spread = None if rule.spread is None else float(rule.spread)
    return Rule(float(rule.value), str(rule.source), spread, bool(rule.decades), str(rule.doubt))


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check_value(space: Space, keys: Keys, value: Any) -> None:
    name = str(keys[-1])
    if name not in space.params:
        raise Fault(keys, f"no range of this space: {unknown_key(name, space.params)}", at_key=True)
    node = space.params[name]
    try:
        if isinstance(value, bool) and _is_ruled(node):
            raise ValueError(value)
        node.internal(value)
    except (ValueError, TypeError, OverflowError):
        limits = ", ".join(f"{key} {_written(one)}" for key, one in node.describe().items() if one is not None)
        raise Fault(keys, f"{shown(value)} is not in its range ({limits})") from None


def _written(value: Any) -> str:
    return " | ".join(map(shown, value)) if isinstance(value, list) else shown(value)
