"""A search space: sections of a config in which some values are ranges; turns a trial's params into a config.

Parameters have short names: the key (`learning_rate`), or the section for choices between sub-configs (`model`). A key
that is a range in several branches has the number of the branch appended: `n_layers.1`, `n_layers.2`; a range of the
same key outside of the branches keeps the plain name. Of a user's own names (own_names.py) the key is the dotted name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING, Any

from hpsearch.config import OwnNames
from hpsearch.document.document import Fault, Keys
from hpsearch.document.ranges import (
    Branches,
    Choices,
    Fixed,
    Internal,
    Leaf,
    Node,
    Number,
    Range,
    Trial,
    point,
    product,
)
from hpsearch.errors import ConfigError
from hpsearch.space.middle import middle, nearest
from hpsearch.space.own_names import read_own_names
from hpsearch.space.random_values import draw
from hpsearch.space.sections import Schema, check_section, read_section
from hpsearch.trainers import Trainer, default

if TYPE_CHECKING:  # importing optuna takes 0.4 s, and reading a space does not need it
    from optuna.distributions import BaseDistribution

Nodes = Mapping[str, Node]
MAX_GRID = 1_000_000  # points; the grid sampler shuffles all of them


@dataclass(frozen=True)
class Space:
    """The trainer's sections that may have ranges, in the order of the file."""

    sections: Mapping[str, Nodes]
    trainer: Trainer = field(compare=False)

    @classmethod
    def parse(cls, raw: Mapping[str, Any], trainer: Trainer | None = None) -> Space:
        """Reads the space from a file's plain values; raises Fault for a range or a combination that is not allowed.

        trainer: default causal_lm.
        """
        trainer = trainer or default()
        schemas = [Schema(name, trainer.sections[name]) for name in raw if name in trainer.sections]
        sections = {schema.name: _read(schema, raw[schema.name]) for schema in schemas}
        for name, nodes in sections.items():
            check_section(trainer, name, nodes)
        return cls(sections, trainer)

    @cached_property
    def params(self) -> dict[str, Range]:
        """{short name: range}, in the order of the file, including conditional ranges."""
        ranges = [node for nodes in self.sections.values() for node in _ranges(nodes)]
        names = [self._key_and_branch(node.keys) for node in ranges]
        count = Counter(key for key, _ in names)
        return {
            f"{key}.{branch}" if branch and count[key] > 1 else key: node
            for (key, branch), node in zip(names, ranges, strict=True)
        }

    @cached_property
    def _names(self) -> dict[Keys, str]:
        return {node.keys: name for name, node in self.params.items()}

    @property
    def _nodes(self) -> list[Node]:
        return [node for nodes in self.sections.values() for node in nodes.values()]

    @property
    def conditional(self) -> bool:
        """Whether some parameters exist only in some trials."""
        return any(isinstance(node, Branches) and node.conditional for node in self.params.values())

    @property
    def size(self) -> int | None:
        """The number of distinct configs; None if a range is continuous."""
        return product(node.size for node in self._nodes)

    def leaves(self, section: str, key: str) -> list[Leaf]:
        """Every value or range that may set a key in a trial, also in sub-configs; the default if nothing sets it."""
        nodes = self.sections.get(section, {})
        choices = [node for node in nodes.values() if isinstance(node, Branches)]
        found = [branch[key] for node in choices for branch in node.branches if key in branch]
        if any(all(key in branch for branch in node.branches) for node in choices):
            return found
        own = nodes.get(key) or Fixed((section,), self.trainer.sections[section].model_fields[key].get_default())
        return found if isinstance(own, Branches) else [own, *found]

    def varies(self, section: str) -> bool:
        """Whether trials may have different values in the section."""
        return any(not isinstance(node, Fixed) for node in self.sections.get(section, {}).values())

    def keys(self, section: str) -> dict[str, bool]:
        """Every key that a trial may have in a section, and whether its value varies between trials."""
        found: dict[str, bool] = {}
        for key, node in self.sections.get(section, {}).items():
            of_branches = [inner for branch in node.branches for inner in branch] if isinstance(node, Branches) else []
            found |= dict.fromkeys(of_branches, True)
            if not isinstance(node, Branches):
                found.setdefault(key, not isinstance(node, Fixed))
        return found

    # ---------------------------------------------------------------------------------------------- one trial's values

    def suggest(self, trial: Trial) -> dict[str, Internal]:
        """Asks the trial for the internal value of each active parameter, in the order of the file."""
        return {self._names[node.keys]: internal for node, internal in self._active(self._ask(trial))}

    def _ask(self, trial: Trial) -> Callable[[Range], Internal]:
        return lambda node: node.suggest(trial, self._names[node.keys])

    def values(self, internal: Mapping[str, Any]) -> dict[str, Any]:
        """{short name: value} (JSON-able) of a trial's internal values."""
        active = self._active(lambda node: self._given(internal, node))
        return {self._names[node.keys]: node.value(given) for node, given in active}

    def internal(self, values: Mapping[str, Any]) -> dict[str, Internal]:
        """The inverse of `values`; raises ConfigError for a value that is not in the space."""

        def pick(node: Range) -> Internal:
            return self._internal_of(node, self._given(values, node))

        return {self._names[node.keys]: internal for node, internal in self._active(pick)}

    def found_in(self, config: Mapping[str, Mapping[str, Any]]) -> dict[str, Internal]:
        """The internal values of the trial with this whole config; its fixed values are not looked at.

        Raises ConfigError if no trial of the space has it.
        """

        def value(node: Range) -> Any:
            section, key = self.field_of(self._names[node.keys])
            if key not in config.get(section, {}):
                raise ConfigError(f"{section}.{key}: this config has no value for it")
            return config[section][key]

        def pick(node: Range) -> Internal:
            if not isinstance(node, Branches):
                return self._internal_of(node, value(node))
            there = config.get(str(node.keys[0]), {})
            for label, branch in zip(node.labels, node.branches, strict=True):
                if all(key in there and _has(leaf, there[key]) for key, leaf in branch.items()):
                    return label
            raise ConfigError(f"{self._names[node.keys]}: this config is none of the choices")

        return {self._names[node.keys]: internal for node, internal in self._active(pick)}

    def trained(self, internal: Mapping[str, Any], branch: Mapping[str, Mapping[str, Any]]) -> dict[str, Internal]:
        """The internal values that a branch (see Evaluation) was trained with, or the nearest in the ranges."""
        found = dict(internal)
        for name in internal:
            node = self.params[name]
            section, key = self.field_of(name)
            if isinstance(node, Number) and key in branch.get(section, {}):
                found[name] = node.nearest(branch[section][key])
        return found

    def _internal_of(self, node: Range, value: Any) -> Internal:
        try:
            return node.internal(value)
        except (ValueError, TypeError, OverflowError):  # OverflowError: int(infinity)
            raise ConfigError(f"{self._names[node.keys]}: {value!r} is not in this space") from None

    def config(self, internal: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """The plain sections, with every range replaced by the trial's value."""
        values = {node.keys: (node, given) for node, given in self._active(lambda node: self._given(internal, node))}
        return {name: _resolved(nodes, values) for name, nodes in self.sections.items()}

    def _given(self, values: Mapping[str, Any], node: Range) -> Any:
        name = self._names[node.keys]
        if name not in values:
            raise ConfigError(f"{name}: this trial has no value for it")
        return values[name]

    def _active(self, pick: Callable[[Range], Internal]) -> Iterator[tuple[Range, Internal]]:
        """Yields (range, internal value) for the active ranges; the value of a branch decides which are active."""
        for nodes in self.sections.values():
            for node in nodes.values():
                if isinstance(node, Fixed):
                    continue
                internal = pick(node)
                yield node, internal
                if isinstance(node, Branches):
                    inner = [leaf for leaf in node.branch(internal).values() if not isinstance(leaf, Fixed)]
                    yield from ((leaf, pick(leaf)) for leaf in inner)

    def middle(
        self, given: Mapping[str, Any], wanted: Mapping[tuple[str, str], float] | None = None
    ) -> dict[str, Internal]:
        """Internal values of a trial: `given` ones (by short name), else the nearest to `wanted`, else the middle.

        wanted: (section, key) -> number; raises ConfigError for a given value that is not in its range.
        """
        wanted = wanted or {}

        def pick(node: Range) -> Internal:
            name = self._names[node.keys]
            if name in given:
                return self._internal_of(node, given[name])
            section, key = field = self.field_of(name)
            if field in wanted and (isinstance(node, Number) or (isinstance(node, Choices) and node.ordered)):
                return nearest(node, wanted[field])
            one = self.trainer.sections[section].model_fields.get(key)
            return middle(node, None if one is None else one.default)

        return {self._names[node.keys]: internal for node, internal in self._active(pick)}

    def field_of(self, name: str) -> tuple[str, str]:
        """The section and the key of a parameter."""
        keys = self.params[name].keys
        return str(keys[0]), self._key_and_branch(keys)[0]

    def short_names(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values by short name, where some are named by section and key: `training.learning_rate`.

        Other names are not changed. Raises ConfigError for a range that is named twice.
        """
        found: dict[str, Any] = {}
        for name, value in values.items():
            same = [short for short in self.params if ".".join(self.field_of(short)) == name]
            short = same[0] if len(same) == 1 and name not in self.params else name
            if short in found:
                raise ConfigError(f"{short} is given twice: also as {name}")
            found[short] = value
        return found

    def _key_and_branch(self, keys: Keys) -> tuple[str, int | None]:
        """Key and branch (from 1): `model.choices[1].width` -> width, 2; `config.a.b` -> a.b, None."""
        index = next((key for key in keys if isinstance(key, int)), None)
        names = [key for key in keys if isinstance(key, str) and key != "choices"]
        own = issubclass(self.trainer.sections[names[0]], OwnNames) and len(names) > 1
        return ".".join(names[1:]) if own else names[-1], None if index is None else index + 1

    def choice_with(self, name: str) -> tuple[str, str]:
        """The choice between sub-configs of which one has this range, and the words for that sub-config."""
        wanted = self.params[name]
        for choice, node in self.params.items():
            for label, branch in zip(node.labels, node.branches, strict=True) if isinstance(node, Branches) else ():
                if any(leaf is wanted for leaf in branch.values()):
                    return choice, label
        raise KeyError(name)

    # ------------------------------------------------------------------------------------------- the space as a whole

    def describe(self) -> dict[str, dict[str, Any]]:
        """{short name: {low, high, step, log} or {choices}}, JSON-able, for display."""
        return {name: node.describe() for name, node in self.params.items()}

    def written(self) -> dict[str, dict[str, Any]]:
        """The sections as in a file, with normalised ranges."""
        return {name: _written(nodes) for name, nodes in self.sections.items()}

    def draw(self, seed: int) -> dict[str, Any]:
        """Random params {short name: value}, uniform or log-uniform in each range; the seed determines them."""
        random = Random(seed)
        return self.values({self._names[node.keys]: drawn for node, drawn in self._active(lambda n: draw(n, random))})

    def point(self, index: int) -> dict[str, Internal]:
        """The internal values of the index-th of `size` configs; the last range of the file varies fastest."""
        found = point(self._nodes, index)
        return {self._names[node.keys]: internal for node, internal in self._active(lambda node: found[node.keys])}

    def check_grid(self) -> None:
        """Raises Fault if the configs cannot be enumerated: a continuous range, or more than MAX_GRID points."""
        for leaf in self.params.values():
            if leaf.size is None and not isinstance(leaf, Branches):
                raise Fault(leaf.keys, "a grid needs a step or choices here: the range is continuous")
        points = 1
        for node in self._nodes:
            points *= node.size or 1
            if points > MAX_GRID:
                raise Fault(node.keys, f"a grid of more than {MAX_GRID:,} points; take larger steps or fewer choices")

    def distribution(self, name: str) -> BaseDistribution:
        """The Optuna distribution of a parameter, over internal values."""
        return _distribution(self.params[name])


def _distribution(node: Range) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(node, Number):
        if node.integer:
            return IntDistribution(int(node.low), int(node.high), step=int(node.step or 1), log=node.log)
        return FloatDistribution(node.low, node.high, step=node.step, log=node.log)
    if isinstance(node, Choices) and node.ordered:
        return IntDistribution(0, len(node.choices) - 1)
    return CategoricalDistribution(node.labels)


def _has(leaf: Leaf, value: Any) -> bool:
    """Whether a leaf may have a value."""
    if isinstance(leaf, Fixed):
        return bool(leaf.value == value)
    try:
        leaf.internal(value)
    except (ValueError, TypeError, OverflowError):
        return False
    return True


def _ranges(nodes: Nodes) -> Iterator[Range]:
    for node in nodes.values():
        if isinstance(node, Fixed):
            continue
        yield node
        if isinstance(node, Branches):
            inner = [leaf for branch in node.branches for leaf in branch.values()]
            yield from (leaf for leaf in inner if not isinstance(leaf, Fixed))


def _read(schema: Schema, raw: Any) -> Nodes:
    return read_own_names(schema.name, raw) if issubclass(schema.model, OwnNames) else read_section(schema, raw)


def _resolved(nodes: Nodes, values: Mapping[Keys, tuple[Range, Any]]) -> dict[str, Any]:
    """One section's values; a chosen sub-config overrides the other keys."""
    base: dict[str, Any] = {}
    chosen: dict[str, Any] = {}
    for key, node in nodes.items():
        if isinstance(node, Fixed):
            base[key] = node.value
            continue
        _, internal = values[node.keys]
        if isinstance(node, Branches):
            chosen |= _resolved(node.branch(internal), values)
        else:
            base[key] = node.value(internal)
    return base | chosen


def _written(nodes: Nodes) -> dict[str, Any]:
    written = {key: node.written() for key, node in nodes.items() if key != "choices"}
    return written | (nodes["choices"].written() if "choices" in nodes else {})
