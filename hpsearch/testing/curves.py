"""Synthetic learning curves.

They are formulas: they take microseconds, are the same on every machine, and their optimum is known. A power law in the
number of tokens (arXiv 2001.08361), a parabola in the log of the learning rate, and optionally overfitting, divergence
and noise.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from statistics import NormalDist

from hpsearch.verdict import Point

SPREAD = 0.3  # nats for a learning rate off its optimum by a factor of e; grows with the square of the log
TOO_HIGH = 30.0  # times the best learning rate: from there training diverges


@dataclass(frozen=True, kw_only=True)
class SyntheticCurve:
    """A synthetic learning curve; losses in nats per token, progress from 0 to 1.

    The default curve has no noise and falls from about 6 to about 2.4. `overfits_from`, `cools_from` and
    `diverges_from` are progresses; a learning rate that is far too high diverges at 0.5.
    """

    learning_rate: float = 3e-3
    best_learning_rate: float = 3e-3
    tokens: float = 1e6  # of the whole training
    start: float = 6.0  # loss before training
    floor: float = 2.0  # loss in the limit of infinite training
    scale: float = 2e4  # tokens; the descent slows from there
    exponent: float = 0.6
    overfits_from: float | None = None
    overfits_by: float = 2.0  # nats of validation loss if the whole training overfits
    cools_from: float | None = None
    cools_by: float = 0.1  # nats that the cool-down lowers the loss
    diverges_from: float | None = None
    noise: float = 0.0  # standard deviation of a validation loss
    train_noise: float = 0.0  # standard deviation of a training loss
    stderr: float = 0.0  # standard error in the points
    seed: int = 0

    def val_loss(self, progress: float) -> float:
        """Returns the validation loss at a progress; nan after a divergence."""
        overfit = self.overfits_by * math.pow(_beyond(progress, self.overfits_from), 1.3)
        return self._shared(progress) + overfit + self.noise * self._normal("val", progress)

    def train_loss(self, progress: float) -> float:
        """Returns the training loss at a progress: slightly below validation loss, far below in overfitting."""
        memorised = 0.05 * progress + 0.8 * self.overfits_by * _beyond(progress, self.overfits_from)
        return self._shared(progress) - memorised + self.train_noise * self._normal("train", progress)

    def points(self, evaluations: int = 20) -> list[Point]:
        """Returns the curve as evaluations at equal fractions of the training."""
        return [
            Point(index, at, self.val_loss(at), self.train_loss(at), self.stderr)
            for index, at in enumerate((k / evaluations for k in range(1, evaluations + 1)), start=1)
        ]

    def _shared(self, progress: float) -> float:
        """Returns the common part of training and validation loss."""
        descent = (self.start - self.floor) * math.pow(1 + progress * self.tokens / self.scale, -self.exponent)
        penalty = SPREAD * math.log(self.learning_rate / self.best_learning_rate) ** 2 * min(1.0, 5 * progress)
        cooled = self.cools_by * _beyond(progress, self.cools_from) / (1 - (self.cools_from or 0.0))
        return self.floor + descent + penalty - cooled + self._explosion(progress)

    def _explosion(self, progress: float) -> float:
        """Returns 0, from the divergence on a value that doubles with each hundredth of the training, then nan."""
        too_high = 0.5 if self.learning_rate >= TOO_HIGH * self.best_learning_rate else None
        beyond = _beyond(progress, too_high if self.diverges_from is None else self.diverges_from)
        return math.nan if beyond > 0.3 else math.exp2(100 * beyond) - 1

    def _normal(self, kind: str, progress: float) -> float:
        """Returns a standard normal draw that depends only on seed, kind and progress."""
        digest = hashlib.sha256(f"{self.seed} {kind} {progress:.9f}".encode()).digest()
        return NormalDist().inv_cdf((int.from_bytes(digest[:6], "big") + 0.5) / 2**48)


def synthetic_loss(params: dict[str, float], progress: float = 1.0, *, noise: float = 0.0, seed: int = 0) -> float:
    """Returns the validation loss (nats) of sampled parameters: a function with a known optimum, to test samplers.

    Reads `learning_rate` (best 3e-3), `epochs` (best 4; more overfit) and `dropout` (best 0.1); missing ones are at
    their best, other names are ignored. The minimum is 2.378 without noise.
    """
    epochs = params.get("epochs", 4.0)
    curve = SyntheticCurve(
        learning_rate=params.get("learning_rate", 3e-3),
        tokens=2.5e5 * epochs,
        overfits_from=min(1.0, 4.0 / epochs),
        noise=noise,
        seed=seed,
    )
    return curve.val_loss(progress) + 4.0 * (params.get("dropout", 0.1) - 0.1) ** 2


def _beyond(progress: float, threshold: float | None) -> float:
    """Returns how far a progress is past a threshold; 0 before it or without one."""
    return 0.0 if threshold is None else max(0.0, progress - threshold)
