"""Training points: what happened in the steps since the last one, summed on the device."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor


class Window:
    """Sums over the steps since the last training point, kept on the device until they are asked for."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.restart(0, time.monotonic())

    def restart(self, tokens: int, now: float) -> None:
        """Begins anew at a number of tokens and a time."""
        self.tokens_before, self.began = tokens, now
        self.loss: Tensor = torch.zeros((), device=self.device, dtype=torch.float32)
        self.norm: Tensor = torch.zeros((), device=self.device)
        self.targets = self.n_steps = 0

    def add(self, loss: Tensor, norm: Tensor, n_targets: int) -> None:
        """Takes in one step."""
        self.loss, self.norm = self.loss + loss, norm
        self.targets, self.n_steps = self.targets + n_targets, self.n_steps + 1

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of it."""
        return {key: getattr(self, key) for key in ("loss", "norm", "targets", "n_steps", "tokens_before")}

    def load(self, state: dict[str, Any]) -> None:
        """Goes on from a checkpoint's state."""
        self.__dict__.update(state, began=time.monotonic())

    def close(self) -> tuple[float, int, float]:
        """Nats, target tokens and the last gradient norm (waits for the device)."""
        nats, norm = torch.stack([self.loss, self.norm.float()]).tolist()
        return nats, self.targets, norm
