"""The training loss of each data set, and their mean weighted as in `val/loss`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Sums = Mapping[str, tuple[float, int]]  # set -> nats, target tokens


class TrainLoss:
    """Mean losses per set; a set without steps in a window counts with its latest mean."""

    def __init__(self, shares: Mapping[str, float]) -> None:
        """`shares`: the weight of each set in the mean (need not sum to 1)."""
        self.shares = dict(shares)
        self.latest: dict[str, float] = {}
        self.interval: dict[str, list[Any]] = {}  # since the last evaluation: nats, target tokens

    def window(self, sums: Sums) -> dict[str, float]:
        """Adds a window; returns `train/loss`, with several sets also `train/SET/loss` of the sets in it."""
        for name, (nats, targets) in sums.items():
            self.latest[name] = nats / targets
            former = self.interval.get(name, [0.0, 0])
            self.interval[name] = [former[0] + nats, former[1] + targets]
        several = {f"train/{name}/loss": self.latest[name] for name in sums} if len(self.shares) > 1 else {}
        return {"train/loss": self._mean(self.latest), **several}

    def close_interval(self) -> float:
        """The mean since the last evaluation, in nats; starts the next interval."""
        since = {name: nats / targets for name, (nats, targets) in self.interval.items()}
        self.interval = {}
        return self._mean(self.latest | since)

    def state(self) -> dict[str, Any]:
        """The state for a checkpoint."""
        return {"latest": self.latest, "interval": self.interval}

    def load(self, state: dict[str, Any]) -> None:
        """Restores a checkpoint's state."""
        self.latest, self.interval = state["latest"], state["interval"]

    def _mean(self, losses: Mapping[str, float]) -> float:
        if len(losses) == 1:
            return next(iter(losses.values()))  # to the last bit
        total = sum(self.shares[name] for name in losses)
        return sum(self.shares[name] * loss for name, loss in losses.items()) / total if losses else 0.0
