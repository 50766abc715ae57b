"""A search in a terminal and in a notebook: a bar for each trial, also of those that one worker trains together."""

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from hpsearch.contract import WorkerSettings
from hpsearch.displays.bars import UNICODE
from hpsearch.displays.frame import Frame, rows
from hpsearch.displays.lines import head
from hpsearch.displays.live.following import State
from hpsearch.displays.notebook import Notebook
from hpsearch.displays.screen import Lines
from hpsearch.displays.terminal import SearchTerminal
from hpsearch.events import Finished, Interrupted, Left, Measured, Opened, Paused, Started, Watched
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.outcome import Outcome
from tests.searching import TOY, evaluation, experiment

WORKERS = [WorkerSettings(device="cpu", threads=1, cache=Path(), base=Path())] * 2


def opened(body="", **trials):
    history = History()
    history.study, history.metric, history.direction = "toy", "val/loss", "minimize"
    history.trials |= {trial.number: trial for trial in trials.values()}
    return Opened(
        experiment(f"budget: {{trials: 9}}\n{body}"), history, Path("home/toy"), ["text: 3 examples"], WORKERS, 0
    )


def trial(number, **more):
    return TrialHistory(number, params={"epochs": number}, **more)


class Terminal(SearchTerminal):
    """A terminal whose text can be read: what is drawn now, then the lines above it."""

    def __init__(self):
        super().__init__()
        self.console = Console(file=io.StringIO(), width=150)
        self.screen = Lines(self.console)

    def __repr__(self):
        drawn = [] if self.state is None else rows(self.state, Frame(150, 50, UNICODE, self.state.at))
        return "\n".join([*(line.plain for line in drawn), self.console.file.getvalue()])


class Drawing(Notebook):
    """A notebook's output without a notebook."""

    def _draw(self):
        pass


BARS = [
    "trial 0 ━━━━━───────────────  25% 2.5000 ▁                    0:00 epochs=0",
    "trial 1 ────────────────────   0%                             0:00 attempt 2 epochs=1",
    "trial 2 ━━━━━━━─────────────  35% 2.5000 ▁                    0:00 attempt 3 epochs=2",
]


@pytest.fixture(params=[Terminal, Drawing])
def display(request):
    made = request.param()
    yield made
    if isinstance(made, SearchTerminal):
        made.screen.clear()


def test_trials_of_one_worker_have_a_bar_each(display):
    event, trials = opened(), [trial(number) for number in range(3)]
    display.show(event)
    for one in trials:
        event.history.trials[one.number] = replace(one, running=True, attempt=1 + one.number)
        display.show(Started(event.history.trials[one.number], slot=0, attempt=1 + one.number))
    for number in (2, 0):
        measured, one = evaluation(5 + number, 2.5), event.history.trials[number]
        one.evaluations[measured.index] = measured
        display.show(Measured(one, 0, measured))
    shown = repr(display)
    for bar in BARS:
        assert bar in shown
    for number, made in ((0, Paused), (1, Interrupted)):
        event.history.trials[number].running = False
        display.show(made(event.history.trials[number], 0, "enough for now"))
    shown = repr(display)
    assert "trial 0 paused: enough for now" in shown
    assert "trial 1 interrupted: enough for now" in shown
    assert BARS[2] in shown
    assert "25%" not in shown
    event.history.trials[2] = replace(event.history.trials[2], running=False, outcome=Outcome.COMPLETED, value=2.5)
    display.show(Finished(event.history.trials[2], 0))
    shown = repr(display)
    assert "trial 2 finished: completed val/loss 2.5000" in shown
    assert "35%" not in shown


def test_both_say_the_same_at_the_start(display):
    event = opened("seed: 1\n", first=trial(0, paused=True))
    display.show(event)
    assert head(event) == [
        "study toy in home/toy: 9 trials, minimize val/loss",
        "  text: 3 examples",
        "  searching learning_rate, epochs",
        "  workers: cpu (1 thread), cpu (1 thread)",
        "  resuming: 0 finished, 0 interrupted, 1 paused",
        "  spent so far: 1 of 9 trials",
    ]
    for line in head(event):
        assert line in repr(display)


def test_the_head_says_how_many_trials_a_worker_trains():
    event = opened(f"trainer: '{TOY}'\nresources: {{trials_per_worker: 8}}\n")
    assert "  workers: cpu (1 thread), cpu (1 thread); up to 8 trials each" in head(event)


@pytest.mark.parametrize("state", State)
def test_a_notebook_shows_a_search_that_runs_already_and_how_it_was_left(state):
    found, running = Drawing(), replace(trial(3), running=True)
    history = opened().history
    history.trials[3] = running
    found.show(Watched(history, Path("home/toy"), str(state)))
    assert f"toy: val/loss, minimize ({state})" in repr(found)
    running.evaluations[5] = evaluation(5, 2.5)
    found.show(Measured(running, 0, evaluation(5, 2.5)))
    assert re.search("trial 3 .* 25% 2.5000", repr(found))
    found.show(Left(history, Path("home/toy"), str(state)))
    assert repr(found).splitlines()[-1] == f"study toy: {state}"


def test_a_confirmation_names_no_ranges_that_it_searches():
    event = opened("seed: 1\n")
    assert [line for line in head(event) if line == "  searching learning_rate, epochs"]
    confirming = replace(event, experiment=replace(event.experiment, searches=False))
    assert not [line for line in head(confirming) if "searching" in line]
