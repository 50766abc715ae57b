"""Trainers with baselines, for processes that import them by name."""

import os
import time

from hpsearch import Baseline
from hpsearch.testing.toy import Toy


def wrong():
    raise ValueError("no such\x1b label")


class Two(Toy):
    """One baseline is measured, another fails."""

    def baselines(self, config, settings):
        yield Baseline("wrong", wrong)
        yield Baseline("far too good", lambda: {"val/loss": 0.25, "val/nan": float("nan")}, "learnt from nothing")
        print("what a library prints")
        yield Baseline("far too bad", lambda: {"val/loss": 1e6})


class Dies(Toy):
    """The process dies after one baseline."""

    def baselines(self, config, settings):
        yield Baseline("first", lambda: {"val/loss": 1.0})
        yield Baseline("last", lambda: os._exit(3))


class Raises(Toy):
    """It cannot say which baselines there are."""

    def baselines(self, config, settings):
        return settings.nothing


class Slow(Toy):
    """The baseline takes an hour."""

    def baselines(self, config, settings):
        return [Baseline("slow", lambda: time.sleep(3600))]
