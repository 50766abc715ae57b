"""Cool-downs that begin just in time to end before the budget's hours are over."""

import time
from dataclasses import replace

import pytest

from hpsearch.contract import Command, Evaluation
from hpsearch.events import Interrupted, Measured, Notice, SearchPaused
from hpsearch.journal.pause_file import PauseFile
from hpsearch.journal.request import ENQUEUED
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.launchers.messages import Ended, Evaluated, Noted
from hpsearch.policies.budget.deadline import MARGIN, must_cool_down, pace, soonest_value
from hpsearch.policies.confirmed import ConfirmedPolicy
from hpsearch.policies.enqueued import EnqueuedPolicy
from hpsearch.policies.loading import load
from hpsearch.search.loop import Search
from hpsearch.verdict import Phases
from tests.search.test_loop import workers
from tests.searching import RANGES, Scripted, experiment, go, opened, says

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


def trained(*progress, whole=1000.0, start=0.0):
    """A trial with evaluations at these places of a schedule of `whole` seconds, `start` seconds after its start."""
    found = {
        n: Evaluation(n, 10 * n, at, {"val/loss": 3.0}, seconds=start + whole * at, time=1000.0)
        for n, at in enumerate(progress, start=1)
    }
    return TrialHistory(0, evaluations=found)


def test_a_pace_is_without_the_start_and_without_a_second_start_after_a_pause():
    assert pace(trained(0.05, 0.1)) == pytest.approx(1000)
    assert pace(trained(0.05, 0.1, start=200)) == pytest.approx(1000)
    resumed = trained(0.05, 0.1, 0.15, 0.2, start=24)
    resumed.evaluations |= {n: replace(resumed.evaluations[n], seconds=300 + 50 * n) for n in (3, 4)}
    assert pace(resumed) == pytest.approx(1000)


def test_a_pace_needs_two_evaluations_or_one_late_in_the_training():
    assert pace(trained(0.05)) is pace(trained()) is pace(trained(0.0, 0.0)) is None
    assert pace(trained(1.0, start=10)) == pytest.approx(1010)


def test_the_pace_is_that_of_the_latest_intervals():
    """Ten slow intervals of a busy machine, then five at 1000 s for the whole."""
    one = trained(*(n / 20 for n in range(1, 17)))
    one.evaluations |= {n: replace(one.evaluations[n], seconds=150.0 * n) for n in range(1, 12)}
    one.evaluations |= {n: replace(one.evaluations[n], seconds=1650.0 + 50 * (n - 11)) for n in range(12, 17)}
    assert pace(one) == pytest.approx(1000)


def test_a_slow_start_does_not_make_a_trial_cool_down():
    """After a start of 24 s, a whole schedule takes 24 s; at half of it 15 s are enough to its end."""
    one, phases = trained(0.45, 0.5, whole=24, start=24), Phases(0.05, 0.8, 1.0)
    assert not must_cool_down(one, phases, seconds_left=15, now=1000)
    assert must_cool_down(one, phases, seconds_left=3.5, now=1000)  # 24 * 0.5 * 0.25 * MARGIN = 3.6


def test_the_soonest_value_is_that_of_the_fastest_trial_with_its_cooldown():
    trials = [trained(0.01, 0.02), trained(0.2, 0.3), trained(0.35, 0.4)]  # in the warm-up, 200 and 350 seconds
    assert soonest_value(trials, lambda _: WSD) == pytest.approx(250)
    assert soonest_value(trials[1:], lambda _: WSD) == pytest.approx(0.25 * 1000)
    assert soonest_value(trials, lambda _: Phases(0.32, 1.0, 1.0)) == pytest.approx(350)


def test_a_value_of_use_takes_a_quarter_of_a_training():
    """At 5% a trial of 1000 s has a value after 62.5 s; it tells of its length, so none starts with less than 250."""
    trials = [trained(0.05, 0.1), trained(0.1, 0.2, whole=300), trained(0.1, 0.2)]
    assert soonest_value(trials, lambda _: WSD) == pytest.approx(0.25 * 1000)
    until = [trained(0.05, 0.1)]
    assert soonest_value(until, lambda _: Phases(0.0, 1.0, 0.6)) == pytest.approx(0.25 * 600)  # it stops at 0.6


def test_the_start_of_the_first_trials_tells_nothing_of_a_new_one():
    """The sizes of a search on a busy machine: the first evaluation, at 5%, takes 24 s, each further one 1.2 s."""
    assert soonest_value([trained(0.05, whole=24, start=22.8)], lambda _: WSD) is None
    assert soonest_value([trained(0.05, 0.1, whole=24, start=22.8)], lambda _: WSD) == pytest.approx(0.25 * 24)


def test_a_training_that_does_not_say_its_progress_has_a_value_of_use_at_its_first_evaluation():
    unknown = trial(0.0, seconds=30)
    assert soonest_value([unknown], lambda _: Phases(0.0, 1.0, 1.0)) == 30
    assert soonest_value([unknown, trained(0.1, 0.2)], lambda _: Phases(0.0, 1.0, 1.0)) == pytest.approx(0.25 * 1000)
    assert not must_cool_down(unknown, Phases(0.0, 0.5, 1.0), seconds_left=1, now=0)


def test_a_trial_in_its_warmup_tells_nothing():
    assert soonest_value([trained(0.01, 0.02)], lambda _: WSD) is None


# ---------------------------------------------------------------------------------- a search near the end of its budget


def timed(task, *seconds, progress=0.1):
    """The messages of a trial that evaluates at these seconds of its training, each `progress` further."""
    for n, at in enumerate(seconds, start=1):
        found = Evaluation(n, 10 * n, progress * n, {"val/loss": 3.0 - 0.1 * n, "train/loss": 3.0}, seconds=at)
        yield lambda slot, found=found: Evaluated(slot, task.trial, found)


def ended(task):
    return lambda slot: Ended(slot, task.trial, Command.CONTINUE)


def searched(tmp_path, script, *, trials=4, heard=lambda search, event: None):
    """Searches scripted trials with two workers in 100 s, without a confirmation; returns the study and the events."""
    budget = f"budget: {{trials: {trials}, hours: {100 / 3600}}}"
    ranges = RANGES + "  schedule: cosine\n"  # without a cool-down
    wanted = experiment(f"{budget}\nsearch: {{pruner: none, confirm: false}}\n", ranges=ranges)
    study = opened(wanted, tmp_path / "home")
    launcher, seen = Scripted(workers(tmp_path), script), []
    policy = ConfirmedPolicy(EnqueuedPolicy(load(wanted), wanted), wanted)
    pause = PauseFile(tmp_path / "home")
    search = Search(study, launcher, checkpoints=tmp_path, policy=policy, pause=pause)
    for event in search.run():
        seen.append(event)
        heard(search, event)
    study.journal.close()
    return study, seen


def lines(seen, start):
    return [event.line for event in seen if isinstance(event, Notice) and event.line.startswith(start)]


def reached(event, trial, index):
    return isinstance(event, Measured) and (event.trial.number, event.evaluation.index) == (trial, index)


def short_beside_long(task, *, later=()):
    """Trial 0 ends when 20% have taken it 2000 s; the others go on in intervals of 1000 s, or as `later` says."""
    if task.trial == 0:
        yield from timed(task, 1000.0, 2000.0)
    else:
        yield from timed(task, *(1000.0 * n for n in range(1, 10)), *later)
    yield ended(task)


def test_a_pause_while_no_trial_starts_does_not_end_the_search(tmp_path):
    """A worker is free, the other's trial is paused by a person: it waits, and is trained to its end."""

    def heard(search, event):
        if reached(event, 1, 5) and event.trial.attempt == 1:
            PauseFile(tmp_path / "home").ask()
        if isinstance(event, SearchPaused):
            PauseFile(tmp_path / "home").withdraw()

    study, seen = searched(tmp_path, short_beside_long, heard=heard)
    assert lines(seen, "no new trial starts: the budget lasts another")
    assert sum(isinstance(event, SearchPaused) for event in seen) == 1
    assert study.history.trials[1].outcome == "completed"
    assert len(study.history.trials) == 2


def test_trials_start_again_once_the_pace_allows_it(tmp_path):
    """The rest of the second trial takes 0.1 s an interval: a whole one 1 s, a quarter of which is left."""

    def script(task):
        return short_beside_long(task, later=[9000 + 0.1 * n for n in range(1, 40)] if task.trial else [])

    study, seen = searched(tmp_path, script)
    said = [line for line in lines(seen, "") if line.startswith(("no new trial starts", "trials start again"))]
    assert [line.split(":")[0] for line in said[:2]] == ["no new trial starts", "trials start again"]
    assert len(study.history.trials) > 2


def test_what_a_person_enqueues_is_tried_though_no_other_trial_starts(tmp_path):
    def heard(search, event):
        if reached(event, 1, 5):
            space = search.study.experiment.space
            internal = space.internal({"learning_rate": 0.01, "epochs": 2})
            search.study.record(ENQUEUED, id="a", params=space.values(internal), internal=internal)

    study, seen = searched(tmp_path, short_beside_long, heard=heard)
    assert lines(seen, "no new trial starts")
    assert [(trial.params["epochs"], trial.outcome) for trial in list(study.history.trials.values())[2:]] == [
        (2, "completed")
    ]
