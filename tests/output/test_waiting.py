"""The line about a silent command, on a real terminal whose screen is read as text."""

import os
import pty
import subprocess
import sys
import time

import pexpect
import pyte
import pytest

HEAD = """
import sys, time
from hpsearch.output import waiting
from hpsearch.output.streams import unfailing
from hpsearch.output.waiting import waiting as during
waiting.SILENCE, waiting.TURN = 0.2, 0.05
"""
LONGER = 0.6  # seconds: longer than the silence after which the line is drawn


class Terminal:
    """A program in a terminal of 60 columns; `text()` is what a person sees."""

    def __init__(self, code, **environment):
        self.screen = pyte.Screen(60, 5)
        self._stream, self.raw = pyte.ByteStream(self.screen), b""
        given = {**os.environ, "TERM": "xterm", **environment}
        self.process = pexpect.spawn(sys.executable, ["-c", HEAD + code], env=given, dimensions=(5, 60), timeout=300)

    def read(self):
        """Reads what is there; returns False once the program has ended."""
        try:
            found = self.process.read_nonblocking(4096, timeout=0.05)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.raw += found
        self._stream.feed(found)
        return True

    def until(self, condition):
        """Reads until there are lines on the screen and they fulfil a condition; returns them."""
        deadline = time.monotonic() + 300
        while not ((lines := self.lines()) and condition(lines)):  # a read may end between erasing and drawing
            assert self.read(), self.raw
            assert time.monotonic() < deadline, self.raw
        return lines

    def lines(self):
        return [line.rstrip() for line in self.screen.display if line.strip()]

    def end(self):
        """Reads to the end; returns the lines that stay."""
        while self.read():
            pass
        self.process.close()
        return self.lines()


def test_a_silent_start_is_said_until_something_is_printed():
    seen = Terminal("with unfailing():\n waiting.start()\n input()\n print('here it is')\n input()\n waiting.stop()")
    [line] = seen.until(lambda lines: any("starting" in line for line in lines))
    assert line.startswith(("|", "/", "-", "\\"))
    assert line.endswith(" s")
    seen.process.setecho(False)
    seen.process.send("\n")
    seen.until(lambda lines: "here it is" in lines)
    drawn = seen.raw.count(b"starting")
    time.sleep(LONGER)
    seen.process.send("\n")
    assert seen.end() == ["here it is"]
    assert seen.raw.count(b"starting") == drawn


def test_in_a_block_it_comes_back_and_half_a_line_is_left_alone():
    code = "with unfailing():\n with during('drawing'):\n  input()\n  print('one')\n  input()\n"
    code += f"  print('half', end='', flush=True)\n  time.sleep({LONGER})\n  print(' and whole')\n"
    seen = Terminal(code)
    seen.process.setecho(False)
    seen.until(lambda lines: any("drawing" in line for line in lines))
    seen.process.send("\n")
    seen.until(lambda lines: lines[0] == "one" and "drawing" in lines[-1])
    seen.process.send("\n")
    assert seen.end()[-2:] == ["one", "half and whole"]


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"TERM": ""}])
def test_a_terminal_that_cannot_erase_gets_no_line(environment):
    seen = Terminal(f"with unfailing(), during('drawing'):\n time.sleep({LONGER})\n print('done')", **environment)
    assert seen.end() == ["done"]
    assert b"drawing" not in seen.raw


def test_without_a_terminal_nothing_is_drawn():
    code = HEAD + f"with unfailing(), during('drawing'):\n time.sleep({LONGER})\n print('done')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"done\n", b"")


def test_a_pipe_beside_a_terminal_keeps_its_line():
    """`hpsearch show | less`: what shows the output owns the terminal."""
    ours, theirs = pty.openpty()
    code = HEAD + f"with unfailing(), during('drawing'):\n time.sleep({LONGER})\n print('done')"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=theirs, check=True)
    os.close(theirs)
    os.set_blocking(ours, False)
    with pytest.raises(OSError, match=r"."):  # nothing to read: BlockingIOError, or EIO as nobody writes any more
        os.read(ours, 1)
    os.close(ours)
    assert done.stdout == b"done\n"


def test_a_forked_process_prints_without_it():
    code = f"import os\nwith unfailing(), during('drawing'):\n time.sleep({LONGER})\n"
    code += " child = os.fork()\n if not child:\n  print('child')\n  sys.stdout.flush()\n  os._exit(0)\n"
    code += " os.waitpid(child, 0)\n print('parent')"
    assert Terminal(code).end() == ["child", "parent"]
