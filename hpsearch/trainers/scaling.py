"""What a trainer advises for a larger training: the values that change, by which rules, and where these hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What one rule makes of a value."""

    value: float | int | None
    rule: str  # the name of the rule
    formula: str = ""
    source: str = ""  # a paper
    holds: str = ""  # the range of validity, in words


@dataclass(frozen=True)
class Change:
    """A value of the larger training, and the rules that were asked about it."""

    section: str
    key: str
    before: float | int | None  # in the trial's config
    by: Answer  # the rule that was chosen, with the value
    why: str = ""  # this rule and no other
    others: tuple[Answer, ...] = ()

    @property
    def after(self) -> float | int | None:
        """The value of the larger training."""
        return self.by.value


@dataclass(frozen=True)
class ScaleUp:
    """A larger training than a trial's, and the reasons for its values."""

    config: Any
    changes: tuple[Change, ...]  # in the order of a config; values that stay are among them if rules were asked
    sizes: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # `parameters`, `tokens`: before and after
    warnings: tuple[str, ...] = ()
    trial: int = -1  # the one that it starts from; set by hpsearch/final/larger.py

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        changes = [asdict(change) | {"after": change.after} for change in self.changes]
        sizes = {name: list(pair) for name, pair in self.sizes.items()}
        config = self.config.model_dump(mode="json", exclude_none=True)
        return {
            "trial": self.trial,
            "sizes": sizes,
            "changes": changes,
            "warnings": list(self.warnings),
            "config": config,
        }
