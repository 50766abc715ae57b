"""Learning curves that never were.

They are formulas: they cost microseconds, are the same on every machine, and their best setting is known. A power
law in the tokens seen (arXiv 2001.08361), a parabola in the log of the learning rate, and on request the ways in
which real curves go wrong.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from statistics import NormalDist

from hpsearch.verdict import Point

SPREAD = 0.3  # nats lost per squared factor e of the learning rate off its optimum
TOO_HIGH = 30.0  # times the best learning rate from which training diverges


@dataclass(frozen=True, kw_only=True)
class SyntheticCurve:
    """The learning curve of a training that never was; losses in nats per token, progress from 0 to 1.

    With the defaults: a healthy curve without noise that falls from about 6 to about 2.4. `overfits_from`,
    `cools_from` and `diverges_from` are progresses; a learning rate far too high diverges by itself, half way.
    """

    learning_rate: float = 3e-3
    best_learning_rate: float = 3e-3
    tokens: float = 1e6  # seen by the end of the training
    start: float = 6.0  # loss before training
    floor: float = 2.0  # loss after endless training
    scale: float = 2e4  # tokens after which the descent slows
    exponent: float = 0.6
    overfits_from: float | None = None
    overfits_by: float = 2.0  # nats of validation loss added by a whole training's worth of overfitting
    cools_from: float | None = None
    cools_by: float = 0.1  # nats gained by the cool-down
    diverges_from: float | None = None
    noise: float = 0.0  # standard deviation of a validation loss
    train_noise: float = 0.0  # and of a training loss
    stderr: float = 0.0  # what the evaluations give as their standard error
    seed: int = 0

    def val_loss(self, progress: float) -> float:
        """Validation loss at a progress; nan once the training has diverged beyond numbers."""
        overfit = self.overfits_by * math.pow(_beyond(progress, self.overfits_from), 1.3)
        return self._shared(progress) + overfit + self.noise * self._normal("val", progress)

    def train_loss(self, progress: float) -> float:
        """Training loss at a progress: a little below validation, and far below where the training overfits."""
        memorised = 0.05 * progress + 0.8 * self.overfits_by * _beyond(progress, self.overfits_from)
        return self._shared(progress) - memorised + self.train_noise * self._normal("train", progress)

    def points(self, evaluations: int = 20) -> list[Point]:
        """The whole curve as evaluations at equal fractions of the training."""
        return [
            Point(index, at, self.val_loss(at), self.train_loss(at), self.stderr)
            for index, at in enumerate((k / evaluations for k in range(1, evaluations + 1)), start=1)
        ]

    def _shared(self, progress: float) -> float:
        """What training and validation loss have in common."""
        descent = (self.start - self.floor) * math.pow(1 + progress * self.tokens / self.scale, -self.exponent)
        penalty = SPREAD * math.log(self.learning_rate / self.best_learning_rate) ** 2 * min(1.0, 5 * progress)
        cooled = self.cools_by * _beyond(progress, self.cools_from) / (1 - (self.cools_from or 0.0))
        return self.floor + descent + penalty - cooled + self._explosion(progress)

    def _explosion(self, progress: float) -> float:
        """Nothing, then doubling with each hundredth of the training, then nan."""
        too_high = 0.5 if self.learning_rate >= TOO_HIGH * self.best_learning_rate else None
        beyond = _beyond(progress, too_high if self.diverges_from is None else self.diverges_from)
        return math.nan if beyond > 0.3 else math.exp2(100 * beyond) - 1

    def _normal(self, kind: str, progress: float) -> float:
        """A standard normal draw that depends on seed, kind and progress alone."""
        digest = hashlib.sha256(f"{self.seed} {kind} {progress:.9f}".encode()).digest()
        return NormalDist().inv_cdf((int.from_bytes(digest[:6], "big") + 0.5) / 2**48)


def synthetic_loss(params: dict[str, float], progress: float = 1.0, *, noise: float = 0.0, seed: int = 0) -> float:
    """The validation loss (nats) of sampled parameters, with a known optimum: a function for a sampler to minimise.

    Read are `learning_rate` (best 3e-3), `epochs` (best 4: fewer see too little, more overfit) and `dropout` (best
    0.1); whatever is missing stands at its best, other names are ignored. The lowest value is 2.378 without noise.
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
    """How far a progress is past a threshold; 0 before it, or where there is none."""
    return 0.0 if threshold is None else max(0.0, progress - threshold)
