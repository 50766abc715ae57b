"""The lines below the closing table."""

import pytest

from hpsearch.cli.closing import closing
from hpsearch.cli.terminal import RunTerminal
from hpsearch.events import Interrupted, Opened, Searched, Shipped
from hpsearch.home import Home
from hpsearch.outcome import Outcome
from tests.searching import Scripted, ask, evaluation, experiment, go, opened, says
from tests.test_search import workers

QUIET = "search: {pruner: none, overfitting: false}\n"


def lines(study, wanted, *, idle=False):
    return list(closing(study.history, wanted, idle=idle, again="hpsearch run space.yaml"))


def test_hours_that_end_before_an_evaluation_say_what_to_change(tmp_path):
    wanted = experiment("budget: {hours: 1e-9}\n" + QUIET)
    study = opened(wanted, tmp_path / "home")
    study.record("driver_started", pid=1, host="here", workers=1, device="cpu")
    study.start(ask(study), device="cpu", threads=1, worker=0)
    study.journal.close()
    found = lines(study, wanted)
    assert found[0].startswith("no winner yet: no trial was evaluated in ")
    assert found[0].endswith("allow more hours, a smaller model or more evaluations (evaluation.times)")
    [spent] = found[1:]
    command, _, hours = spent.partition(" --hours ")
    assert command == "the budget of 1e-09 h is spent, trials interrupted: 1; with more: hpsearch run space.yaml"
    assert float(hours) == pytest.approx(2 * study.history.seconds / 3600, rel=0.05)  # more than was spent already


def test_a_winner_that_has_not_ended_is_named_as_such(tmp_path):
    wanted = experiment("budget: {hours: 1e-9}\n" + QUIET)
    study = opened(wanted, tmp_path / "home")
    study.record("driver_started", pid=1, host="here", workers=1, device="cpu")
    study.start(ask(study), device="cpu", threads=1, worker=0)
    for index, loss in enumerate([3.0, 2.5, 2.75], start=1):
        study.report(0, evaluation(index, loss))
    study.interrupt(0)
    study.journal.close()
    first, second = lines(study, wanted)
    assert first == (
        "the winner has not ended and counts by its best evaluation so far: "
        "trial 0 (interrupted), val/loss 2.5 at epoch 0.1"
    )
    assert float(second.partition(" --hours ")[2]) > study.history.seconds / 3600


def test_a_study_whose_trials_all_failed_has_no_winner(tmp_path):
    wanted = experiment("budget: {trials: 1}\n" + QUIET)
    study = opened(wanted, tmp_path / "home")
    study.finish(ask(study), Outcome.FAILED, "why")
    study.journal.close()
    assert lines(study, wanted) == ["no winner yet: no trial has completed or measured a finite val/loss"]


@pytest.mark.parametrize("idle", [False, True])
def test_a_spent_budget_of_trials_says_how_to_continue(tmp_path, idle):
    wanted = experiment("budget: {trials: 2}\n" + QUIET)
    script = lambda task: says(task, 3.0, 2.0)  # noqa: E731
    study, seen = go(wanted, tmp_path / "home", launcher=Scripted(workers(tmp_path, 1), script))
    assert not any(isinstance(event, Interrupted) for event in seen)
    expected = ["the budget of 2 trials is spent; with more: hpsearch run space.yaml --trials 4"]
    assert lines(study, wanted, idle=idle) == (expected if idle else [])


def test_without_an_evaluation_there_is_no_table(tmp_path, capsys):
    wanted = experiment("budget: {hours: 1e-9}\n" + QUIET)
    study = opened(wanted, tmp_path / "home")
    study.record("driver_started", pid=1, host="here", workers=1, device="cpu")
    study.start(ask(study), device="cpu", threads=1, worker=0)
    study.interrupt(0)
    study.journal.close()
    board = RunTerminal(Home(tmp_path / "a home"), tmp_path / "my space.yaml")
    board.show(Opened(wanted, study.history, tmp_path, data=[], workers=[], waiting=0))
    board.show(Searched(study.history, stopped=False, idle=False))
    board.show(Shipped(None, {}))
    out = capsys.readouterr().out
    assert any(line.startswith("toy: 1 interrupted; ") for line in out.splitlines())
    assert "params" not in out
    assert f"hpsearch run '{tmp_path}/my space.yaml' --home '{tmp_path}/a home' --hours " in out
