"""The ranges of a search space, in Optuna's terms: low, high, step, log, choices.

A range has two kinds of values. The sampler sees *internal* values: numeric choices are indices of an ordered integer
range, other choices are labels. Users and configs see *values*.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from itertools import islice
from typing import Any, Literal, Protocol

from hpsearch.document.document import Keys

Internal = int | float | str
Point = dict[Keys, Internal]  # {keys of a range: internal value}
Scalar = int | float | str | bool | None
PROBED = 600  # integers of a range that are tested against a rule; more than 256 heads are refused anyway


class Trial(Protocol):
    """The methods of an Optuna trial (also FixedTrial and FrozenTrial) that ranges use."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """An integer."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """A number."""

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """One of the choices."""


@dataclass(frozen=True)
class Prior:
    """Where good values of a range are thought to lie: a normal distribution to draw from.

    The spread is a standard deviation, in decades or else in the parameter's own units.
    """

    center: float
    spread: float
    decades: bool
    source: str = ""  # of a rule; empty: the space file's

    def written(self) -> dict[str, Any]:
        """As in a file."""
        return {"center": self.center, "spread": self.spread}


@dataclass(frozen=True)
class Fixed:
    """One value."""

    keys: Keys
    value: Any

    @property
    def size(self) -> int:
        """One."""
        return 1

    def written(self) -> Any:
        """The value as in a config."""
        return self.value


@dataclass(frozen=True)
class Number:
    """Numbers from low to high, both included."""

    keys: Keys
    low: int | float
    high: int | float
    step: int | float | None
    log: bool
    integer: bool
    prior: Prior | Literal["off"] | None = None  # off: not that of a rule either

    def suggest(self, trial: Trial, name: str) -> Internal:
        """The trial's number for this name."""
        if self.integer:
            return trial.suggest_int(name, int(self.low), int(self.high), step=int(self.step or 1), log=self.log)
        return trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)

    def value(self, internal: Internal) -> int | float:
        """The number, exactly on the grid if there is a step (0.3, not 0.30000000000000004)."""
        if self.integer:
            return int(internal)
        if self.step is None:
            return float(internal)
        step, low = Decimal(str(self.step)), Decimal(str(self.low))
        return float(low + round((Decimal(str(internal)) - low) / step) * step)

    def internal(self, value: Any) -> Internal:
        """The number itself; raises ValueError or TypeError if it is not in the range."""
        if isinstance(value, bool) or (self.integer and value != int(value)) or not self._has(float(value)):
            raise ValueError(value)
        return int(value) if self.integer else float(value)

    def _has(self, value: float) -> bool:
        """Whether the number is in the range and on its grid, up to rounding."""
        slack = 1e-9 * max(abs(self.low), abs(self.high))
        steps = (value - self.low) / self.step if self.step else 0.0
        return self.low - slack <= value <= self.high + slack and abs(steps - round(steps)) < 1e-6

    def nearest(self, value: float) -> Internal:
        """The number of the range and its grid that is nearest to a value."""
        clipped = min(max(value, self.low), self.high)
        step = self.step or (1 if self.integer else None)
        if step is not None:
            clipped = min(self.low + round((clipped - self.low) / step) * step, self.high)
        return int(clipped) if self.integer else float(clipped)

    def describe(self) -> dict[str, Any]:
        """{low, high, step (None: none), log}."""
        return {"low": self.low, "high": self.high, "step": self.step, "log": self.log}

    def written(self) -> dict[str, Any]:
        """The same and the prior, if the file gives one."""
        prior = self.prior.written() if isinstance(self.prior, Prior) else self.prior
        return self.describe() | ({} if prior is None else {"prior": prior})

    @property
    def grid(self) -> range:
        """The numbers of an integer range."""
        return range(int(self.low), int(self.high) + 1, int(self.step or 1))

    @property
    def label(self) -> str:
        """`1..6`, as part of a longer label."""
        return f"{self.low}..{self.high}"

    @property
    def size(self) -> int | None:
        """How many numbers there are; None for a continuous range."""
        if self.low == self.high:
            return 1
        if self.integer:
            return (int(self.high) - int(self.low)) // int(self.step or 1) + 1
        return None if self.step is None else round((self.high - self.low) / self.step) + 1

    def point(self, index: int) -> Point:
        """The index-th number, counted from low."""
        if self.integer:
            return {self.keys: int(self.low) + index * int(self.step or 1)}
        return {self.keys: self.value(self.low + index * (self.step or 0))}


@dataclass(frozen=True)
class Choices:
    """One of several values; numbers are sorted, and the sampler sees their order."""

    keys: Keys
    choices: tuple[Scalar, ...]

    @property
    def ordered(self) -> bool:
        """Whether all choices are numbers."""
        return all(isinstance(choice, int | float) and not isinstance(choice, bool) for choice in self.choices)

    @cached_property
    def labels(self) -> list[str]:
        """A unique text for each choice."""
        return unique([text(choice) for choice in self.choices])

    def suggest(self, trial: Trial, name: str) -> Internal:
        """The trial's index (of a number) or label."""
        if self.ordered:
            return trial.suggest_int(name, 0, len(self.choices) - 1)
        return str(trial.suggest_categorical(name, self.labels))

    def value(self, internal: Internal) -> Scalar:
        """The choice itself."""
        return self.choices[int(internal) if self.ordered else self.labels.index(str(internal))]

    def internal(self, value: Any) -> Internal:
        """The index or label of a choice."""
        index = self.choices.index(value)
        return index if self.ordered else self.labels[index]

    def describe(self) -> dict[str, Any]:
        """The choices."""
        return {"choices": list(self.choices)}

    written = describe

    @property
    def label(self) -> str:
        """`8|16|32`, as part of a longer label."""
        return "|".join(self.labels)

    @property
    def size(self) -> int:
        """How many choices there are."""
        return len(self.choices)

    def point(self, index: int) -> Point:
        """The index or label of the index-th choice."""
        return {self.keys: index if self.ordered else self.labels[index]}


@dataclass(frozen=True)
class Branches:
    """One of several sub-configs, each of which sets keys of its section and may have its own ranges."""

    keys: Keys  # of the section, or of the key that has the choices
    branches: tuple[Mapping[str, Fixed | Number | Choices], ...]

    @cached_property
    def labels(self) -> list[str]:
        """`n_layers=2, width=96` for each branch; a branch that only sets the key itself is labelled by the value."""
        return unique([self._label(branch) for branch in self.branches])

    def _label(self, branch: Mapping[str, Fixed | Number | Choices]) -> str:
        if list(branch) == [self._own]:
            return _short(branch[self._own])
        return ", ".join(f"{self._within(key)}={_short(node)}" for key, node in branch.items()) or "defaults"

    def _within(self, key: str) -> str:
        """The key as it stands in a branch: without the names around the choices, if those have dotted keys."""
        return key.removeprefix(".".join([*map(str, self.keys[1:]), ""])) if len(self.keys) > 1 else key

    def suggest(self, trial: Trial, name: str) -> Internal:
        """The label of the trial's branch."""
        return str(trial.suggest_categorical(name, self.labels))

    def branch(self, internal: Internal) -> Mapping[str, Fixed | Number | Choices]:
        """The branch with this label."""
        return self.branches[self.labels.index(str(internal))]

    def value(self, internal: Internal) -> str:
        """The label."""
        return str(internal)

    def internal(self, value: Any) -> Internal:
        """The label."""
        return self.labels[self.labels.index(value)]

    def describe(self) -> dict[str, Any]:
        """The labels."""
        return {"choices": self.labels}

    def written(self) -> dict[str, Any]:
        """The choices as in a file."""
        return {
            "choices": [
                branch[self._own].written()
                if list(branch) == [self._own]
                else {self._within(key): node.written() for key, node in branch.items()}
                for branch in self.branches
            ]
        }

    @property
    def _own(self) -> str:
        """The key that has the choices, or the section."""
        return ".".join(map(str, self.keys[1:])) or str(self.keys[0])

    @property
    def conditional(self) -> bool:
        """Whether a branch has its own ranges."""
        return any(not isinstance(node, Fixed) for branch in self.branches for node in branch.values())

    @property
    def size(self) -> int | None:
        """How many configs the branches have in all; None if a range is continuous."""
        return None if None in self._sizes else sum(size or 0 for size in self._sizes)

    @cached_property
    def _sizes(self) -> list[int | None]:
        return [product(node.size for node in branch.values()) for branch in self.branches]

    def point(self, index: int) -> Point:
        """The branch and the values of its ranges in the index-th config, counted branch by branch."""
        for label, branch, size in zip(self.labels, self.branches, self._sizes, strict=True):
            if index < (size or 0):
                return {self.keys: label} | point(branch.values(), index)
            index -= size or 0
        raise IndexError(index)


Range = Number | Choices | Branches
Leaf = Fixed | Number | Choices
Node = Fixed | Number | Choices | Branches


def ends(leaf: Leaf) -> tuple[Any, Any]:
    """The lowest and the highest value of a numeric leaf."""
    if isinstance(leaf, Number):
        return leaf.low, leaf.high
    values = leaf.choices if isinstance(leaf, Choices) else (leaf.value,)
    return min(values, key=float), max(values, key=float)


def probes(leaf: Leaf) -> Sequence[Any]:
    """The values to test against a rule: all values, up to PROBED integers; of a continuous range its ends."""
    if isinstance(leaf, Fixed):
        return [leaf.value]
    if isinstance(leaf, Choices):
        return leaf.choices
    if not leaf.integer or leaf.low == leaf.high:
        return [leaf.low] if leaf.low == leaf.high else [leaf.low, leaf.high]
    return list(islice(leaf.grid, PROBED))


def product(sizes: Any) -> int | None:
    """The product of the sizes; None if one of them is None."""
    total = 1
    for size in sizes:
        if size is None:
            return None
        total *= size
    return total


def point(nodes: Iterable[Node], index: int) -> Point:
    """The index-th combination of the nodes' values; the last node varies fastest."""
    found: Point = {}
    for node in reversed([node for node in nodes if not isinstance(node, Fixed)]):
        index, place = divmod(index, node.size or 1)
        found |= node.point(place)
    return found


def text(value: Any) -> str:
    """A scalar as YAML writes it."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def unique(labels: list[str]) -> list[str]:
    """The labels, with a number appended to repeated ones."""
    return [label if label not in labels[:i] else f"{label} ({i + 1})" for i, label in enumerate(labels)]


def _short(node: Leaf) -> str:
    return text(node.value) if isinstance(node, Fixed) else node.label
