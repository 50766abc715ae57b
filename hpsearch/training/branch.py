"""Where a training that overfits leaves its stable phase to cool down, and the shorter training that this is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hpsearch.training.config import FitConfig

CHANGED = ("epochs", "warmup", "stop_at")  # of the section `training`
SHARE = 0.85  # of the way to the best evaluation: there the cool-down begins (benchmarks/README.md, Cool-downs)


@dataclass(frozen=True)
class Branch:
    """A cool-down from the state at an evaluation."""

    index: int
    changes: dict[str, dict[str, Any]]  # section -> key -> value: what the config of the shorter training changes

    @classmethod
    def of(cls, index: int, shorter: FitConfig, config: FitConfig) -> Branch:
        """The branch that is the beginning of `config` and the end of `shorter`."""
        new, old = shorter.training, config.training
        changed = {key: getattr(new, key) for key in CHANGED if getattr(new, key) != getattr(old, key)}
        return cls(index, {"training": changed})

    def applied(self, config: FitConfig) -> FitConfig:
        """The config of the shorter training."""
        return config.model_copy(update={"training": config.training.model_copy(update=self.changes["training"])})


def by_promise(indices: Iterable[int], *, best: int, latest: int) -> list[int]:
    """The evaluations to cool down from, the most promising first.

    `best` and `latest`: the best and the latest evaluation of the curve. If they are one, it does not overfit yet.
    """
    wanted = latest if best == latest else SHARE * best
    return sorted(indices, key=lambda index: abs(index - wanted))


def earliest(best: int) -> int:
    """The first evaluation that may still be chosen while `best` is the best one, or a later one will be."""
    return int(SHARE * best)
