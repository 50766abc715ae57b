"""What is said where nothing can be redrawn, at times that the test sets; and what a redrawn terminal shows."""

import io
import time
from dataclasses import replace

import pytest
from rich.console import Console

from hpsearch.displays import screen as screens
from hpsearch.displays.screen import Lines, Redrawn, screen
from tests.displays.test_frame import AT, busy


@pytest.fixture
def lines(monkeypatch):
    """Lines without a thread: `tick` is called by hand, at seconds after the start."""
    monkeypatch.setattr(Lines, "_start", lambda self: None)
    monkeypatch.setattr(screens.time, "time", lambda: AT)
    clock = [1000.0]
    monkeypatch.setattr(screens.time, "monotonic", lambda: clock[0])
    made = Lines(Console(file=io.StringIO(), width=200))

    def at(seconds):
        clock[0] = 1000.0 + seconds
        made.tick(clock[0])
        return made.console.file.getvalue().splitlines()

    made.at = at
    return made


def test_a_step_is_said_once_it_takes_ten_seconds_and_then_every_half_minute(lines):
    lines.status("encoding reviews", 0.2)
    assert lines.at(9.9) == []
    assert lines.at(10) == ["encoding reviews ..."]
    assert lines.at(39.9) == ["encoding reviews ..."]
    lines.status("encoding reviews", 0.5, value="fast")
    assert lines.at(40)[1:] == ["encoding reviews (40 s, 50%, fast)"]
    lines.status("opening the study")
    assert lines.at(41)[2:] == []
    lines.clear()
    assert lines.at(99)[2:] == []


def test_a_search_is_summed_up_every_half_minute(lines):
    lines.view(busy())
    assert lines.at(29) == []
    [said] = lines.at(30)
    assert said.startswith("quickstart; 7 of 16 trials (46%); best val/loss 4.3412 (trial 5); 3 running")
    lines.view(replace(busy(), study="other"))
    assert lines.at(59)[1:] == []
    assert lines.at(60)[1:][0].startswith("other; ")


def test_lines_have_no_colours_and_no_secrets(lines):
    lines.say("[#ff0000]red[/] and [bold]bold[/]")
    lines.status("reading postgresql://me:hidden@host/db")
    assert lines.at(11)[0] == "red and bold"
    assert "hidden" not in lines.at(11)[1]


def test_a_thread_says_it_by_itself():
    made = Lines(Console(file=io.StringIO()), every=0.0)
    made.view(busy())
    while "quickstart; " not in made.console.file.getvalue():
        time.sleep(0.01)
    made.clear()


@pytest.mark.parametrize(
    ("terminal", "environment", "kind"),
    [(True, {}, Redrawn), (False, {}, Lines), (True, {"TERM": "dumb"}, Lines)],
)
def test_only_a_terminal_that_can_is_redrawn(terminal, environment, kind):
    console = Console(file=io.StringIO(), force_terminal=terminal, _environ=environment)
    assert isinstance(screen(console), kind)
