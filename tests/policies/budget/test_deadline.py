"""Cool-downs that begin just in time to end before the budget's hours are over."""

import time

import pytest

from hpsearch.contract import Command, Evaluation
from hpsearch.events import Interrupted, Notice
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.launchers.messages import Noted
from hpsearch.policies.budget.deadline import MARGIN, must_cool_down, soonest_value
from hpsearch.verdict import Phases
from tests.search.test_loop import workers
from tests.searching import Scripted, experiment, go, says

WSD = Phases(warmup_until=0.05, cooldown_from=0.8, ends_at=1.0)


def trial(progress, seconds=None, at=1000.0):
    """A trial whose whole schedule takes 1000 seconds."""
    taken = 1000 * progress if seconds is None else seconds
    return TrialHistory(0, evaluations={1: Evaluation(1, 10, progress, {"val/loss": 3.0}, seconds=taken, time=at)})


def asked(progress, left, *, phases=WSD, now=1000.0, **given):
    return must_cool_down(trial(progress, **given), phases, seconds_left=left, now=now)


def test_it_begins_when_what_is_left_is_as_long_as_the_cooldown():
    """At 40% of the schedule the shorter training ends at 50%: a cool-down of 100 seconds."""
    assert not asked(0.4, 100 * MARGIN + 1)
    assert asked(0.4, 100 * MARGIN - 1)
    assert asked(0.4, 5)  # too late, but what it saves is resumed


def test_a_trial_that_ends_in_time_is_left_alone():
    assert not asked(0.79, 215)
    assert asked(0.79, 205)
    assert not asked(0.79, 205, now=1010)  # ten seconds of training since the evaluation


@pytest.mark.parametrize("progress", [0.01, 0.8, 0.9])
def test_in_warmup_and_cooldown_nothing_is_done(progress):
    assert not asked(progress, 1)


def test_without_evaluations_cooldown_or_times_nothing_is_done():
    assert not must_cool_down(TrialHistory(0), WSD, seconds_left=1, now=0)
    assert not asked(0.4, 1, phases=Phases(warmup_until=0.0, cooldown_from=1.0, ends_at=1.0))
    assert not asked(0.4, 1, seconds=0.0)


def test_the_end_of_the_hours_leaves_a_value_and_no_unfinished_trial(tmp_path, monkeypatch):
    """A toy whose schedule takes 2 s by its own clock (0.01 s a step) and by the wall's, in a budget of 1 s."""
    monkeypatch.setenv("TOY_STEP", "0.01")
    wanted = experiment(
        f"budget: {{trials: 1, hours: {1 / 3600}}}\nsearch: {{pruner: none}}\n",
        ranges="training: {learning_rate: {low: 1e-3, high: 1e-2}, epochs: 2}",
    )
    began = time.monotonic()
    study, seen = go(wanted, tmp_path)
    [known] = study.history.trials.values()
    if known.outcome is None:  # a machine too slow for any cool-down within a second
        assert time.monotonic() - began >= 1
        return
    assert known.outcome == "completed"
    [branch] = known.branches.values()
    assert known.value == branch.metrics["val/loss"]
    assert any(isinstance(event, Notice) and "cools down now" in event.line for event in seen)


def test_a_cooldown_that_ends_too_late_is_interrupted_and_said_to_be(tmp_path):
    """It is told to cool down 0.5 s before the end of the hours, and is still at it then."""

    class Slow(Scripted):
        def reply(self, slot, reply):
            if reply.command is not Command.COOL_DOWN:
                super().reply(slot, reply)

    def script(task):
        yield from says(task, 3.0, 2.9, end=False)
        while True:
            time.sleep(0.05)
            yield lambda slot: Noted(slot, task.trial, "cooling")

    wanted = experiment(f"budget: {{trials: 1, hours: {0.5 / 3600}}}\nsearch: {{pruner: none}}\n")
    study, seen = go(wanted, tmp_path, launcher=Slow(workers(tmp_path, 1), script))
    assert "trial 0 cools down now, to end before the budget is spent" in [getattr(event, "line", "") for event in seen]
    [reason] = [event.reason for event in seen if isinstance(event, Interrupted)]
    assert reason.startswith("the budget is spent before its cool-down has ended; ")
    assert study.history.trials[0].reason == reason


def test_the_soonest_value_is_that_of_the_fastest_trial_with_its_cooldown():
    trials = [trial(0.01), trial(0.2), trial(0.4)]  # in the warm-up, 200 and 400 seconds
    assert soonest_value(trials, lambda _: WSD) == pytest.approx(200 * 1.25)
    assert soonest_value(trials, lambda _: Phases(0.3, 1.0, 1.0)) == pytest.approx(400)


def test_a_value_of_use_takes_a_quarter_of_a_training():
    """At 5% a trial of 1000 s has a value after 62.5 s; it tells of its length, so none starts with less than 250."""
    trials = [trial(0.05), trial(0.1, seconds=30), trial(0.2)]  # whole: 1000, 300 and 1000 seconds
    assert soonest_value(trials, lambda _: WSD) == pytest.approx(0.25 * 1000)
    assert soonest_value([trial(0.05)], lambda _: Phases(0.0, 1.0, 0.6)) == pytest.approx(0.25 * 600)  # it stops at 0.6


def test_a_training_that_does_not_say_its_progress_has_a_value_of_use_at_its_first_evaluation():
    unknown = trial(0.0, seconds=30)
    assert soonest_value([unknown], lambda _: Phases(0.0, 1.0, 1.0)) == 30
    assert soonest_value([unknown, trial(0.2)], lambda _: Phases(0.0, 1.0, 1.0)) == pytest.approx(0.25 * 1000)
    assert not must_cool_down(unknown, Phases(0.0, 0.5, 1.0), seconds_left=1, now=0)


def test_a_trial_in_its_warmup_tells_nothing():
    trials = [trial(0.01)]
    assert soonest_value(trials[:1], lambda _: WSD) is None
