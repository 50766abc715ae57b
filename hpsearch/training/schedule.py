"""The learning rate of each step, and the shorter trainings that a training contains."""

from __future__ import annotations

import math

from hpsearch.training.batches import BatchOrder
from hpsearch.training.config import FitConfig, TrainingConfig


class Schedule:
    """The learning rate of each step of a training.

    Warm-up and cool-down are whole numbers of steps, so that trainings of unlike lengths have the same rates, to the
    last bit, as far as their schedules agree.

    wsd: warm-up, stable, then down in a straight line (arXiv 2405.18392); cosine: arXiv 1608.03983 without restarts.
    """

    def __init__(self, training: TrainingConfig, total_steps: int) -> None:
        self.training, self.total_steps = training, total_steps
        self.warmup = round(training.warmup * total_steps)  # steps
        self.falls_from = self._falls_from()  # the step at which the rate begins to fall

    def rate(self, step: int) -> float:
        """The learning rate of a step, that of its middle."""
        return self.training.learning_rate * self._share(step + 0.5)

    def _falls_from(self) -> int:
        kind, total = self.training.schedule, self.total_steps
        if kind == "constant":
            return total
        return max(self.warmup, total - round(self.training.cooldown * total)) if kind == "wsd" else self.warmup

    def _share(self, middle: float) -> float:
        if middle < self.warmup:
            return middle / self.warmup
        if middle < self.falls_from or self.falls_from == self.total_steps:
            return 1.0
        done = (middle - self.falls_from) / (self.total_steps - self.falls_from)
        left = 0.5 * (1 + math.cos(math.pi * done)) if self.training.schedule == "cosine" else 1.0 - done
        return self.training.min_lr + (1.0 - self.training.min_lr) * left


def shorter(config: FitConfig, order: BatchOrder, *, falls_from: int) -> FitConfig | None:
    """Returns the config of a shorter wsd training, equal to that of `config` up to the step `falls_from`.

    There its cool-down begins, which takes the same share of the training. `order`: of the training of `config`.
    Returns None if there is no such training: another schedule, no cool-down, or the step lies in the warm-up.
    """
    training, warmup = config.training, Schedule(config.training, order.total_steps).warmup
    if training.schedule != "wsd" or not 0.0 < training.cooldown < 1.0 or falls_from < max(1, warmup):
        return None
    total = _total(training, falls_from, most=order.total_steps - 1)
    if total is None:
        return None
    update = {"epochs": order.epochs_of(total), "warmup": _fraction(warmup, total), "stop_at": 1.0}
    return config.model_copy(update={"training": training.model_copy(update=update)})


def _total(training: TrainingConfig, falls_from: int, *, most: int) -> int | None:
    """The steps of a training, at most `most`, whose cool-down begins at a step; None if there is none."""
    middle, reach = round(falls_from / (1.0 - training.cooldown)), math.ceil(1.0 / (1.0 - training.cooldown))
    near = sorted(range(middle - reach, middle + reach + 1), key=lambda total: abs(total - middle))
    fitting = (total for total in near if total - round(training.cooldown * total) == falls_from)
    return next((total for total in fitting if falls_from < total <= most), None)


def _fraction(steps: int, total: int) -> float:
    """The share with the fewest decimals that is this number of steps."""
    return next(share for n in range(18) if round((share := round(steps / total, n)) * total) == steps)
