"""The value that displays draw, made of histories whose figures are worked out by hand."""

import math
from dataclasses import replace

import pytest

from hpsearch.displays.live.plan import Plan
from hpsearch.displays.live.progress import progress
from hpsearch.displays.live.state import LiveState, Memory, telling
from hpsearch.journal.history import FIRST_REPEAT, History
from hpsearch.space.budget import Budget
from hpsearch.space.search import Confirm
from tests.searching import evaluation

AT = 1_000_000.0


def study(*, hours=None, trials=10, **more):
    """A study that has been searched for 100 s, and its plan."""
    history = History(study="toy", began=AT - 100, last=AT - 1)
    return history, Plan(Budget(trials=trials, hours=hours, **more), Confirm(enabled=False), workers=2)


def add(history, number, *, outcome=None, value=None, times=20, seconds=10.0, label="", **params):
    """A trial that has ended, or is in training with `times` of 20 evaluations."""
    add_event(history, "trial_asked", number, at=AT - 90, params=params, config={"seed": 1}, label=label)
    add_event(history, "trial_started", number, at=AT - 30, attempt=1, device="cpu", worker=number % 2)
    for index in range(1, times + 1):
        found = evaluation(index, 3.0 - index / 20 if value is None else value + (20 - index) / 20)
        add_event(history, "evaluation", number, at=AT - 20, evaluation=found.to_dict())
    if outcome is not None:
        best = {"index": 20, "value": value, "epoch": 2.0} if value is not None else None
        end = {"outcome": outcome, "value": value, "best_evaluation": best, "seconds": seconds}
        add_event(history, "trial_finished", number, at=AT - 10, **end)
    return history.everything[number]


def add_event(history, event, number, *, at, **fields):
    history.add({"time": at, "event": event, "trial": number, **fields})


def test_of_ten_trials_three_are_done_and_two_are_at_a_half():
    history, plan = study()
    for number in range(3):
        add(history, number, outcome="completed" if number else "pruned", value=2.0 + number)
    for number in (3, 4):
        add(history, number, times=10)
    found = progress(history, plan, at=AT)
    assert (found.what, found.done, found.total, found.binding) == ("trials", 3, 10, None)
    assert found.share == pytest.approx(0.4)  # 3 and two halves of 10
    assert found.seconds_left == pytest.approx(150.0)  # 4 trials took 100 s
    state = LiveState.of(history, plan, at=AT)
    assert state.trials_per_hour == pytest.approx(108.0)  # 3 in 100 s
    assert state.ended == {"completed": 2, "pruned": 1}
    assert [one.name for one in state.running] == ["trial 3", "trial 4"]
    assert [one.seconds for one in state.running] == [30.0, 30.0]
    assert state.tokens_per_second == pytest.approx(2000.0)  # 10,000 tokens in 10 s each


def test_the_limit_that_is_reached_first_is_the_one_that_binds():
    history, plan = study(hours=130 / 3600)
    add(history, 0, outcome="completed", value=2.0)
    found = progress(history, plan, at=AT)
    assert found.binding.name == "hours"
    assert found.seconds_left == pytest.approx(30.0)  # 130 s without the 100 s that are spent; 9 trials take 900 s
    assert found.share == pytest.approx(100 / 130)
    assert found.later(10.0).seconds_left == pytest.approx(20.0)
    assert found.later(10.0).share == pytest.approx(110 / 130)


def test_before_a_pace_is_known_a_limit_of_time_is_not_told_as_the_time_left():
    history, plan = study(hours=1)
    add(history, 0, times=0)
    found = progress(history, plan, at=AT)
    assert (found.done, found.total, found.share, found.binding, found.seconds_left) == (0, 10, 0.0, None, None)
    plan = replace(plan, budget=Budget(hours=1))
    assert progress(history, plan, at=AT).seconds_left == pytest.approx(3500.0)  # nothing but the hours ends it


@pytest.mark.parametrize("more", [{"device_hours": 60 / 3600}, {"money": 2.0, "price_per_hour": 120.0}])
def test_device_hours_and_money_end_when_the_devices_in_use_have_spent_them(more):
    history, plan = study(trials=None, **more)
    add(history, 0, times=3)
    add(history, 1, times=3)
    found = progress(history, plan, at=AT)
    assert found.binding.name == next(iter(more))
    assert found.share == 1.0  # two devices for 30 s each: one device-minute, two units of money
    assert found.seconds_left == 0.0


def test_without_a_value_or_a_limit_nothing_is_claimed():
    history, plan = study(trials=None)
    state = LiveState.of(history, plan, at=AT)
    assert (state.best, state.running, state.trials_per_hour, state.memory) == (None, (), None, ())
    assert (state.progress.share, state.progress.seconds_left) == (None, None)


def test_the_lead_is_over_the_default_config_and_params_that_differ_from_it_come_first():
    history, plan = study()
    add(history, 0, outcome="completed", value=2.5, label="default", width=64, rate=0.003)
    add(history, 1, outcome="completed", value=2.0, width=64, rate=0.1)
    best = LiveState.of(history, plan, at=AT).best
    assert (best.number, best.value, best.lead, best.is_default) == (1, 2.0, 0.5, False)
    assert list(best.params.items()) == [("rate", 0.1), ("width", 64)]
    history.direction = "maximize"
    best = LiveState.of(history, plan, at=AT).best
    assert (best.number, best.lead, best.is_default) == (0, 0.0, True)


def test_a_default_config_without_an_end_gives_no_lead():
    history, plan = study()
    add(history, 0, label="default", times=5, width=64)
    add(history, 1, outcome="completed", value=2.0, width=32)
    assert LiveState.of(history, plan, at=AT).best.lead is None


def test_names_are_short_unless_two_params_would_have_the_same():
    found = telling({"model.width": 1, "training.rate": 2.0, "head.width": 3}, None)
    assert found == {"model.width": 1, "rate": 2.0, "head.width": 3}


def test_an_evaluation_changes_its_trial_alone_and_the_clock_the_rest():
    history, plan = study()
    add(history, 0, outcome="completed", value=0.5)
    for number in (1, 2):
        add(history, number, times=10)
    before = LiveState.of(history, plan, at=AT)
    after = before.measured(2, evaluation(11, math.nan), at=AT + 2)
    assert after.running[0].progress == 0.5
    assert after.running[1].progress == 0.55
    assert math.isnan(after.running[1].value)
    assert math.isnan(after.running[1].curve[-1])
    assert [one.seconds for one in after.running] == [32.0, 32.0]
    assert after.progress.seconds_left == pytest.approx(before.progress.seconds_left - 2)


def test_a_pause_counts_as_no_time_and_frees_the_rates():
    history, plan = study(hours=0.1)
    add(history, 0, outcome="completed", value=2.0)
    history.add({"time": AT, "event": "search_paused"})
    paused = LiveState.of(history, plan, at=AT + 500)
    assert (paused.phase, paused.progress.binding.spent) == ("paused", 100.0)
    assert paused.later(AT + 900).progress == paused.progress
    history.add({"time": AT + 1000, "event": "search_resumed"})
    assert history.seconds == pytest.approx(100.0)
    resumed = LiveState.of(history, plan, at=AT + 1010)
    assert (resumed.phase, resumed.progress.binding.spent) == ("", 110.0)


def test_a_stop_or_a_kill_ends_a_pause():
    for last in ("driver_stopped", "driver_started"):
        history, _ = study()
        history.add({"time": AT, "event": "search_paused"})
        history.add({"time": AT + 50, "event": last, "reason": "interrupted"})
        assert not history.on_hold
        assert history.seconds == pytest.approx(100.0)


def test_a_confirmation_counts_its_repeats():
    history, plan = study()
    for number in range(2):
        add(history, number, outcome="completed", value=2.0 + number)
    plan = Plan(plan.budget, Confirm(top=2, seeds=2), workers=1, searches=False)
    add_repeat(history, 0, confirms=0, value=2.1)
    add_repeat(history, 1, confirms=1, value=None)
    state = LiveState.of(history, plan, at=AT)
    assert (state.phase, state.progress.what) == ("confirming", "repeats")
    assert state.ended == {"completed": 1}  # a repeat: the trials of the search are not counted among them
    assert state.trials_per_hour is None
    assert (state.progress.done, state.progress.total) == (1, 4)
    assert [one.name for one in state.running] == ["trial 1 seed 1"]
    assert state.progress.seconds_left == pytest.approx(2.5 * 10.0)  # 1 and a half of 4; each takes 10 s
    assert (state.best.value, state.best.seeds) == (2.1, 1)


def add_repeat(history, at, *, confirms, value):
    number = FIRST_REPEAT + at
    add_event(history, "trial_asked", number, at=AT, params={}, config={"seed": 9}, confirms=confirms, repeat=1)
    add_event(history, "trial_started", number, at=AT)
    times = 20 if value is not None else 10
    for index in range(1, times + 1):
        add_event(history, "evaluation", number, at=AT, evaluation=evaluation(index, value or 2.0).to_dict())
    if value is not None:
        add_event(history, "trial_finished", number, at=AT, outcome="completed", value=value, seconds=10.0)


def test_memory_is_added_up_on_each_device():
    history, plan = study()
    gpu = {"peak_memory": 3 << 30, "device_memory": 80 << 30}
    for number, device, sizes in ((0, "cuda:0", gpu), (1, "cuda:0", gpu), (2, "cpu", {"peak_memory": 5 << 20})):
        add_event(history, "trial_asked", number, at=AT, params={}, config={"seed": 1})
        add_event(history, "trial_started", number, at=AT, device=device, worker=number)
        measured = evaluation(1, 2.0).to_dict() | sizes
        add_event(history, "evaluation", number, at=AT, evaluation=measured)
    found = LiveState.of(history, plan, at=AT).memory
    assert found == (Memory(6 << 30, 80 << 30, "cuda:0"), Memory(5 << 20))


def test_the_plan_of_a_driver_is_in_the_journal_and_older_journals_have_that_of_the_space_file():
    history = History()
    history.origin = type(history.origin)(experiment={"budget": {"trials": 7, "hours": None}, "search": {}})
    assert Plan.recorded(history).budget == Budget(trials=7)
    known = {"budget": {"trials": 3}, "confirm": {"top": 2}, "workers": 4, "searches": False, "pid": 1}
    history.add({"time": AT, "event": "driver_started", **known})
    assert Plan.recorded(history) == Plan(Budget(trials=3), Confirm(top=2), 4, 0, False)
    history.driver = {"budget": {"of a later version": 1}}
    assert Plan.recorded(history).budget == Budget()
