"""What is said below the closing table."""

import pytest

from hpsearch.cli.closing import closing
from hpsearch.happenings import Paused
from tests.searching import Scripted, evaluation, experiment, go, opened, says
from tests.test_search import workers

QUIET = "search: {pruner: none, overfitting: false}\n"


def lines(study, wanted, *, idle=False):
    return list(closing(study.history, wanted, idle=idle, again="hpsearch run space.yaml"))


def test_hours_that_end_before_an_evaluation_say_what_to_change(tmp_path):
    wanted = experiment("budget: {hours: 1e-9}\n" + QUIET)
    study = opened(wanted, tmp_path / "home")
    study.record("driver_started", pid=1, host="here", workers=1, device="cpu")
    study.start(study.ask(), device="cpu", threads=1, worker=0)
    study.journal.close()
    found = lines(study, wanted)
    assert found[0].startswith("no evaluation was made in ")
    assert found[0].endswith("give more hours, a smaller model or more evaluations (evaluation.times)")
    assert found[1:] == [
        "the budget of 1e-09 h is spent, trials unfinished: 1; with more: hpsearch run space.yaml --hours 2e-09"
    ]


def test_an_unfinished_winner_is_named_as_such(tmp_path):
    wanted = experiment("budget: {hours: 1e-9}\n" + QUIET)
    study = opened(wanted, tmp_path / "home")
    study.record("driver_started", pid=1, host="here", workers=1, device="cpu")
    study.start(study.ask(), device="cpu", threads=1, worker=0)
    for index, loss in enumerate([3.0, 2.5, 2.75], start=1):
        study.report(0, evaluation(index, loss))
    study.journal.close()
    first, second = lines(study, wanted)
    assert first == (
        "the winner is unfinished, its best evaluation so far counts: trial 0 (unfinished), val/loss 2.5 at epoch 0.1"
    )
    assert "--hours 2e-09" in second


def test_a_study_whose_trials_all_failed_has_no_winner(tmp_path):
    wanted = experiment("budget: {trials: 1}\n" + QUIET)
    study = opened(wanted, tmp_path / "home")
    study.finish(study.ask(), "failed", "why")
    study.journal.close()
    assert lines(study, wanted) == ["no trial has completed or measured a finite val/loss: there is no winner yet"]


@pytest.mark.parametrize("idle", [False, True])
def test_a_budget_of_trials_that_was_spent_before_says_how_to_go_on(tmp_path, idle):
    wanted = experiment("budget: {trials: 2}\n" + QUIET)
    script = lambda task: says(task, 3.0, 2.0)  # noqa: E731
    study, seen = go(wanted, tmp_path / "home", launcher=Scripted(workers(tmp_path, 1), script))
    assert not any(isinstance(happening, Paused) for happening in seen)
    expected = ["the budget of 2 trials is spent; with more: hpsearch run space.yaml --trials 4"]
    assert lines(study, wanted, idle=idle) == (expected if idle else [])
