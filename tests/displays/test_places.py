"""The column that says where a trial's best evaluation was."""

import pytest
from rich.console import Console

from hpsearch.displays.places import at, counted_by
from hpsearch.displays.terminal import best_table
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import BestEvaluation, TrialHistory
from hpsearch.outcome import Outcome


@pytest.mark.parametrize(
    ("places", "counted", "cells"),
    [
        ([(100, 1.25), (2000, 0.0), None], "epoch", ["1.25", "", ""]),
        ([(100, 0.0), (2000, 0.0), None], "step", ["100", "2,000", ""]),
        ([(0, 0.0), None], "", ["", ""]),
        ([], "", []),
    ],
)
def test_epochs_are_told_or_else_steps(places, counted, cells):
    found = [place and BestEvaluation(1, step=place[0], epoch=place[1]) for place in places]
    assert counted_by(found) == counted
    assert [at(place, counted) for place in found] == cells


def test_the_closing_table_of_a_training_that_counts_no_epochs_has_its_steps():
    history = History(study="toy")
    for number in range(2):
        best = BestEvaluation(1, value=2.0 + number, step=1500 + number)
        history.trials[number] = TrialHistory(number, outcome=Outcome.COMPLETED, value=2.0 + number, best=best)
    to = Console(width=100)
    with to.capture() as said:
        to.print(best_table(history, to))
    assert "step" in said.get()
    assert "epoch" not in said.get()
    assert "1,500" in said.get()
