"""Ctrl-C, SIGTERM and SIGHUP during a search or a training."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Any, Self

from hpsearch.events import Event, Show


class Signals:
    """Notes the first signal as a request to stop; the second one ends the process at once."""

    WATCHED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.caught: int | None = None
        self._before: dict[int, Any] = {}

    def stopping(self) -> bool:
        """Whether a signal has come."""
        return self.caught is not None

    def __enter__(self) -> Self:
        for number in self.WATCHED:
            if number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue  # nohup: the process outlives its terminal
            self._before[number] = signal.signal(number, self._catch)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _catch(self, number: int, frame: Any) -> None:
        """Only notes the signal: it may interrupt the printing of a line."""
        if self.caught is not None:
            os._exit(128 + number)  # workers die with their driver; acknowledged results are on disk
        self.caught = number


@contextlib.contextmanager
def noted(show: Show, *, since: type[Event], until: type[Event]) -> Iterator[tuple[Show, Signals]]:
    """Yields the function that receives events, and the signals noted between the events `since` and `until`.

    Before and after, a signal ends the command at once.
    """
    signals = Signals()
    with contextlib.ExitStack() as watching:

        def shown(event: Event) -> None:
            if isinstance(event, until):
                watching.close()
            show(event)
            if isinstance(event, since):
                watching.enter_context(signals)

        yield shown, signals


@contextlib.contextmanager
def leaving() -> Iterator[None]:
    """A signal ends the block at once, with what it has to clean up: SystemExit, or KeyboardInterrupt for Ctrl-C."""

    def leave(number: int, frame: Any) -> None:
        raise SystemExit(128 + number)

    watched = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, leave) for number in watched}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
