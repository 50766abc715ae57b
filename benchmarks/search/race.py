"""A racing baseline for the simulator: four learning rates on one config, the worse half dropped at each doubling.

As pichak 0.4.1 races them: four rates train to a quarter of a training, the better two to a half of it, the best one to
its end. pichak races the rates again through a decay, for which stored curves have no values; and it has no other
parameters, so that here each race draws them anew (the first: the middle of the space) and has its rates around the
best one so far.
"""

from __future__ import annotations

from typing import Any

import numpy as np

STEP = 0.1  # between two rates, of the range: a factor of 2 in 1e-4 to 1e-1
OFFSETS = np.array([-1.5, -0.5, 0.5, 1.5]) * STEP


class Race:
    """Races one after the other; a free worker waits until its race has a trial for it."""

    full = False  # trials are reported level by level

    def __init__(self, bench: Any, seed: int, workers: int) -> None:
        self._bench, self._rng = bench, np.random.default_rng(seed)
        self._rate = next(i for i, (name, _) in enumerate(bench.space) if name in ("lr", "learning_rate"))
        self._centre, self._best = 0.5, np.inf
        self._rates: list[float] = []  # by trial
        self._queue: list[tuple[int, np.ndarray | None]] = []
        self._heat: dict[int, float] = {}  # trials of the current heat -> value where they stopped
        self._size = 0  # trials of the heat
        self._until = 0

    def next(self) -> tuple[int | None, np.ndarray | None]:
        """The next trial of the race, or of a new one; None: all its trials are in training."""
        if not self._queue and not self._size:
            self._begin()
        return self._queue.pop(0) if self._queue else (None, None)

    def report(self, number: int, level: int, value: float, last: bool) -> str:
        """Pauses a trial at the end of its heat, and starts the next heat once all are there."""
        if value < self._best:
            self._best, self._centre = value, self._rates[number]
        if not last and level < self._until:
            return "go"
        self._heat[number] = value
        if len(self._heat) == self._size:
            self._finish_heat()
        return "go" if last else "pause"

    def _begin(self) -> None:
        """Draws a config, and puts its rates on the queue."""
        point = np.array([0.5 if not self._rates else self._rng.random() for _ in self._bench.space])
        for rate in np.clip(self._centre + OFFSETS, 0.0, 1.0):
            point = point.copy()
            point[self._rate] = rate
            self._queue.append((len(self._rates), self._snapped(point)))
            self._rates.append(float(rate))
        self._heat, self._size, self._until = {}, len(OFFSETS), max(1, self._bench.R // 4)

    def _finish_heat(self) -> None:
        """The better half goes on to twice as far; the last one to the end, and then the race is over."""
        kept = sorted(self._heat, key=lambda number: self._heat[number])[: self._size // 2]
        self._heat, self._size = {}, len(kept)
        self._until = 2 * self._until if len(kept) > 1 else self._bench.R
        self._queue += [(number, None) for number in kept]

    def _snapped(self, point: np.ndarray) -> np.ndarray:
        """The point with choices at one of their values."""
        counts = [k for _, k in self._bench.space]
        return np.array([round(u * (k - 1)) / (k - 1) if k else u for u, k in zip(point, counts, strict=True)])
