"""A confirmation after any policy: what it trains again, and what the search never sees of it."""

import math
from dataclasses import replace

import pytest

from hpsearch import Command, Judgement, New, Nothing, Verdict, journal
from hpsearch.errors import UserError
from hpsearch.events import Notice, Started
from hpsearch.journal.history import FIRST_REPEAT, History
from hpsearch.launchers.messages import Ended, Evaluated, Reply
from hpsearch.outcome import Outcome
from hpsearch.policies.checked import CheckedPolicy
from hpsearch.policies.confirmed import ConfirmedPolicy
from hpsearch.policies.optuna.policy import OptunaPolicy
from hpsearch.search.allowance import spent
from tests.search.test_loop import workers
from tests.searching import Scripted, evaluation, experiment, go, opened, says

TWICE = "seed: 3\nevaluation: {times: 5}\nbudget: {trials: 4}\n"
TWICE += "search: {pruner: successive_halving, confirm: {top: 2, seeds: 2}}\n"


def confirmed(wanted):
    return ConfirmedPolicy(OptunaPolicy(wanted), wanted)


def search(wanted, home, **options):
    return go(wanted, home, policy=confirmed(wanted), **options)[0]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return search(experiment(TWICE), tmp_path_factory.mktemp("confirmed") / "home")


def test_the_best_are_trained_again_after_the_search(study):
    history = study.history
    best = [trial.number for trial in history.ranked()[:2]]
    assert [(one.number, one.confirms, one.repeat) for one in history.repeats.values()] == [
        (FIRST_REPEAT, best[0], 1),
        (FIRST_REPEAT + 1, best[1], 1),
        (FIRST_REPEAT + 2, best[0], 2),
        (FIRST_REPEAT + 3, best[1], 2),
    ]
    seeds = {one.config["seed"] for one in history.repeats.values()}
    assert len(seeds) == 4
    assert 3 not in seeds


def test_they_are_no_trials_of_the_search(study):
    history = study.history
    assert (sorted(history.trials), sorted(history.finished), history.room) == ([0, 1, 2, 3], [0, 1, 2, 3], 0)
    assert all(trial.number < FIRST_REPEAT for trial in history.ranked(unfinished=True))


def test_what_is_trained_again_is_the_config_that_would_be_exported(study):
    history, trainer = study.history, study.experiment.trainer
    for one in history.repeats.values():
        trial = history.trials[one.confirms]
        config = trainer.config.model_validate(trial.config)
        exported = trainer.export_config(config, history.best_evaluation(trial.number)).model_dump(mode="json")
        assert {**one.config, "seed": 3} == exported
        assert one.params == trial.params
    shorter = {one.confirms for one in history.repeats.values() if history.trials[one.confirms].best.branch}
    assert all(
        history.repeats[n].config["training"]["epochs"] < history.trials[history.repeats[n].confirms].params["epochs"]
        for n in history.repeats
        if history.repeats[n].confirms in shorter
    )


def test_they_are_trained_to_their_end_and_judged_by_no_one(study):
    for one in study.history.repeats.values():
        assert (one.outcome, one.reason) == (Outcome.COMPLETED, "")
        assert max(one.evaluations) == round(5 * one.config["training"]["stop_at"])


def test_the_winner_is_the_best_by_fresh_seeds_and_the_journal_says_so_again(study):
    found = study.history.confirmation
    assert study.history.leader().number == found.winner.trial
    assert found.freedom == 2
    again = History.of(journal.read(study.journal.path))
    assert again.confirmation == found
    assert [one.config for one in again.repeats.values()] == [one.config for one in study.history.repeats.values()]


def test_a_killed_driver_leaves_the_next_the_same_confirmation(tmp_path, study):
    wanted = experiment(TWICE)
    for kill_after in range(60, 130, 3):
        home = tmp_path / str(kill_after)
        go(wanted, home, policy=confirmed(wanted), kill_after=kill_after)
        found = search(wanted, home)
        assert repeated(found) == repeated(study)


def repeated(study):
    return [(one.number, one.confirms, one.config, one.value) for one in study.history.repeats.values()]


def test_a_study_that_is_extended_proposes_as_if_it_had_not_been_confirmed(tmp_path):
    """The sampler, the pruner and the numbers know nothing of the repeats between the two runs."""
    more = experiment(TWICE.replace("trials: 4", "trials: 7"))
    search(experiment(TWICE), tmp_path / "home")
    extended = search(more, tmp_path / "home")
    at_once = search(more, tmp_path / "other")
    assert [t.params for t in extended.history.trials.values()] == [t.params for t in at_once.history.trials.values()]
    assert [t.value for t in extended.history.trials.values()] == [t.value for t in at_once.history.trials.values()]
    assert extended.history.leader().number == at_once.history.leader().number


def test_a_better_trial_that_is_not_confirmed_yet_leads(tmp_path):
    found = search(experiment(TWICE), tmp_path / "home")
    better = found.history.best().value - 1
    found = opened(experiment(TWICE.replace("trials: 4", "trials: 5")), tmp_path / "home")
    number = found.accept(New(found.experiment.space.draw(99)))
    found.start(number, device="cpu", threads=1, worker=0)
    found.report(number, evaluation(1, better))
    found.finish(number, Outcome.COMPLETED)
    found.journal.close()
    assert found.history.confirmation is None
    assert found.history.leader().number == number


class Two:
    """Two trials, of which the second is paused for good."""

    def next(self, history):
        at = len(history.trials)
        return New({"learning_rate": 1e-3 * (1 + at), "epochs": 3.0}, until=3 if at else None) if at < 2 else Nothing()

    def judge(self, history, trial):
        assert trial.confirms is None
        return Judgement()


def test_any_policy_is_confirmed_and_never_asked_about_repeats(tmp_path):
    wanted = experiment(TWICE)
    study, seen = go(wanted, tmp_path / "home", policy=ConfirmedPolicy(Two(), wanted))
    assert {one.confirms for one in study.history.repeats.values()} == {0}  # a paused trial is no finalist
    assert [e.trial.name for e in seen if isinstance(e, Started)][-2:] == ["repeat 1 of trial 0", "repeat 2 of trial 0"]


def test_a_repeat_whose_loss_is_not_finite_has_diverged_and_counts(tmp_path):
    wanted = experiment(TWICE)
    study = opened(wanted, tmp_path / "home")
    number = study.accept(New(wanted.space.draw(1)))
    study.start(number, device="cpu", threads=1, worker=0)
    study.report(number, evaluation(1, 2.0))
    study.finish(number, Outcome.COMPLETED)
    policy = confirmed(experiment(TWICE.replace("trials: 4", "trials: 1")))
    study.history.allowed_trials = 1
    repeat = study.accept(policy.next(study.history))
    study.start(repeat, device="cpu", threads=1, worker=0)
    study.report(repeat, evaluation(1, 5.0))
    assert policy.judge(study.history, study.history.trial(repeat)).verdict is Verdict.CONTINUE
    study.report(repeat, evaluation(2, math.nan))
    judgement = policy.judge(study.history, study.history.trial(repeat))
    assert judgement == Judgement(Verdict.DIVERGED, "val/loss at evaluation 2 is not a finite number")
    study.finish(repeat, Outcome.DIVERGED, judgement.reason)
    study.journal.close()
    assert math.isnan(study.history.confirmation.winner.mean)


def test_the_search_ends_in_time_for_the_confirmation(tmp_path):
    """By what its trials say they take, 50 repeats of one of them take about as long as the whole budget."""
    wanted = experiment("evaluation: {times: 5}\nbudget: {hours: 0.005}\nsearch: {confirm: {top: 1, seeds: 50}}\n")
    study, seen = go(wanted, tmp_path / "home", policy=confirmed(wanted))
    assert len(study.history.trials) < 100
    assert [one.outcome for one in study.history.repeats.values()] == [Outcome.COMPLETED] * 50
    said = "the rest of the budget is for training the best trials again with fresh seeds"
    assert [event.line for event in seen if isinstance(event, Notice)] == [said]
    again = opened(wanted, tmp_path / "home")
    assert spent(again, confirmed(wanted))
    again.journal.close()


def test_an_interrupted_trial_is_not_resumed_then(tmp_path):
    wanted = experiment("evaluation: {times: 5}\nbudget: {hours: 0.1}\nsearch: {confirm: {top: 1, seeds: 1}}\n")
    study = opened(wanted, tmp_path / "home")
    study.record("driver_started", pid=1, host="here", workers=1, device="cpu")
    for number in range(2):
        study.start(study.accept(New(wanted.space.draw(number))), device="cpu", threads=1, worker=0)
        study.report(number, replace(evaluation(1, 2.0), seconds=1000.0))  # more than the 360 s of the budget
    study.finish(0, Outcome.COMPLETED)
    study.journal.close()
    found, _ = go(wanted, tmp_path / "home", policy=confirmed(wanted))
    assert [trial.status for trial in found.history.trials.values()] == ["completed", "interrupted"]
    assert [(one.confirms, one.outcome) for one in found.history.repeats.values()] == [(0, "completed")]


class Repeats:
    """One trial, then what a test wants of it."""

    def __init__(self, wanted, **options):
        self.space, self.options = wanted.space, options

    def next(self, history):
        if history.trials and (not history.repeats or self.options["seed"] == 7):
            return New(history.trials[0].params, **self.options)
        return Nothing() if history.trials else New(self.space.draw(1))

    def judge(self, history, trial):
        return Judgement()


def checked(wanted, **options):
    return CheckedPolicy(Repeats(wanted, **options), wanted.space, where="policy Repeats")


def test_a_policy_of_a_user_may_ask_for_a_repeat(tmp_path):
    wanted = experiment(TWICE)
    study, _ = go(wanted, tmp_path / "home", policy=checked(wanted, seed=8, repeats=0))
    assert [(one.confirms, one.config["seed"]) for one in study.history.repeats.values()] == [(0, 8)]
    assert len(study.history.trials) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"seed": 8, "repeats": 4}, "New: repeats=4; allowed: the number of a completed trial, or None"),
        ({"seed": 8, "repeats": "best"}, "New: repeats='best'; allowed: the number of a completed trial, or None"),
        ({"seed": 3, "repeats": 0}, "New: repeats=0 with seed=3; allowed: a seed it has not had"),
        ({"seed": None, "repeats": 0}, "New: repeats=0 with seed=None; allowed: a seed it has not had"),
        ({"seed": 7, "repeats": 0}, "New: repeats=0 with seed=7; allowed: a seed it has not had"),  # the second time
    ],
)
def test_a_wrong_repeat_is_one_line(tmp_path, options, said):
    wanted = experiment(TWICE)
    with pytest.raises(UserError) as error:
        go(wanted, tmp_path / "home", policy=checked(wanted, **options))
    assert str(error.value) == f"policy Repeats: {said}"


def slow(task):
    """Trial 0 ends and says that it took 1,000 s, trial 1 has still long to go; repeats end at once."""
    if task.trial == 1:
        return says(task, *[3.0 - index / 100 for index in range(19)])
    return says_seconds(task, 2.0)


def says_seconds(task, loss):
    yield lambda slot: Evaluated(slot, task.trial, replace(evaluation(1, loss), seconds=1000.0))
    yield lambda slot: Ended(slot, task.trial, Command.CONTINUE)


def test_trials_in_training_save_their_state_in_time_for_the_confirmation(tmp_path):
    wanted = experiment("budget: {hours: 0.1}\nsearch: {pruner: none, confirm: {top: 1, seeds: 2}}\n")
    launcher = Scripted(workers(tmp_path), slow)
    study, _ = go(wanted, tmp_path / "home", launcher=launcher, policy=confirmed(wanted))
    assert Reply(1, Command.PAUSE) in launcher.replies
    statuses = [trial.status for trial in study.history.trials.values()]
    assert (statuses[:2], set(statuses[2:])) == (["completed", "interrupted"], set())
    assert [(one.confirms, one.outcome) for one in study.history.repeats.values()] == [(0, "completed")] * 2
