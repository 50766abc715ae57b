"""A final training in a terminal: the data, one bar, and a spinner during the test."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from hpsearch.displays.console import console
from hpsearch.displays.frame import clock
from hpsearch.displays.screen import Screen, screen
from hpsearch.displays.text import plain
from hpsearch.events import Event, Notice, Prepared, Preparing, Resumed, Stepped, Testing, Trained
from hpsearch.output.digits import digits

SETTLED = 5.0  # seconds after which the pace of a training says something
TRAIN_LOSS = "train/interval_loss"  # where nothing is validated


class TrainingTerminal:
    """The terminal of one final training; `show` receives its events."""

    def __init__(self) -> None:
        self.console = console()
        self.screen: Screen = screen(self.console)
        self._value, self._pace = "", Pace()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.screen.clear()

    def show(self, event: Event) -> None:
        """Shows one event."""
        if isinstance(event, Notice):
            self.say(event.line)
        elif isinstance(event, Preparing):
            self.screen.status(event.what, event.share)
        elif isinstance(event, Prepared):
            for line in event.data:
                self.say(line)
            self.screen.status("training")
        elif isinstance(event, Resumed):
            self._pace = Pace()  # what came again took no time
            self.say(event.line)
        elif isinstance(event, Trained):
            self._value = trained(event)
            self._progress(event, event.evaluation.step)
        elif isinstance(event, Stepped):
            self._progress(event, event.step)
        elif isinstance(event, Testing):
            self.screen.status("testing")

    def _progress(self, event: Trained | Stepped, step: int) -> None:
        """Shows how far the training is, the last value, and the time that is left."""
        left = self._pace.left(event.number, event.share)
        told = [self._value, f"step {step:,}" if step else "", left]
        self.screen.status(training(event), event.share, value="  ".join(filter(None, told)))

    def say(self, line: str) -> None:
        """Prints one line above the bar."""
        self.screen.say(plain(line))


class Pace:
    """How long a training still takes, by the time since it was first seen."""

    def __init__(self) -> None:
        self._training, self._from, self._at = 0, 0.0, 0.0

    def left(self, training: int, share: float) -> str:
        """The time left of this training (the number of a seed) at a share of it; empty while that is not known."""
        now = time.monotonic()
        if training != self._training or share < self._from:
            self._training, self._from, self._at = training, share, now
        done, seconds = share - self._from, now - self._at
        if done <= 0.0 or seconds < SETTLED:
            return ""
        return f"{clock(seconds * max(0.0, 1.0 - share) / done)} left"


def training(event: Trained | Stepped) -> str:
    """What is being trained: which seed, if there are several."""
    return "training" if event.seeds == 1 else f"training seed {event.number} of {event.seeds}"


def trained(event: Trained) -> str:
    """The value of the objective, or of the training loss where nothing is validated; empty without both."""
    metrics = event.evaluation.metrics
    metric = next((name for name in (event.metric, TRAIN_LOSS) if name in metrics), None)
    return "" if metric is None else f"{metric} {digits(metrics[metric])}"
