"""A line at the lower end of a terminal that says what a silent command does; any output takes its place.

The streams of output.py call `written` with all that is printed. Nothing is drawn where standard output or standard
error is no terminal, or one that cannot erase a line.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

SILENCE = 1.0  # seconds after which the line is drawn
TURN = 0.25  # seconds between two pictures of the spinner
SPINNER = "|/-\\"
ERASE = b"\r\x1b[K"
STARTING = "starting"


@dataclass
class _Line:
    """What is drawn, by a thread that ends when there is nothing to say."""

    what: str = ""
    since: float = 0.0
    silent: float = 0.0  # since when nothing was printed
    drawn: bool = False
    at_start: bool = True  # the last thing printed has ended its line
    for_good: bool = True  # it stays until the block ends, whatever is printed
    ended: threading.Event = field(default_factory=threading.Event)
    turn: threading.Lock = field(default_factory=threading.Lock)

    def watch(self) -> None:
        """Draws the line again and again until it has ended."""
        while not self.ended.wait(TURN):
            with self.turn:
                now = time.monotonic()
                if not self.ended.is_set() and self.at_start and now - self.silent >= SILENCE:
                    self.draw(now)

    def draw(self, now: float) -> None:
        """Draws the line with its seconds."""
        turn = SPINNER[int(now / TURN) % len(SPINNER)]
        width = max(10, _columns() - 1)
        text = f"{turn} {self.what}  {now - self.since:.0f} s"[:width]
        _put(ERASE + text.encode("ascii", "replace"))
        self.drawn = True

    def erase(self) -> None:
        """Erases the line."""
        if self.drawn:
            _put(ERASE)
        self.drawn = False


_line: _Line | None = None


def start(what: str = STARTING) -> None:
    """Says what a command does from now on until it prints something."""
    _begin(what, for_good=False)


def stop() -> None:
    """Says nothing more."""
    global _line
    line, _line = _line, None
    if line is not None:
        with line.turn:
            line.ended.set()
            line.erase()


@contextlib.contextmanager
def waiting(what: str) -> Iterator[None]:
    """Says what is done in the block whenever nothing has been printed for SILENCE seconds. It must ask nobody."""
    _begin(what, for_good=True)
    try:
        yield
    finally:
        stop()


@contextlib.contextmanager
def written(data: bytes | memoryview) -> Iterator[None]:
    """Erases the line around the printing of some bytes."""
    line = _line
    if line is None:
        yield
        return
    with line.turn:
        line.erase()
        yield
        line.silent, line.at_start = time.monotonic(), bytes(data[-1:]) in (b"\n", b"")
        if not line.for_good:
            line.ended.set()


def _begin(what: str, *, for_good: bool) -> None:
    global _line
    stop()
    if not _can_draw():
        return
    now = time.monotonic()
    _line = _Line(what, since=now, silent=now, for_good=for_good)
    threading.Thread(target=_line.watch, name="waiting", daemon=True).start()


def _can_draw() -> bool:
    with contextlib.suppress(OSError):
        return os.isatty(1) and os.isatty(2) and os.environ.get("TERM") not in (None, "", "dumb")
    return False


def _columns() -> int:
    with contextlib.suppress(OSError):
        return os.get_terminal_size(2).columns
    return 80


def _put(data: bytes) -> None:
    with contextlib.suppress(OSError):
        os.write(2, data)


def _forget() -> None:
    """Leaves the line to the parent: a forked process has no thread that draws, and its lock may be taken."""
    global _line
    _line = None


def _make_room() -> None:
    """Erases the line before a fork, whose child may print."""
    line = _line
    if line is not None:
        with line.turn:
            line.erase()
            line.silent = time.monotonic()


os.register_at_fork(before=_make_room, after_in_child=_forget)
