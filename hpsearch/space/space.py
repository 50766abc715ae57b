"""A search space: a training config in which some values are ranges. Ranges -> Optuna, a trial -> config.

Parameters have short names: the key (`learning_rate`), or the section for choices between sub-configs (`model`). A key
that is a range in several branches is told apart by its branch, counted from 1: `n_layers.1`, `n_layers.2`; where it
is a range outside the branches too, that one keeps the plain name.
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

if TYPE_CHECKING:  # optuna takes 0.4 s to import, and a space does not need it to be read
    from optuna.distributions import BaseDistribution

Nodes = Mapping[str, Node]
MAX_GRID = 1_000_000  # points: the grid sampler shuffles them all


@dataclass(frozen=True)
class Space:
    """The trainer's sections that may hold ranges, in the order of the file."""

    sections: Mapping[str, Nodes]
    trainer: Trainer = field(compare=False)

    @classmethod
    def parse(cls, raw: Mapping[str, Any], trainer: Trainer | None = None) -> Space:
        """The space in the plain values of a file; Fault where a range or its combinations are not allowed.

        trainer: the default one if none is given.
        """
        trainer = trainer or default()
        schemas = [Schema(name, trainer.sections[name]) for name in raw if name in trainer.sections]
        sections = {schema.name: read_section(schema, raw[schema.name]) for schema in schemas}
        for name, nodes in sections.items():
            check_section(trainer, name, nodes)
        return cls(sections, trainer)

    @cached_property
    def params(self) -> dict[str, Range]:
        """Short name -> range, in the order of the file, conditional ones too."""
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
        """How many distinct configs there are; None where a range is continuous."""
        return product(node.size for node in self._nodes)

    def leaves(self, section: str, key: str) -> list[Leaf]:
        """Every value or range that a trial may take a key from, those of sub-configs too; else its default."""
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
        """The trial's internal value of each of its parameters, asked for in the order of the file."""
        return {self._names[node.keys]: internal for node, internal in self._active(self._ask(trial))}

    def _ask(self, trial: Trial) -> Callable[[Range], Internal]:
        return lambda node: node.suggest(trial, self._names[node.keys])

    def values(self, internal: Mapping[str, Any]) -> dict[str, Any]:
        """Short name -> value as people see it (JSON-able), of a trial's internal values (`trial.params`)."""
        active = self._active(lambda node: self._given(internal, node))
        return {self._names[node.keys]: node.value(given) for node, given in active}

    def internal(self, values: Mapping[str, Any]) -> dict[str, Internal]:
        """The inverse of `values`; ConfigError where a value is not in the space."""

        def pick(node: Range) -> Internal:
            value = self._given(values, node)
            try:
                return node.internal(value)
            except (ValueError, TypeError):
                raise ConfigError(f"{self._names[node.keys]}: {value!r} is not in this space") from None

        return {self._names[node.keys]: internal for node, internal in self._active(pick)}

    def config(self, internal: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """The plain sections with every range replaced by the trial's value."""
        values = {node.keys: (node, given) for node, given in self._active(lambda node: self._given(internal, node))}
        return {name: _resolved(nodes, values) for name, nodes in self.sections.items()}

    def _given(self, values: Mapping[str, Any], node: Range) -> Any:
        name = self._names[node.keys]
        if name not in values:
            raise ConfigError(f"{name}: this trial has no value for it")
        return values[name]

    def _active(self, pick: Callable[[Range], Internal]) -> Iterator[tuple[Range, Internal]]:
        """The ranges that count, given what `pick` gives for those before them."""
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
        """Short name -> {low, high, step, log} or {choices}: JSON-able, for people."""
        return {name: node.describe() for name, node in self.params.items()}

    def written(self) -> dict[str, dict[str, Any]]:
        """The sections as a file would have them, ranges in place and normalised."""
        return {name: _written(nodes) for name, nodes in self.sections.items()}

    def draw(self, seed: int) -> dict[str, Any]:
        """Random params (short name -> value), each range uniform or log-uniform; the same ones for a seed."""
        random = Random(seed)
        return self.values({self._names[node.keys]: drawn for node, drawn in self._active(lambda n: draw(n, random))})

    def point(self, index: int) -> dict[str, Internal]:
        """The internal values of the index-th of the `size` configs, the last range of the file varying fastest."""
        found = point(self._nodes, index)
        return {self._names[node.keys]: internal for node, internal in self._active(lambda node: found[node.keys])}

    def check_grid(self) -> None:
        """Fault where the configs cannot be listed one by one."""
        for leaf in self.params.values():
            if leaf.size is None and not isinstance(leaf, Branches):
                raise Fault(leaf.keys, "a grid needs a step or choices here: the range is continuous")
        points = 1
        for node in self._nodes:
            points *= node.size or 1
            if points > MAX_GRID:
                raise Fault(node.keys, f"a grid of more than {MAX_GRID:,} points; take larger steps or fewer choices")

    def distribution(self, name: str) -> BaseDistribution:
        """What the sampler knows of a parameter: the distribution that `suggest` gives it."""
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
    """`model.choices[1].width` -> width, 2; `model.dropout` -> dropout, None."""
    index = next((key for key in keys if isinstance(key, int)), None)
    names = [key for key in keys if isinstance(key, str) and key != "choices"]
    return names[-1], None if index is None else index + 1


def _resolved(nodes: Nodes, values: Mapping[Keys, tuple[Range, Any]]) -> dict[str, Any]:
    """One section's values; a chosen sub-config lies over the other keys."""
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
