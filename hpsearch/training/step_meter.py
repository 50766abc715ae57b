"""Sums losses and time over the steps between two training points."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor

KEPT = ("losses", "norm", "targets", "tokens_before")  # attributes kept in a checkpoint


class StepMeter:
    """Sums over the steps since the last training point, by data set; they stay on the device until `close`."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.restart(0)

    def restart(self, tokens: int) -> None:
        """Starts new sums, at a number of tokens."""
        self.tokens_before = tokens
        self._seconds, self._began = 0.0, time.monotonic()
        self.losses: dict[str, Tensor] = {}  # set -> nats
        self.targets: dict[str, int] = {}  # set -> target tokens
        self.norm: Tensor = torch.zeros((), device=self.device)

    def add(self, name: str, loss: Tensor, norm: Tensor, n_targets: int) -> None:
        """Adds one step, of the data set `name`."""
        self.losses[name] = self.losses[name] + loss if name in self.losses else loss
        self.targets[name] = self.targets.get(name, 0) + n_targets
        self.norm = norm

    def stop_clock(self) -> None:
        """Excludes the time from now on."""
        self._seconds = self.seconds

    def start_clock(self) -> None:
        """Counts the time from now on."""
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds of the steps, over all attempts."""
        return self._seconds + time.monotonic() - self._began

    def state(self) -> dict[str, Any]:
        """The state for a checkpoint; call `stop_clock` first."""
        return {"seconds": self._seconds, **{key: getattr(self, key) for key in KEPT}}

    def load(self, state: dict[str, Any]) -> None:
        """Resumes from a checkpoint's state."""
        self._seconds, self._began = state["seconds"], time.monotonic()
        for key in KEPT:
            setattr(self, key, state[key])

    def close(self) -> tuple[dict[str, tuple[float, int]], float]:
        """Returns set -> (nats, target tokens), and the last gradient norm (device sync)."""
        *nats, norm = torch.stack([*self.losses.values(), self.norm.float()]).tolist()
        return {name: (nat, self.targets[name]) for name, nat in zip(self.losses, nats, strict=True)}, norm
