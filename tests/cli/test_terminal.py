"""Warnings and scores that `hpsearch run`, `hpsearch export` and `hpsearch train` print."""

from pathlib import Path

from hpsearch.cli import _wrapped
from hpsearch.cli.terminal import RunTerminal
from hpsearch.cli.train import lines
from hpsearch.events import Finished, Notice, Opened, Searched, Shipped
from hpsearch.home.home import Home
from hpsearch.outcome import Outcome
from tests.searching import ask, evaluation, experiment, opened


def searched(folder, *trials, metric="val/loss"):
    """A study whose trials measured this, evaluation by evaluation."""
    data = "objective: {metric: val/loss}\nbudget: {trials: 9}\nsearch: {pruner: none, overfitting: false}\n"
    study = opened(experiment(data), folder)
    for curve in trials:
        number = ask(study)
        study.start(number, device="cpu", threads=1, worker=0)
        for i, metrics in enumerate(curve, start=1):
            study.report(number, evaluation(i, **metrics))
        study.finish(number, Outcome.COMPLETED)
    return study


def board(study, tmp_path):
    made = RunTerminal(Home(tmp_path), tmp_path / "space.yaml")
    made.show(Opened(study.experiment, study.history, tmp_path, data=[], workers=[], waiting=0))
    return made


def test_a_resumed_study_counts_its_trials_by_state(tmp_path, capsys):
    study = searched(tmp_path / "toy", [{"loss": 2.0}])
    for _ in range(2):
        number = ask(study)
        study.start(number, device="cpu", threads=1, worker=0)
        study.report(number, evaluation(1, loss=2.0))
        study.pause(number, "the policy waits for more trials", saved=True)
    board(study, tmp_path).screen.clear()
    study.journal.close()
    assert "  resuming: 1 finished, 0 interrupted, 2 paused\n" in capsys.readouterr().out


def test_a_notice_between_the_trials_and_the_end_says_what_is_waited_for(tmp_path):
    study = searched(tmp_path / "toy", [{"loss": 2.0}])
    shown = board(study, tmp_path)
    study.journal.close()
    shown.show(Notice("measuring the baselines"))
    assert shown.state.note == "measuring the baselines"
    shown.screen.clear()


def conclude(shown, study):
    shown.show(Searched(study.history, stopped=False, idle=False))
    shown.show(Shipped(Path("best.yaml"), {}))


def test_an_objective_that_never_changes_is_told_once_and_while_it_is_searched(tmp_path, capsys):
    study = searched(tmp_path / "toy", *[[{"loss": 2.0}] * 3] * 3)
    shown = board(study, tmp_path)
    for trial in study.history.trials.values():
        shown.show(Finished(trial, 0))
    conclude(shown, study)
    study.journal.close()
    out = capsys.readouterr().out
    assert out.count("warning: val/loss is 2 at every evaluation of 3 trials") == 1
    assert out.index("warning: val/loss") < out.index("trial 1 finished")


def test_a_winner_at_chance_is_told_at_the_end_and_when_it_is_exported(tmp_path, capsys, call):
    lost, known = ({"val/a/mcc": mcc, "val/a/f1_macro": 0.5 + mcc / 2} for mcc in (0.0, 0.9))
    study = searched(tmp_path / "toy", [{"loss": 2.0, **lost}], [{"loss": 2.1, **known}])
    conclude(board(study, tmp_path), study)
    study.journal.close()
    line = "warning: trial 0 is best by val/loss, but no better than chance on data set 'a' (f1_macro 0.5, mcc 0)"
    assert line in capsys.readouterr().out
    code, out, _ = call("export", "toy", "-o", tmp_path / "best.yaml", "--home", tmp_path)
    assert code == 0
    assert line in out


def test_every_score_of_translations_goes_with_the_signature_of_its_set():
    one = {"test/bleu": 20.0, "test/pairs/bleu": 20.0, "test/exact_match": 0.5, "val/bleu": 1.0}
    said = list(lines(one, {"bleu": "tok:zh"}))
    assert said == ["test/bleu 20.0000  (tok:zh)", "test/exact_match 0.5000", "test/pairs/bleu 20.0000  (tok:zh)"]
    two = {"test/bleu": 25.0, "test/fr/bleu": 30.0, "test/zh/bleu": 20.0}
    said = list(lines(two, {"fr/bleu": "tok:13a", "zh/bleu": "tok:zh"}))
    assert said == ["test/bleu 25.0000", "test/fr/bleu 30.0000  (tok:13a)", "test/zh/bleu 20.0000  (tok:zh)"]


def test_an_error_wraps_between_words_and_keeps_a_place_whole():
    place = f"{'a' * 60}/space.yaml:8:9:"
    found = _wrapped(f"error: {place} budget: money needs price_per_hour, the price of a device for an hour", 80)
    assert place in found
    assert [line.startswith("    ") for line in found.splitlines()] == [False, True, True]
    assert max(map(len, found.splitlines())) <= 4 + len(place)
