"""The history: what a journal's events add up to, also when some of them come twice."""

import math
from dataclasses import replace

import pytest

from hpsearch import journal
from hpsearch.journal.history import History
from hpsearch.journal.origin import Origin
from hpsearch.journal.trial_history import BestEvaluation, TrialHistory, interval_loss
from tests.searching import evaluation, experiment, opened

CREATED = {
    "event": "study_created",
    "time": 100.0,
    "study": "toy",
    "objective": {"metric": "val/loss", "direction": "minimize"},
    "space": {},
}


def event(name, at=0.0, **fields):
    return {"event": name, "time": at, **fields}


def trial(number, *losses, outcome=None, state="COMPLETE", value=None, at=0.0):
    """The events of one trial."""
    yield event("trial_asked", at, trial=number, params={"epochs": number}, internal={"epochs": number}, config={})
    yield event("trial_started", at, trial=number, attempt=1, device="cpu", threads=2)
    for index, loss in enumerate(losses, start=1):
        yield event("evaluation", at + index, trial=number, evaluation=evaluation(index, loss).to_dict())
    if outcome:
        yield event("trial_finished", at + 9, trial=number, outcome=outcome, state=state, value=value, reason="why")


def of(*groups):
    return History.of([CREATED, *(e for group in groups for e in group)])


def test_a_running_trial_and_a_finished_one():
    history = of(trial(0, 3.0, 2.0, outcome="completed", value=2.0), trial(1, 4.0))
    first, second = history.trials.values()
    assert (first.outcome, first.state, first.value, first.running, first.reason) == (
        "completed", "COMPLETE", 2.0, False, "why"
    )  # fmt: skip
    assert (second.outcome, second.running, second.device, second.threads, second.attempt) == (None, True, "cpu", 2, 1)
    assert first.curve("val/loss", "index") == ([1.0, 2.0], [3.0, 2.0])
    assert history.finished == [0]


def test_events_that_come_twice_change_nothing():
    events = [*trial(0, 3.0, 2.0, outcome="completed", value=2.0)]
    once, twice = of(events), of(events, events)
    assert twice.trials == once.trials
    assert twice.finished == [0]


def test_the_first_of_two_evaluations_with_one_index_counts():
    history = of(trial(0, 3.0), [event("evaluation", 5, trial=0, evaluation=evaluation(1, 99.0).to_dict())])
    assert history.trials[0].evaluations[1].metrics["val/loss"] == 3.0


def test_kinds_of_events_from_the_future_are_passed_over():
    history = of(trial(0, 3.0), [event("weather", 1, wind=3), event("trial_petted", 2, trial=0)])
    assert list(history.trials) == [0]


@pytest.mark.parametrize(("direction", "best", "ranked"), [("minimize", 1, [1, 3, 0]), ("maximize", 0, [0, 1, 3])])
def test_the_best_is_among_complete_trials_only_and_the_first_of_equals(direction, best, ranked):
    created = {**CREATED, "objective": {"metric": "val/loss", "direction": direction}}
    history = History.of(
        [
            created,
            *trial(0, outcome="completed", value=3.0),
            *trial(1, outcome="overfit", value=1.0),
            *trial(2, outcome="diverged", state="PRUNED", value=0.5 if direction == "minimize" else 9.0),
            *trial(3, outcome="completed", value=1.0),
            *trial(4, outcome="failed", state="FAIL", value=None),
        ]
    )
    assert history.best().number == best
    assert [t.number for t in history.ranked()] == ranked
    assert history.best(among=[2, 4]) is None
    assert history.best(among=[0, 3]).number == (3 if direction == "minimize" else 0)


def test_the_best_evaluation_is_finite_and_the_last_of_equals():
    history = of(trial(0, 3.0, math.nan, 2.0, 2.0, -math.inf))
    assert history.best_evaluation(0).index == 4
    assert history.best_evaluation(0, until=3).index == 3
    assert history.best_evaluation(0, until=2).index == 1
    assert of(trial(0, math.nan)).best_evaluation(0) is None


def test_seconds_of_searching_add_up_over_drivers_and_leave_out_the_nights():
    history = of(
        [event("driver_started", 100)],
        trial(0, 3.0, at=150),  # last event at 151; then it is killed
        [event("driver_started", 10_000), event("driver_stopped", 10_020, reason="interrupted")],
        [event("driver_started", 20_000), event("trial_asked", 20_005, trial=1, params={})],
    )
    assert history.seconds == 51 + 20 + 5
    assert history.searched == 71


def test_a_driver_that_has_gone_leaves_no_trial_running():
    history = of([event("driver_started", 1)], trial(0, 3.0), [event("driver_stopped", 9, reason="finished")])
    assert not history.trials[0].running
    assert history.stopped == "finished"
    history.add(event("driver_started", 10))
    assert history.stopped is None


def test_the_peak_of_memory_is_that_of_the_highest_evaluation():
    trial = TrialHistory(0)
    assert trial.peak_memory == 0
    trial.evaluations = {i: replace(evaluation(i, 1.0), peak_memory=peak) for i, peak in enumerate([5, 9, 0], 1)}
    assert trial.peak_memory == 9


def test_a_finished_trial_keeps_the_best_evaluation_that_its_journal_names():
    """Journals of before named the first of equals; its best.pt has these weights."""
    told = {"index": 1, "step": 10, "tokens": 1000, "epoch": 0.05, "progress": 0.05, "value": 2.0}
    end = event("trial_finished", 9, trial=0, outcome="completed", state="COMPLETE", value=2.0, best_evaluation=told)
    history = of(trial(0, 2.0, 2.0), [end])
    assert history.best_evaluation(0).index == 1
    assert history.best_evaluation(0, until=2).index == 2


def test_the_training_loss_is_its_points_or_the_means_between_evaluations():
    history = of(trial(0, 3.0, 2.0))
    assert [loss for _, loss in history.trials[0].training_loss()] == [3.0, 2.0]
    assert interval_loss({"train/loss": 1.0}) == 1.0  # as old journals have it
    assert interval_loss({"train/loss": 1.0, "train/interval_loss": 2.0}) == 2.0
    assert math.isnan(interval_loss({}))


@pytest.mark.parametrize(("value", "leader"), [(2.5, 1), (2.0, 0), (1.0, 0)])
def test_what_an_unfinished_trial_has_measured_counts(value, leader):
    """It wins where it is better than all that have completed, and of equal values they come first."""
    history = of(trial(0, 3.0, value, outcome="completed", value=value), trial(1, 3.0, 2.0, 2.2), trial(2, math.nan))
    for number in (0, 1, 2):
        history.trials[number].config = {"seed": 0}
    best = history.leader()
    assert best.number == leader
    assert (best.outcome, best.value) == (("unfinished", 2.0) if leader else ("completed", value))
    measured = history.trials[1].evaluations[2]
    place = (measured.step, measured.tokens, measured.epoch, measured.progress)
    assert history.so_far(history.trials[1]).best == BestEvaluation(2, 2.0, *place)
    assert [t.number for t in history.ranked(unfinished=True)] == ([1, 0] if leader else [0, 1])
    assert [t.number for t in history.ranked()] == [0]
    assert history.best().number == 0
    assert history.trials[1].outcome is None


def test_of_equal_values_that_of_a_trial_that_completed_wins():
    history = of(trial(0, 2.0), trial(1, 2.0, outcome="completed", value=2.0))
    for found in history.trials.values():
        found.config = {"seed": 0}
    assert [t.number for t in history.ranked(unfinished=True)] == [1, 0]


def test_what_was_pruned_or_has_measured_nothing_does_not_count():
    history = of(trial(0, 1.0, outcome="pruned", state="PRUNED", value=1.0), trial(1, math.nan), trial(2))
    for found in history.trials.values():
        found.config = {"seed": 0}
    assert history.leader() is None


def test_an_export_after_the_end_is_no_searching():
    """Else a study looked at on the next day would have spent its hours."""
    history = of([event("driver_started", 100), event("driver_stopped", 120, reason="finished")])
    history.add(event("study_exported", 90_000, trial=0, path="best.yaml"))
    assert history.seconds == 20


def test_what_is_learnt_from_another_study_before_a_driver_starts_is_no_searching():
    """The last driver was killed: the night until the next one starts does not count."""
    history = of([event("driver_started", 10)], trial(0, 3.0, at=20))
    seconds = history.seconds
    history.add(event("study_warmed", 90_000, study="old", first=[], trials=[]))
    history.add(event("driver_started", 90_001))
    assert history.seconds == seconds
    assert list(history.warm) == ["old"]


def test_the_best_evaluation_of_what_is_maximized_is_the_highest():
    created = {**CREATED, "objective": {"metric": "val/loss", "direction": "maximize"}}
    history = History.of([created, *trial(0, 1.0, 3.0, 2.0)])
    assert history.best_evaluation(0).index == 2
    assert history.best_place(0).value == 3.0


def test_only_an_attempt_whose_worker_died_is_a_death():
    ends = [{}, {"died": True}, {"alone": True}, {}]
    events = []
    for attempt, how in enumerate(ends, start=1):
        events.append(event("trial_started", attempt, trial=0, attempt=attempt))
        events.append(event("trial_interrupted", attempt, trial=0, reason="", **how))
    history = of(trial(0), events)
    assert history.trials[0].deaths == {2}
    assert history.trials[0].alone  # from then on


def test_a_value_that_is_no_number_is_not_ranked():
    history = of(*(trial(n, outcome="completed", value=v) for n, v in enumerate([math.nan, None, 2.0, math.inf])))
    assert [t.number for t in history.ranked()] == [2]


@pytest.mark.parametrize(("direction", "less", "more"), [("minimize", True, False), ("maximize", False, True)])
def test_an_equal_value_is_no_better(direction, less, more):
    history = History(direction=direction)
    assert [history.better(a, 2.0) for a in (1.0, 2.0, 3.0)] == [less, False, more]


def test_an_event_of_before_does_not_set_the_last_back():
    """A clock that was set, or an evaluation that comes again."""
    history = of([event("driver_started", 200), event("trial_asked", 300, trial=0, params={})])
    history.add(event("trial_started", 250, trial=0))
    assert (history.last, history.seconds) == (300, 100)


def branch(index, loss):
    shorter = {"training": {"epochs": 4.0, "warmup": 0.1}}
    return replace(evaluation(index, loss), branch=shorter)


def test_a_branch_stands_beside_the_curve_and_its_value_can_be_the_best():
    told = [event("evaluation", 7, trial=0, evaluation=branch(2, 1.5).to_dict())]
    history = of(trial(0, 3.0, 2.0, 2.5), told, told)
    known = history.trials[0]
    assert known.curve("val/loss", "index") == ([1.0, 2.0, 3.0], [3.0, 2.0, 2.5])
    assert [(index, e.metrics["val/loss"]) for index, e in known.branches.items()] == [(2, 1.5)]
    assert history.best_evaluation(0) is known.branches[2]
    assert history.best_evaluation(0, until=3) is known.evaluations[2]
    place = history.best_place(0)
    assert (place.index, place.value, place.branch) == (2, 1.5, {"training": {"epochs": 4.0, "warmup": 0.1}})
    assert known.at(place) is known.branches[2]


def test_a_branch_that_is_worse_than_the_curve_is_not_the_best():
    history = of(trial(0, 3.0, 2.0), [event("evaluation", 7, trial=0, evaluation=branch(1, 2.5).to_dict())])
    assert history.best_evaluation(0) is history.trials[0].evaluations[2]


def test_a_finished_trial_names_its_branch():
    place = {"index": 2, "value": 2.0, "branch": {"training": {"epochs": 4.0, "warmup": 0.1}}}
    told = [event("evaluation", 7, trial=0, evaluation=branch(2, 2.0).to_dict())]
    ended = [event("trial_finished", 9, trial=0, outcome="overfit", value=2.0, best_evaluation=place)]
    history = of(trial(0, 3.0, 2.0), told, ended)
    assert history.best_evaluation(0) is history.trials[0].branches[2]
    del ended[0]["best_evaluation"]["branch"]
    history = of(trial(0, 3.0, 2.0), told, ended)
    assert history.best_evaluation(0) is history.trials[0].evaluations[2]


def test_the_origin_is_the_event_that_each_driver_copies(tmp_path):
    study = opened(experiment("budget: {trials: 1}\n"), tmp_path)
    study.journal.close()
    [created] = journal.read(study.journal.path)
    as_created = {key: value for key, value in created.items() if key != "crc"}
    assert study.history.origin.to_dict() == {**as_created, "first": ""}  # it was not renamed
    assert Origin.from_dict(created | {"of a later version": 1}) == study.history.origin


def test_the_origin_of_an_older_study_has_defaults():
    history = History.of([CREATED])
    assert (history.is_new, history.origin.rules, history.origin.folder) == (False, 1, "")
    assert History().is_new


def test_the_params_of_a_branch_are_those_that_were_trained():
    known = of(trial(0, 3.0, 2.0)).trials[0]
    known.params = {"epochs": 12, "learning_rate": 0.1, "epochs.1": 3}
    assert known.trained_params == known.params
    known.best = BestEvaluation(2, 2.0, branch={"training": {"epochs": 4.0, "warmup": 0.1}})
    assert known.trained_params == {"epochs": 4.0, "learning_rate": 0.1, "epochs.1": 4.0}
