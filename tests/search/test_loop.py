"""The driver's loop: budgets are exact, trials go on where they were, failures are met, the disk is swept."""

import time
from dataclasses import replace

import pytest

from hpsearch import journal
from hpsearch.contract import Command, WorkerSettings
from hpsearch.errors import StorageFailed, TrainingFailed, UserError
from hpsearch.events import Finished, Interrupted, Measured, Notice, Started
from hpsearch.launchers.messages import Ended, Evaluated, Failed, Noted
from hpsearch.outcome import Outcome
from hpsearch.search.allowance import spent
from hpsearch.search.loop import Search
from tests.searching import RANGES, Scripted, ask, dies, evaluation, experiment, go, opened, policy_of, says

QUIET = "search: {pruner: none, overfitting: false}\n"


def workers(tmp_path, count=2):
    return [WorkerSettings(device="cpu", threads=1, cache=tmp_path, base=tmp_path)] * count


def kinds(seen):
    return [(type(h).__name__, h.trial.number) for h in seen if not isinstance(h, Notice)]


def healthy(task):
    return says(task, 3.0, 2.5, 2.0)


def test_the_budget_of_trials_is_exact_with_two_workers_and_restarts(tmp_path):
    wanted, rounds = experiment("budget: {trials: 7}\n" + QUIET), 0
    while rounds < 40:
        study, seen = go(wanted, tmp_path / "home", launcher=Scripted(workers(tmp_path), healthy), kill_after=9)
        rounds += 1
        if not seen:
            break
    assert rounds > 4
    assert sorted(study.history.trials) == list(range(7))
    assert sorted(study.history.finished) == list(range(7))
    asked = [e["trial"] for e in journal.read(study.journal.path) if e["event"] == "trial_asked"]
    assert asked == list(range(7))


@pytest.mark.parametrize("sampler", ["tpe", "random", pytest.param("gp", marks=pytest.mark.slow), "cmaes", "qmc"])
def test_configs_are_distinct_over_workers_and_restarts(tmp_path, sampler):
    """Four trials are in training when each driver is killed: none of those after it is one of those before it."""
    wanted = experiment(f"budget: {{trials: 12}}\nsearch: {{pruner: none, overfitting: false, sampler: {sampler}}}\n")
    for kill_after in (5, 9, 13, 17, None):
        launcher = Scripted(workers(tmp_path, 4), healthy)
        study, _ = go(wanted, tmp_path / "home", launcher=launcher, kill_after=kill_after)
    configs = [tuple(trial.params.items()) for trial in study.history.trials.values()]
    assert len(configs) == len(set(configs)) == 12


def test_a_larger_budget_goes_on_and_a_spent_one_does_nothing(tmp_path):
    launcher = Scripted(workers(tmp_path, 1), healthy)
    go(experiment("budget: {trials: 2}\n" + QUIET), tmp_path / "home", launcher=launcher)
    _, seen = go(experiment("budget: {trials: 2}\n" + QUIET), tmp_path / "home", launcher=launcher)
    assert seen == []
    study, _ = go(experiment("budget: {trials: 3}\n" + QUIET), tmp_path / "home", launcher=launcher)
    assert study.history.finished == [0, 1, 2]


def test_a_grid_ends_with_its_last_point(tmp_path):
    ranges = "training: {epochs: {choices: [1, 2, 3]}}\n"
    wanted = experiment("budget: {trials: 50}\nsearch: {sampler: grid}\n", ranges=ranges)
    study, _ = go(wanted, tmp_path / "home")
    assert sorted(t.params["epochs"] for t in study.history.trials.values()) == [1, 2, 3]


def test_a_space_without_ranges_is_one_trial(tmp_path):
    study, _ = go(experiment("budget: {trials: 50}\n", ranges=""), tmp_path / "home")
    assert list(study.history.trials) == [0]


def test_the_budget_of_hours_pauses_and_a_larger_one_goes_on(tmp_path, monkeypatch):
    monkeypatch.setenv("TOY_STEP", "0.002")  # 0.4 s a trial
    ranges = RANGES + "  schedule: cosine\n"  # no cool-down could end it in time
    wanted = experiment("seed: 2\nbudget: {trials: 3, hours: 1}\n" + QUIET, ranges=ranges)
    short = wanted.override(hours=0.2 / 3600)
    study, seen = go(short, tmp_path / "home")
    assert isinstance(seen[-1], Interrupted)
    assert study.unfinished() == [0]
    measured = len(study.history.trials[0].evaluations)
    assert 0 < measured < 20
    _, seen = go(short, tmp_path / "home")
    assert seen == []  # the hours are the study's, not the driver's
    study, seen = go(wanted, tmp_path / "home")
    assert seen[0] == Started(study.history.trials[0], 0, 2)
    assert study.history.finished == [0, 1, 2]
    assert study.history.trials[0].attempt == 2


class Deaf(Scripted):
    """Workers that obey no command, as in a long evaluation; they can be ended."""

    rested = 0

    def reply(self, slot, reply):
        self.replies.append(reply)

    def rest(self):
        self.rested += 1
        self._running.clear()

    def wake(self):
        """It is never asked to."""


def still_busy(task, *losses, after=0):
    """The messages of a trial that measures these losses, and goes on for ever."""
    for n in range(10_000):
        if n == after:
            yield from says(task, *losses, end=False)
        yield lambda slot: Noted(slot, task.trial, "still at it")


def overdrawn(tmp_path, launcher, seconds, **changes):
    """The events of a search whose hour is over by some seconds once 3 messages have come; they end after 30."""
    study = opened(experiment("budget: {hours: 1, trials: 2}\n" + QUIET).override(**changes), tmp_path / "home")
    search, seen = Search(study, launcher, checkpoints=tmp_path / "home"), []
    for event in search.run():
        seen.append(event)
        if len(seen) == 3:
            search._allowance._started_at -= 3600 + seconds
        if len(seen) == 30:
            break
    return study, seen


def test_a_search_ends_soon_after_its_hours_whatever_its_workers_do(tmp_path):
    launcher = Deaf(workers(tmp_path), lambda task: still_busy(task, 3.0))
    study, seen = overdrawn(tmp_path, launcher, 110)  # 3 % of an hour are 108 s
    assert [kind for kind, _ in kinds(seen)[-2:]] == ["Interrupted"] * 2
    assert launcher.rested == 1
    assert "the budget is spent; it took too long to save its state" in study.history.trials[1].reason
    assert study.unfinished() == [0, 1]  # a larger budget resumes them
    assert study.history.leader().number == 0


@pytest.mark.parametrize("after", [0, 12])
def test_workers_have_three_percent_of_the_time_to_save_their_trials_and_as_long_as_it_takes_for_a_winner(
    tmp_path, after
):
    launcher = Deaf(workers(tmp_path, 1), lambda task: still_busy(task, 3.0, after=after))
    _, seen = overdrawn(tmp_path, launcher, 110 if after else 105)
    if after:
        first = next(n for n, event in enumerate(seen) if isinstance(event, Measured))
        assert [type(event) for event in seen[first:]] == [Measured, Interrupted]
    else:
        assert (len(seen), launcher.rested) == (30, 0)


def test_hours_add_up_over_killed_drivers(tmp_path):
    wanted = experiment("budget: {hours: 1}\n" + QUIET)
    study, _ = go(wanted, tmp_path / "home", kill_after=3)
    for fake in (-3000.0, -1500.0):  # as if the driver had begun long before its last event
        study = opened(wanted, tmp_path / "home")
        study.history.began += fake / 2
        study.journal.close()
    search = Search(study, Scripted(workers(tmp_path), healthy), checkpoints=tmp_path)
    assert search._allowance.left().seconds == pytest.approx(3600 - 750, abs=60)


def test_unfinished_trials_are_continued_first_under_their_numbers(tmp_path):
    wanted = experiment("budget: {trials: 4}\n" + QUIET)
    go(wanted, tmp_path / "home", launcher=Scripted(workers(tmp_path), healthy), kill_after=4)
    launcher = Scripted(workers(tmp_path), healthy)
    study, seen = go(wanted, tmp_path / "home", launcher=launcher)
    assert [(task.trial, task.attempt) for task in launcher.tasks] == [(0, 2), (1, 2), (2, 1), (3, 1)]
    assert all(isinstance(h, Started) for h in seen[:2])
    assert sorted(study.history.finished) == [0, 1, 2, 3]


def test_a_stop_pauses_every_trial_and_starts_no_other(tmp_path):
    launcher = Scripted(workers(tmp_path), healthy)
    study, seen = go(experiment("budget: {trials: 9}\n" + QUIET), tmp_path / "home", launcher=launcher, stop_after=4)
    assert kinds(seen)[-2:] == [("Interrupted", 0), ("Interrupted", 1)]
    assert study.unfinished() == [0, 1]
    events = [e["event"] for e in journal.read(study.journal.path)]
    assert events[-3:] == ["trial_interrupted", "trial_interrupted", "driver_stopped"]


def test_a_trial_whose_worker_dies_is_tried_again_then_fails(tmp_path):
    launcher = Scripted(workers(tmp_path, 1), lambda task: dies(task, 3.0, 2.5) if task.trial == 0 else healthy(task))
    wanted = experiment("budget: {trials: 2}\nsearch: {pruner: none, overfitting: false, max_retries: 2}\n")
    study, seen = go(wanted, tmp_path / "home", launcher=launcher)
    assert [(task.trial, task.attempt) for task in launcher.tasks] == [(0, 1), (0, 2), (0, 3), (1, 1)]
    assert sum(isinstance(h, Interrupted) for h in seen) == 2
    first, second = study.history.trials.values()
    assert (first.outcome, first.state, first.reason) == ("failed", "FAIL", "the worker was killed by SIGKILL")
    assert second.outcome == "completed"


def test_a_worker_that_dies_once_costs_nothing(tmp_path):
    launcher = Scripted(workers(tmp_path, 1), lambda task: dies(task, 3.0) if task.attempt == 1 else healthy(task))
    study, _ = go(experiment("budget: {trials: 2}\n" + QUIET), tmp_path / "home", launcher=launcher)
    assert [(t.outcome, t.attempt) for t in study.history.trials.values()] == [("completed", 2)] * 2


def test_a_worker_that_dies_after_its_trial_was_judged_changes_nothing(tmp_path):
    """A diverged trial whose worker dies before it says that it ended has diverged all the same."""

    class Deadly(Scripted):
        def reply(self, slot, reply):
            if reply.command is Command.STOP:
                self.says_next(slot, reply.trial, lambda s: Failed(s, reply.trial, "died", "killed"))

    launcher = Deadly(workers(tmp_path, 1), lambda task: says(task, 3.0, float("nan"), 2.0))
    study, _ = go(experiment("budget: {trials: 1}\n" + QUIET), tmp_path / "home", launcher=launcher)
    assert (study.history.trials[0].outcome, study.history.trials[0].attempt) == ("diverged", 1)


def fails(task):
    yield lambda slot: Failed(slot, task.trial, "error", "RuntimeError: a bug", "Traceback: ...")


def test_too_many_failures_in_a_row_end_the_search(tmp_path):
    launcher = Scripted(workers(tmp_path, 1), lambda task: healthy(task) if task.trial == 1 else fails(task))
    wanted = experiment("budget: {trials: 20}\nsearch: {pruner: none, max_consecutive_failures: 3}\n")
    said = r"3 trials failed and none completed since; the last: trial 4: RuntimeError: a bug"
    with pytest.raises(TrainingFailed, match=said):
        go(wanted, tmp_path / "home", launcher=launcher)
    study = opened(wanted, tmp_path / "home")
    assert [t.outcome for t in study.history.trials.values()] == ["failed", "completed", "failed", "failed", "failed"]
    assert (tmp_path / "home" / "checkpoints" / "0004" / "error.txt").read_text() == "Traceback: ..."


def test_a_mistake_of_the_user_ends_the_search_at_once(tmp_path):
    said = "data/x.txt:3: bad"
    launcher = Scripted(workers(tmp_path, 1), lambda task: iter([lambda s: Failed(s, task.trial, "user", said)]))
    with pytest.raises(UserError, match=r"data/x.txt:3: bad"):
        go(experiment("budget: {trials: 20}\n"), tmp_path / "home", launcher=launcher)


def test_running_out_of_memory_is_no_failure_in_a_row(tmp_path):
    launcher = Scripted(workers(tmp_path, 1), lambda t: iter([lambda s: Failed(s, t.trial, "out_of_memory", "9 GiB")]))
    wanted = experiment("budget: {trials: 4}\nsearch: {max_consecutive_failures: 2}\n")
    study, _ = go(wanted, tmp_path / "home", launcher=launcher)
    assert [t.outcome for t in study.history.trials.values()] == ["out_of_memory"] * 4


def test_what_a_given_up_worker_says_late_is_passed_over(tmp_path):
    launcher = Scripted(workers(tmp_path, 1), healthy)
    study = opened(experiment("budget: {trials: 2}\n" + QUIET), tmp_path / "home")
    search, seen = Search(study, launcher, checkpoints=tmp_path / "checkpoints"), []
    for event in search.run():
        seen.append(event)
        if isinstance(event, Finished) and event.trial.number == 0:
            launcher.late = [
                Evaluated(0, 0, evaluation(9, 0.1)),
                Ended(0, 0, Command.CONTINUE),
                Failed(0, 0, "died", "late"),
                Evaluated(5, 1, evaluation(9, 0.1)),
            ]
    assert kinds(seen).count(("Finished", 0)) == kinds(seen).count(("Finished", 1)) == 1
    assert [sorted(t.evaluations) for t in study.history.trials.values()] == [[1, 2, 3], [1, 2, 3]]
    study.journal.close()


def test_only_the_weights_of_the_three_best_stay_and_the_winners_always(tmp_path):
    wanted = experiment("seed: 4\nbudget: {trials: 12}\nsearch: {pruner: median}\n")
    study = opened(wanted, tmp_path / "home")
    from tests.searching import inline

    for event in Search(study, inline(tmp_path), checkpoints=tmp_path / "checkpoints").run():
        if isinstance(event, Finished) and (winner := study.history.best()):
            assert (tmp_path / "checkpoints" / f"{winner.number:04d}" / "best.pt").exists()
    best = {f"{trial.number:04d}" for trial in study.history.ranked()[:3]}
    assert len(best) == 3
    assert {path.parent.name for path in (tmp_path / "checkpoints").glob("*/best.pt")} == best
    assert list((tmp_path / "checkpoints").glob("*/last.pt")) == []
    study.journal.close()


def test_a_verdict_does_not_wait_for_the_disk(tmp_path):
    study = opened(experiment(QUIET), tmp_path / "home")
    number = ask(study)
    study.start(number, device="cpu", threads=1, worker=0)
    took = []
    for index in range(1, 20):
        began = time.perf_counter()
        study.report(number, evaluation(index, 3.0 - index / 20))
        took.append(time.perf_counter() - began)
    assert sorted(took)[len(took) // 2] < 0.005
    study.journal.close()


def test_the_trial_knows_its_threads_and_device(tmp_path):
    setting = replace(workers(tmp_path, 1)[0], threads=3)
    study, _ = go(experiment("budget: {trials: 1}\n"), tmp_path / "home", launcher=Scripted([setting], healthy))
    assert (study.history.trials[0].device, study.history.trials[0].threads) == ("cpu", 3)


def test_a_worker_that_is_not_there_yet_is_waited_for_and_gets_nothing(tmp_path):
    class Late(Scripted):
        looks = 0

        def ready(self, slot):
            return slot == 1 and self.looks > 3

        def messages(self, timeout):
            self.looks += 1
            return super().messages(timeout)

    wanted = experiment("budget: {trials: 3}\n" + QUIET)
    study, seen = go(wanted, tmp_path, launcher=Late(workers(tmp_path), healthy))
    assert [(s.trial.number, s.slot) for s in seen if isinstance(s, Started)] == [(0, 1), (1, 1), (2, 1)]
    assert len(study.history.finished) == 3


def test_a_lost_machine_is_no_fault_of_its_trials(tmp_path):
    def loses(task):
        if task.attempt < 5:
            yield lambda slot: Failed(slot, task.trial, "lost", "node 7 went away")
        yield from healthy(task)

    body = "budget: {trials: 2}\nsearch: {max_retries: 0, pruner: none, overfitting: false}"
    study, seen = go(experiment(body), tmp_path, launcher=Scripted(workers(tmp_path), loses))
    assert {t.outcome for t in study.history.trials.values()} == {"completed"}
    assert {t.attempt for t in study.history.trials.values()} == {5}
    assert "Interrupted node 7 went away; it will be resumed" in {
        f"Interrupted {s.reason}" for s in seen if isinstance(s, Interrupted)
    }


def closed(task, *, times):
    """The messages of a trial that finds the disk closed in so many attempts, and open when somebody looks."""
    if task.attempt > times:
        return healthy(task)
    return iter([lambda slot: Failed(slot, task.trial, "disk", "No space left on device")])


def test_a_trial_may_find_the_disk_closed_three_times(tmp_path, monkeypatch):
    monkeypatch.setattr("hpsearch.storage.disk_space.PAUSE", 0.0)
    wanted = experiment("budget: {trials: 1}\n" + QUIET)
    launcher = Scripted(workers(tmp_path, 1), lambda task: closed(task, times=3))
    study, seen = go(wanted, tmp_path / "home", launcher=launcher)
    assert [task.attempt for task in launcher.tasks] == [1, 2, 3, 4]
    assert study.history.trials[0].outcome == "completed"
    assert sum(isinstance(event, Interrupted) for event in seen) == 3


def test_at_the_fourth_time_the_search_ends_and_names_the_disk(tmp_path, monkeypatch):
    """A disk that takes a probe and refuses a checkpoint each time would be tried for ever."""
    monkeypatch.setattr("hpsearch.storage.disk_space.PAUSE", 0.0)
    launcher = Scripted(workers(tmp_path, 1), lambda task: closed(task, times=4))
    with pytest.raises(StorageFailed, match="trial 0 cannot save its state: No space left on device"):
        go(experiment("budget: {trials: 1}\n" + QUIET), tmp_path / "home", launcher=launcher)
    assert len(launcher.tasks) == 4


def test_each_trial_may_find_the_disk_closed_as_often(tmp_path, monkeypatch):
    monkeypatch.setattr("hpsearch.storage.disk_space.PAUSE", 0.0)
    launcher = Scripted(workers(tmp_path, 1), lambda task: closed(task, times=2))
    study, _ = go(experiment("budget: {trials: 3}\n" + QUIET), tmp_path / "home", launcher=launcher)
    assert [trial.attempt for trial in study.history.trials.values()] == [3, 3, 3]


def test_a_lost_machine_uses_up_no_retry(tmp_path):
    def script(task):
        kinds = {1: "lost", 2: "lost", 3: "died"}
        if kind := kinds.get(task.attempt):
            return iter([lambda slot: Failed(slot, task.trial, kind, "away")])
        return healthy(task)

    wanted = experiment("budget: {trials: 1}\nsearch: {max_retries: 1, pruner: none, overfitting: false}\n")
    study, _ = go(wanted, tmp_path / "home", launcher=Scripted(workers(tmp_path, 1), script))
    assert (study.history.trials[0].outcome, study.history.trials[0].attempt) == ("completed", 4)


def test_why_there_are_few_trials_is_said_of_several_configs_alone(tmp_path):
    def said(ranges, name):
        _, seen = go(experiment("budget: {trials: 9}\n" + QUIET, ranges=ranges), tmp_path / name)
        return [event.line for event in seen if isinstance(event, Notice)]

    assert said("", "one") == []
    assert said("training: {epochs: {choices: [1, 2]}}\n", "two") == ["each of the space's 2 configs has had its trial"]


def test_a_budget_is_spent_when_its_hours_are_over_or_its_trials_have_ended(tmp_path):
    study = opened(experiment("budget: {hours: 1, trials: 1}\n" + QUIET), tmp_path / "home")
    for seconds, over in ((0, False), (3599, False), (3600, True)):
        study.history.searched = float(seconds)
        assert spent(study, policy_of(study)) is over
    study.history.searched = 0.0
    number = ask(study)
    assert not spent(study, policy_of(study))  # it has not ended
    study.start(number, device="cpu", threads=1, worker=0)
    study.report(number, evaluation(1, 2.0))
    study.finish(number, Outcome.COMPLETED)
    assert spent(study, policy_of(study))
    study.journal.close()


def test_the_stumbles_of_another_trial_than_the_first_are_counted_too(tmp_path, monkeypatch):
    monkeypatch.setattr("hpsearch.storage.disk_space.PAUSE", 0.0)
    launcher = Scripted(workers(tmp_path, 1), lambda task: closed(task, times=4 if task.trial else 1))
    with pytest.raises(StorageFailed, match="trial 1 cannot save its state: No space left on device"):
        go(experiment("budget: {trials: 3}\n" + QUIET), tmp_path / "home", launcher=launcher)


def test_of_the_evaluations_that_come_again_the_latest_is_told_again(tmp_path):
    """It says where the trial stands that goes on."""
    launcher = Scripted(workers(tmp_path, 1), lambda task: dies(task, 3.0, 2.5) if task.attempt == 1 else healthy(task))
    _, seen = go(experiment("budget: {trials: 1}\n" + QUIET), tmp_path / "home", launcher=launcher)
    assert [h.evaluation.index for h in seen if isinstance(h, Measured)] == [1, 2, 2, 3]


@pytest.mark.parametrize("schedule", ["wsd", "cosine"])
def test_a_trial_that_overfits_cools_down_if_its_schedule_allows_it(tmp_path, schedule):
    wanted = experiment(
        "budget: {trials: 2}\nsearch: {pruner: none}\n",
        ranges=f"training: {{learning_rate: {{low: 1e-3, high: 1e-2}}, epochs: 12, schedule: {schedule}}}",
    )
    study, _ = go(wanted, tmp_path)
    for trial in study.history.trials.values():
        assert trial.outcome == "overfit"
        curve = min(e.metrics["val/loss"] for e in trial.evaluations.values())
        if schedule == "cosine":
            assert not trial.branches
            assert trial.value == curve
        else:
            [branch] = trial.branches.values()
            assert trial.value == branch.metrics["val/loss"] == pytest.approx(trial.value)
            assert trial.value < curve
            assert trial.best.branch["training"]["epochs"] == branch.epoch < 12
