"""What a final training shows: the seed, the last value, the step and the time left; what JSON leaves out."""

import io
import json
import math

import pytest
from rich.console import Console

from hpsearch.cli import training_outputs
from hpsearch.contract import Evaluation
from hpsearch.displays import training
from hpsearch.displays.screen import Lines
from hpsearch.displays.training import TrainingTerminal
from hpsearch.events import Resumed, Stepped, Trained


@pytest.fixture
def clock(monkeypatch):
    """The seconds that have passed, set by hand."""
    now = [1000.0]
    monkeypatch.setattr(training.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(Lines, "_start", lambda self: None)

    def at(seconds):
        now[0] = 1000.0 + seconds

    return at


@pytest.fixture
def terminal(clock):
    """A terminal that redraws nothing; `said()` is what it has printed."""
    made = TrainingTerminal()
    made.console = Console(file=io.StringIO(), width=200)
    made.screen = Lines(made.console)

    def said(seconds):
        clock(seconds)
        made.screen.tick(1000.0 + seconds)
        return made.console.file.getvalue().splitlines()

    made.said = said
    return made


def test_a_line_has_the_seed_the_value_the_step_and_the_time_left(terminal, clock):
    terminal.show(Stepped(7, 100, 0.1, number=2, seeds=3))
    assert terminal.said(10) == ["training seed 2 of 3 ..."]
    clock(39)
    terminal.show(Trained(Evaluation(1, 200, 0.2, {"val/loss": 2.5}), "val/loss", 0.2, 7, 2, 3))
    clock(40)
    terminal.show(Stepped(7, 1300, 0.5, number=2, seeds=3))
    assert terminal.said(40)[1:] == ["training seed 2 of 3 (40 s, 50%, val/loss 2.5000  step 1,300  0:50 left)"]


def test_what_came_again_does_not_count_for_the_time_left(terminal, clock):
    terminal.show(Trained(Evaluation(1, 100, 0.1, {"val/loss": 2.5}), "val/loss", 0.1, 7))
    terminal.show(Trained(Evaluation(8, 800, 0.8, {"val/loss": 2.5}), "val/loss", 0.8, 7))
    terminal.show(Resumed(7, 850, 8))
    terminal.show(Stepped(7, 850, 0.85))
    clock(100)
    terminal.show(Stepped(7, 900, 0.9))
    terminal.said(100)
    assert terminal.said(140)[-1].endswith("3:19 left)")  # 100 s for 0.05, so 200 s for 0.1
    assert terminal.said(140)[0] == "resumed: the training of seed 7 goes on from step 850, after evaluation 8"


def test_without_validation_it_shows_the_training_loss(terminal):
    terminal.show(Trained(Evaluation(1, 100, 0.1, {"train/interval_loss": 1.5}), "val/loss", 0.1, 7))
    terminal.said(10)
    assert terminal.said(40)[-1] == "training (40 s, 10%, train/interval_loss 1.5000  step 100)"
    terminal.show(Trained(Evaluation(2, 200, 0.2, {"train/interval_loss": math.nan}), "val/loss", 0.2, 7))
    assert "train/interval_loss nan" in terminal.said(70)[-1]


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (Resumed(3, 0, 0), "started again: the training of seed 3 had saved no state"),
        (Resumed(3, 1200, 0), "resumed: the training of seed 3 goes on from step 1,200"),
        (Resumed(3, 1200, 6, done=True), "resumed: the training of seed 3 had ended, at step 1,200"),
    ],
)
def test_it_says_from_where_a_training_goes_on(event, line):
    assert event.line == line


def test_json_has_a_step_every_half_minute(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(training_outputs.time, "monotonic", lambda: now[0])
    out = io.StringIO()
    monkeypatch.setattr(training_outputs.sys, "stdout", out)
    lines = training_outputs.JsonTraining()
    for second in range(0, 100):
        now[0] = float(second)
        lines.show(Stepped(7, second, second / 100))
    found = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [(one["event"], one["seed"], one["step"]) for one in found] == [("stepped", 7, n) for n in (30, 60, 90)]
