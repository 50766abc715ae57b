"""The values that a trainer answers the search with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple


@dataclass(frozen=True)
class Prepared:
    """What `prepare` returns: the data for all trainings of a space, and messages about them."""

    folders: dict[str, Path] = field(
        default_factory=dict
    )  # name (chosen by the trainer) -> folder; train finds them in handle.settings.prepared
    fingerprint: str = ""  # of all data; a study is only resumed on the same data
    contents: dict[str, str] = field(default_factory=dict)  # name of a data set -> its fingerprint
    models: dict[str, str] = field(default_factory=dict)  # key of `model` that names files -> their fingerprint
    sets: dict[str, Any] = field(default_factory=dict)  # counts by data set and split, for display
    warnings: list[str] = field(default_factory=list)
    summary: list[str] = field(default_factory=list)  # lines about what was read
    untested: list[str] = field(default_factory=list)  # lines about data sets that have no test split

    @property
    def facts(self) -> dict[str, Any]:
        """The part that the journal records."""
        models = {"models": self.models} if self.models else {}
        return {"fingerprint": self.fingerprint, "contents": self.contents, **models, "sets": self.sets}


@dataclass(frozen=True)
class TestResult:
    """What the trainer measured on the test data."""

    __test__: ClassVar[bool] = False  # pytest collects classes named Test...

    metrics: dict[str, float] = field(default_factory=dict)  # test/...; val/... replace those of the best evaluation
    signatures: dict[str, str] = field(default_factory=dict)  # how metrics were computed, by name
    samples: dict[str, Any] = field(default_factory=dict)  # JSON-able


class Shape(NamedTuple):
    """The memory class of a config: a training with larger sizes and equal `kinds` needs at least as much memory."""

    sizes: tuple[float, ...]
    kinds: str

    def covers(self, other: Shape) -> bool:
        """Whether a trial of this shape needs at least as much memory as one of the other shape."""
        return self.kinds == other.kinds and all(a >= b for a, b in zip(self.sizes, other.sizes, strict=True))


class Rule(NamedTuple):
    """A recommended value of a key, and where it comes from, in a few words."""

    value: float
    source: str
    spread: float | None = None  # standard deviation of good values around it, for `search.prior`; None: not known
    decades: bool = False  # the spread is in decades, not in the key's own units
    doubt: str = ""  # why it may not hold for this config, in a line
