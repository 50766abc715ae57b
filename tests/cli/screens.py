"""Commands in a terminal of a given size, whose screen is read as text (pexpect drives it, pyte draws it)."""

import contextlib
import os
import time

import pexpect
import pyte

from tests.cli.processes import PROGRAM


class Screen:
    """A terminal in which a command runs."""

    def __init__(self, *arguments, cwd, columns=80, lines=24, **extra):
        environment = {
            **{name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")},
            "OMP_NUM_THREADS": "1",
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
            **extra,
        }
        self.screen = pyte.HistoryScreen(columns, lines, history=2000, ratio=0.5)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.process = pexpect.spawn(
            PROGRAM[0],
            [*PROGRAM[1:], *map(str, arguments)],
            cwd=str(cwd),
            env=environment,
            dimensions=(lines, columns),
            timeout=600,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.close(force=True)

    def feed(self):
        """Reads what the command has written; returns False once it has ended."""
        try:
            found = self.process.read_nonblocking(1 << 16, timeout=0.05)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.raw += found
        self._stream.feed(found)
        return True

    def until(self, condition, limit=300.0):
        """Reads until the condition of the screen's text holds; returns that text."""
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            goes_on = self.feed()
            if condition(self.text):
                return self.text
            if not goes_on:
                break
        raise AssertionError(f"not seen in:\n{self.everything}")

    def end(self):
        """Reads to the command's end; returns its exit code."""
        while self.feed():
            pass
        self.process.wait()
        return self.process.exitstatus

    def resize(self, columns, lines):
        """Changes the size of the terminal."""
        self.screen.resize(lines, columns)
        with contextlib.suppress(OSError):
            self.process.setwinsize(lines, columns)

    @property
    def lines(self):
        """The screen, without empty lines at its end."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip().split("\n")

    @property
    def text(self):
        return "\n".join(self.lines)

    @property
    def everything(self):
        """What has scrolled out of the screen, and the screen."""
        above = [
            "".join(line[at].data for at in range(self.screen.columns)).rstrip() for line in self.screen.history.top
        ]
        return "\n".join([*above, *self.lines])
