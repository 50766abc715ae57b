"""A search space: sections of a config in which some values are ranges; turns a trial's params into a config.

Parameters have short names: the key (`learning_rate`), or the section for choices between sub-configs (`model`). A key
that is a range in several branches has the number of the branch appended: `n_layers.1`, `n_layers.2`; a range of the
same key outside of the branches keeps the plain name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING, Any

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
        sections = {schema.name: read_section(schema, raw[schema.name]) for schema in schemas}
        for name, nodes in sections.items():
            check_section(trainer, name, nodes)
        return cls(sections, trainer)

    @cached_property
    def params(self) -> dict[str, Range]:
        """{short name: range}, in the order of the file, including conditional ranges."""
        ranges = [node for nodes in self.sections.values() for node in _ranges(nodes)]
        names = [_key_and_branch(node.keys) for node in ranges]
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
            value = self._given(values, node)
            try:
                return node.internal(value)
            except (ValueError, TypeError, OverflowError):  # OverflowError: int(infinity)
                raise ConfigError(f"{self._names[node.keys]}: {value!r} is not in this space") from None

        return {self._names[node.keys]: internal for node, internal in self._active(pick)}

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


def _ranges(nodes: Nodes) -> Iterator[Range]:
    for node in nodes.values():
        if isinstance(node, Fixed):
            continue
        yield node
        if isinstance(node, Branches):
            inner = [leaf for branch in node.branches for leaf in branch.values()]
            yield from (leaf for leaf in inner if not isinstance(leaf, Fixed))


def _key_and_branch(keys: Keys) -> tuple[str, int | None]:
    """Key and branch (from 1): `model.choices[1].width` -> width, 2; `model.dropout` -> dropout, None."""
    index = next((key for key in keys if isinstance(key, int)), None)
    names = [key for key in keys if isinstance(key, str) and key != "choices"]
    return names[-1], None if index is None else index + 1


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
