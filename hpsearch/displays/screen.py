"""What moves below the lines of a search: redrawn in a terminal, a line now and then elsewhere.

A screen shows a step of the work (`status`) or the state of the search (`view`), and nothing after `clear`. Lines are
printed above it.
"""

from __future__ import annotations

import threading
import time
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from hpsearch.displays.bars import glyphs
from hpsearch.displays.console import write
from hpsearch.displays.frame import Frame, clock, rows, summary
from hpsearch.displays.live.state import LiveState
from hpsearch.displays.text import plain

REDRAWS = 4  # a second
SAID_AFTER = 10.0  # seconds after which a step of the work is said where nothing is redrawn
EVERY = 30.0  # seconds between two lines about the search there


class Screen(Protocol):
    """Shows what goes on now."""

    def status(self, what: str, share: float = 0.0, *, value: str = "") -> None:
        """Shows a step of the work, the share of it that is done (0: unknown), and a value."""

    def view(self, state: LiveState) -> None:
        """Shows the state of a search."""

    def say(self, markup: str) -> None:
        """Prints a line of markup above."""

    def clear(self) -> None:
        """Shows nothing."""


def screen(console: Console, *, every: float = EVERY) -> Screen:
    """The screen of a console: redrawn if it is a terminal that can."""
    if console.is_terminal and not console.is_dumb_terminal:
        return Redrawn(console)
    return Lines(console, every=every)


class Redrawn:
    """The lower end of a terminal, redrawn several times a second by a thread of rich."""

    def __init__(self, console: Console) -> None:
        self.console, self._glyphs = console, glyphs(console)
        self._live: Live | None = None
        self._state: LiveState | None = None
        self._step, self._share, self._value, self._since = "", 0.0, "", time.monotonic()
        self._width = console.width

    def status(self, what: str, share: float = 0.0, *, value: str = "") -> None:
        """Shows a step of the work with a spinner, a bar and its seconds."""
        if what != self._step or self._state is not None:
            self._since = time.monotonic()
        self._state, self._step, self._share, self._value = None, what, share, value
        self._show()

    def view(self, state: LiveState) -> None:
        """Shows the state of a search."""
        self._state = state
        self._show()

    def say(self, markup: str) -> None:
        """Prints a line of markup above."""
        self._refit()
        write(self.console, markup)

    def clear(self) -> None:
        """Shows nothing."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def _show(self) -> None:
        if self._live is None:
            self._live = Live(
                console=self.console,
                get_renderable=self._render,
                refresh_per_second=REDRAWS,
                transient=True,
                vertical_overflow="crop",
            )
            self._live.start(refresh=True)

    def _render(self) -> Group:
        """What is shown, as wide and high as the terminal is now."""
        self._refit()
        width, height = self.console.size
        frame = Frame(width, height, self._glyphs, time.time())
        state = self._state
        return Group(*(rows(state, frame) if state is not None else [self._status(frame)]))

    def _status(self, frame: Frame) -> Text:
        seconds = time.monotonic() - self._since
        turn = self._glyphs.spinner[int(time.monotonic() * REDRAWS) % len(self._glyphs.spinner)]
        line = Text.assemble((turn, "cyan"), f" {self._step}")
        if 0 < self._share <= 1:
            line.append(f"  {self._glyphs.bar(self._share, 20)}", style="cyan").append(f" {self._share:.0%}")
        line.append(f"  {self._value}" if self._value else "").append(f"  {clock(seconds)}", style="dim")
        line.truncate(frame.width)
        return line

    def _refit(self) -> None:
        """Tells rich how many rows its lines take after the terminal has become narrower, and wrapped them."""
        width, before = self.console.width, self._width
        self._width = width
        drawn = getattr(self._live, "_live_render", None)
        shape = getattr(drawn, "_shape", None)
        if drawn is not None and shape is not None and width < before:
            drawn._shape = (width, shape[1] * -(-before // width))


class Lines:
    """Lines alone: a step of the work once it takes a while, the state of the search every half a minute.

    A thread looks at the clock; `tick` is what it does.
    """

    def __init__(self, console: Console, *, every: float = EVERY) -> None:
        self.console, self._every = console, every
        self._state: LiveState | None = None
        self._step, self._share, self._value = "", 0.0, ""
        self._since = self._said = 0.0  # said: when a line was about this
        self._turn, self._ended = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None

    def status(self, what: str, share: float = 0.0, *, value: str = "") -> None:
        """Notes a step of the work."""
        with self._turn:
            if what != self._step or self._state is not None:
                self._since, self._said = time.monotonic(), 0.0
            self._state, self._step, self._share, self._value = None, what, share, value
        self._start()

    def view(self, state: LiveState) -> None:
        """Notes the state of a search."""
        with self._turn:
            if self._state is None:
                self._said = time.monotonic()
            self._state, self._step = state, ""
        self._start()

    def say(self, markup: str) -> None:
        """Prints a line of markup."""
        with self._turn:
            self._write(markup)

    def clear(self) -> None:
        """Says nothing more."""
        self._ended.set()
        with self._turn:
            self._state, self._step, self._thread = None, "", None

    def tick(self, now: float) -> None:
        """Prints a line if one is due; now: of the monotonic clock."""
        with self._turn:
            if self._state is not None:
                if now - self._said >= self._every:
                    self._said = now
                    self._write(plain(summary(self._state, time.time())))
            elif self._step:
                self._tell_step(now)

    def _tell_step(self, now: float) -> None:
        due = self._since + SAID_AFTER if not self._said else self._said + self._every
        if now < due:
            return
        told = [f"{now - self._since:.0f} s", *([f"{self._share:.0%}"] if 0 < self._share < 1 else []), self._value]
        more = ", ".join(one for one in told if one)
        self._write(plain(f"{self._step} ({more})" if self._said else f"{self._step} ..."))
        self._said = now

    def _write(self, markup: str) -> None:
        write(self.console, markup)
        self.console.file.flush()

    def _start(self) -> None:
        if self._thread is None:
            self._ended = threading.Event()
            self._thread = threading.Thread(target=self._watch, args=(self._ended,), name="lines", daemon=True)
            self._thread.start()

    def _watch(self, ended: threading.Event) -> None:
        while not ended.wait(0.5):
            self.tick(time.monotonic())
