"""The training loss as a curve: of each set, and over sets in the mix of `val/loss`, whatever the batches were of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Sums = Mapping[str, tuple[float, int]]  # set -> nats, target tokens


class TrainLoss:
    """Means per set of what was trained; a set that a window lacks counts with its latest mean."""

    def __init__(self, shares: Mapping[str, float]) -> None:
        """`shares`: how much each set counts in the mean over sets (they need not sum to 1)."""
        self.shares = dict(shares)
        self.latest: dict[str, float] = {}
        self.interval: dict[str, list[Any]] = {}  # since the last evaluation: nats, target tokens

    def window(self, sums: Sums) -> dict[str, float]:
        """Adds a window; returns `train/loss`, with several sets also `train/SET/loss` of those that it trained."""
        for name, (nats, targets) in sums.items():
            self.latest[name] = nats / targets
            former = self.interval.get(name, [0.0, 0])
            self.interval[name] = [former[0] + nats, former[1] + targets]
        several = {f"train/{name}/loss": self.latest[name] for name in sums} if len(self.shares) > 1 else {}
        return {"train/loss": self._mean(self.latest), **several}

    def close_interval(self) -> float:
        """The mean since the last evaluation, in nats; begins the next interval."""
        since = {name: nats / targets for name, (nats, targets) in self.interval.items()}
        self.interval = {}
        return self._mean(self.latest | since)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of it."""
        return {"latest": self.latest, "interval": self.interval}

    def load(self, state: dict[str, Any]) -> None:
        """Restores a checkpoint's state."""
        self.latest, self.interval = state["latest"], state["interval"]

    def _mean(self, losses: Mapping[str, float]) -> float:
        if len(losses) == 1:
            return next(iter(losses.values()))  # to the last bit
        total = sum(self.shares[name] for name in losses)
        return sum(self.shares[name] * loss for name, loss in losses.items()) / total if losses else 0.0
