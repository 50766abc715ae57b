"""What is spent of a budget, in words and in time that is left; searches that end when device-hours are spent."""

import math
from dataclasses import replace

import pytest

import hpsearch
from hpsearch.events import Notice, Started
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.launchers.messages import Evaluated
from hpsearch.outcome import Outcome
from hpsearch.policies.budget.spending import TimeLeft, ended_by, extended, figure, left, limits, raised, said, spent
from hpsearch.policies.confirmed import ConfirmedPolicy
from hpsearch.policies.optuna.policy import OptunaPolicy
from hpsearch.search.allowance import Allowance, reserved
from hpsearch.space.budget import Budget
from hpsearch.space.search import Confirm
from tests.policies.test_finalists import study as finished
from tests.search.test_loop import QUIET, workers
from tests.searching import Scripted, experiment, go, opened, says


def history(trials=3, hours=0.5, device_hours=3.1):
    ended = {n: TrialHistory(n, outcome=Outcome.COMPLETED) for n in range(trials)}
    found = History(trials=ended, searched=hours * 3600)
    found.devices.seconds = device_hours * 3600
    return found


@pytest.mark.parametrize(
    ("value", "words"), [(0.0, "0"), (3.96e-7, "0"), (0.052, "0.052"), (3.0, "3"), (999.7, "1000"), (12345.6, "12346")]
)
def test_a_figure_has_no_exponent(value, words):
    assert figure(value) == words


def test_what_is_spent_is_told_of_each_limit():
    budget = Budget(trials=20, device_hours=20, price_per_hour=2.5, money=50)
    assert said(budget, history()) == "3 of 20 trials, 3.1 of 20 device-hours, money 7.75 of 50"
    assert said(Budget(hours=1), history()) == "0.5 of 1 h"
    assert said(Budget(hours=1, price_per_hour=2), history()) == "0.5 of 1 h, money 6.2 at 2 a device-hour"
    assert said(Budget(hours=0.25), history()) == "30 of 15 min"
    assert said(Budget(device_hours=0.5), history()) == "186 of 30 device-minutes"
    assert limits(Budget(hours=0.05)) == ["3 min"]
    assert limits(Budget(hours=1.5)) == ["1.5 h"]
    assert limits(Budget(trials=1, hours=1, device_hours=1)) == ["1 trial", "1 h", "1 device-hour"]
    assert limits(budget) == ["20 trials", "20 device-hours", "money 50 at 2.5 a device-hour"]


@pytest.mark.parametrize(
    ("allowed", "extension", "limits"),
    [
        ({"trials": 10, "hours": 0.5}, {}, ["30 of 30 min"]),
        ({"trials": 10, "hours": 0.55}, {}, ["30 of 33 min"]),  # 0.9 of it: no further trial had fitted
        ({"trials": 10, "hours": 0.6}, {}, []),  # another reason
        ({"trials": 3, "hours": 0.52}, {}, ["3 of 3 trials"]),
        ({"trials": 3, "hours": 5.0}, {"trials": 6}, []),
        (None, {}, []),
    ],
)
def test_the_limit_that_ended_a_study_is_known_from_its_journal(allowed, extension, limits):
    found = history()
    found.allowed, found.extension = allowed, extension
    assert list(map(str, ended_by(found))) == limits


def test_trials_that_are_told_have_ended_and_may_be_more_than_a_later_run_allows():
    found = history(trials=6)
    assert said(Budget(trials=2), found) == "6 trials (2 allowed)"
    for number in (2, 5):
        found.trials[number].outcome = None
    assert said(Budget(trials=6), found) == "4 of 6 trials"
    assert [limit.is_reached for limit in spent(Budget(trials=6), found)] == [True]  # no place for a new one
    found.trials[2].paused = True
    assert said(Budget(trials=25), found) == "5 of 25 trials"


@pytest.mark.parametrize(
    ("budget", "reached"),
    [
        (Budget(trials=3, hours=1), ["trials"]),
        (Budget(trials=4, device_hours=3.1), ["device_hours"]),
        (Budget(money=6.2, price_per_hour=2, hours=0.5), ["hours", "money"]),
        (Budget(money=6.3, price_per_hour=2, hours=0.51), []),
    ],
)
def test_the_first_limit_that_is_reached_is_known(budget, reached):
    assert [limit.name for limit in spent(budget, history())] != []
    assert [limit.name for limit in spent(budget, history()) if limit.is_reached] == reached


def test_devices_spend_the_rest_together():
    found = left(Budget(hours=1, device_hours=2, money=3, price_per_hour=1), seconds=600, device_seconds=3600)
    assert found == TimeLeft(3000, 3600)  # 2 hours cost less than 3
    assert (found.on(1), found.on(4), found.on(0)) == (3000, 900, 3000)
    assert left(Budget(trials=1), seconds=9e9, device_seconds=9e9).on(4) == math.inf
    assert left(Budget(money=1, price_per_hour=2), seconds=0, device_seconds=1800).is_over


def test_the_share_of_the_confirmation_is_kept_in_time_of_devices_too(tmp_path):
    """Ten trials of 10 s, of which two are trained again: 20 s, with the margin of a tenth."""
    study = opened(experiment("budget: {device_hours: 1}\n"), tmp_path / "home")
    study.history.trials, study.history.finished = finished(10).trials, list(range(10))
    study.history.devices.seconds = 100.0
    assert reserved(study, workers=4) == TimeLeft(0.0, pytest.approx(22.0))
    study.history.devices.seconds = 50.0  # two trials share a device
    assert reserved(study, workers=4) == TimeLeft(0.0, pytest.approx(11.0))
    study.journal.close()


def test_the_rest_of_a_search_is_shared_by_the_devices_of_its_workers_as_they_are_known_by_now(tmp_path):
    """On Ray all workers are cuda:0 until they have started: then two of two GPUs each spend the hour in 15 minutes."""
    study, known = opened(experiment("budget: {device_hours: 1}\n"), tmp_path / "home"), ["cuda:0"] * 2
    allowance = Allowance(study, lambda: known)
    assert allowance.seconds() == pytest.approx(3600, abs=5)
    known[:] = ["cuda:0+1@a of worker 0", "cuda:0+1@b of worker 1"]
    assert allowance.seconds() == pytest.approx(900, abs=5)
    study.journal.close()


def test_what_extend_has_raised_counts_unless_the_file_allows_more():
    found = history()
    found.extension = {"trials": 24, "hours": 2.0}
    assert extended(Budget(trials=16), found) == Budget(trials=24)
    assert extended(Budget(trials=30, hours=1), found) == Budget(trials=30, hours=2)
    assert extended(Budget(), found) == Budget()
    assert raised(Budget(trials=16, hours=3), found) == "16 trials to 24 trials"
    assert raised(Budget(trials=30), found) == raised(Budget(trials=5), history()) == ""


def test_device_hours_end_a_search_with_a_winner_and_add_up_over_restarts(tmp_path, monkeypatch):
    """Trials of 2 s (0.01 s a step) by two workers, in 3 seconds of a device: each of them 1.5 s."""
    monkeypatch.setenv("TOY_STEP", "0.01")
    wanted = experiment(f"budget: {{device_hours: {3 / 3600}}}\n" + QUIET)
    for kill_after in (8, None):
        study, seen = go(wanted, tmp_path / "home", kill_after=kill_after)
    assert study.history.device_seconds == pytest.approx(3.0, abs=1.5)
    assert study.history.leader() is not None
    assert not any(trial.running for trial in study.history.trials.values())
    _, seen = go(wanted, tmp_path / "home")
    assert not any(isinstance(event, Started) for event in seen)  # they are the study's, not the driver's


def test_trials_that_the_budget_ends_say_so(tmp_path):
    def script(task):
        return says(task, *[3.0] * 10_000, end=False, times=10_000)

    wanted = experiment(f"budget: {{money: {0.4 / 3600}, price_per_hour: 2}}\n" + QUIET)
    study, _ = go(wanted, tmp_path / "home", launcher=Scripted(workers(tmp_path), script))
    assert {trial.reason for trial in study.history.trials.values()} == {
        "the budget is spent; it has saved no state: it starts over"
    }


def test_no_trial_starts_that_could_have_no_value_in_time(tmp_path):
    """Half of the first trial takes 100 s by its clock: a quarter of a training leaves too little for a second one."""

    def script(task):
        for make in says(task, 3.0, 2.5, times=2):
            yield lambda slot, make=make: slower(make(slot))

    wanted = experiment("budget: {trials: 5, hours: 0.02}\n" + QUIET)
    policy = ConfirmedPolicy(OptunaPolicy(wanted), wanted)
    study, seen = go(wanted, tmp_path / "home", launcher=Scripted(workers(tmp_path, 1), script), policy=policy)
    assert list(study.history.trials) == [0]
    assert study.history.trials[0].outcome == "completed"
    [line] = [event.line for event in seen if isinstance(event, Notice) and "no new trial" in event.line]
    assert line.startswith("no new trial starts: the budget lasts another ")
    assert line.endswith(" s, and at the pace of the trials so far a new one needs 125 s for a value of use")


def slower(message):
    if not isinstance(message, Evaluated):
        return message
    return replace(message, evaluation=replace(message.evaluation, seconds=100.0 * message.evaluation.index))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("budget: {money: 5}\n", r"space.yaml:\d+:\d+: budget: money needs price_per_hour"),
        ("budget: {device_hours: 0}\n", r"space.yaml:\d+:\d+: budget.device_hours: .*greater than 0|above 0"),
        ("budget: {price_per_hour: -1}\n", r"space.yaml:\d+:\d+: budget.price_per_hour"),
        ("budget: {devicehours: 1}\n", r"space.yaml:\d+:\d+: budget.devicehours: unknown key; .*device_hours"),
    ],
)
def test_a_wrong_budget_is_one_line_with_its_place(body, said):
    with pytest.raises(hpsearch.ConfigError, match=said):
        experiment(body)


def test_money_on_the_command_line_needs_a_price_in_the_file():
    wanted = experiment("budget: {trials: 5}\n")
    with pytest.raises(hpsearch.ConfigError, match=r"space.yaml:\d+:\d+: budget: money needs price_per_hour"):
        wanted.override(money=3.0)
    assert experiment("budget: {price_per_hour: 2}\n").override(money=3.0).budget.device_seconds == 5400


def test_a_price_alone_limits_nothing():
    found = experiment("budget: {price_per_hour: 2}\n")
    assert (found.budget.trials, found.budget.price_per_hour) == (20, 2)
    assert Confirm().enabled
