"""A trial has room beside others or not; one that runs out of memory there is tried once more alone, whatever happens
to the driver.
"""

from dataclasses import replace

import pytest

from hpsearch import journal
from hpsearch.contract import Evaluation
from hpsearch.events import Finished, Interrupted
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.launchers.messages import Failed
from hpsearch.search.placement.sharing import CONTEXT, Sharing
from hpsearch.trainers import default
from tests.search.test_loop import QUIET, workers
from tests.searching import Scripted, experiment, go, opened, says
from tests.simulated_gpus import GIB

WANT = "out of memory: 9 GiB asked for"


class Watched(Scripted):
    """Notes which trials were in training, and where, whenever one was placed."""

    def __init__(self, settings, script):
        super().__init__(settings, script)
        self.together = []

    def train(self, slot, tasks):
        super().train(slot, tasks)
        self.together.append({trial: self.settings[s].device for s, trial in self._running})


def big(*numbers, attempts=1):
    """Trials of these numbers run out of memory in their first attempts; all others are well, and take longer."""

    def script(task):
        if task.trial in numbers and task.attempt <= attempts:
            yield from says(task, 3.0, end=False)
            yield lambda slot: Failed(slot, task.trial, "out_of_memory", WANT, "Traceback ...")
        else:
            yield from says(task, 3.0, 2.5, 2.4, 2.3, 2.2)

    return script


def outcomes(study):
    return {n: (t.outcome, t.state, t.attempt) for n, t in study.history.trials.items()}


def company(launcher, number, attempt):
    """The trials in training when this attempt began, and all placed until the next of its device ended."""
    at = next(i for i, task in enumerate(launcher.tasks) if (task.trial, task.attempt) == (number, attempt))
    return launcher.together[at]


def test_it_has_the_device_for_itself_the_second_time(tmp_path):
    launcher = Watched(workers(tmp_path, 3), big(1))
    study, seen = go(experiment("budget: {trials: 6}\n" + QUIET), tmp_path / "home", launcher=launcher)
    assert outcomes(study)[1] == ("completed", "COMPLETE", 2)
    assert {outcome for outcome, *_ in outcomes(study).values()} == {"completed"}
    paused = [h.reason for h in seen if isinstance(h, Interrupted)]
    assert paused == [f"{WANT}; it will be tried once more alone on cpu"]
    assert company(launcher, 1, 2) == {1: "cpu"}
    later = [together for together in launcher.together if 1 in together and len(together) > 1]
    assert later == launcher.together[1:3]  # before it failed; nothing was placed beside it after that


def test_alone_it_has_told_what_it_is(tmp_path):
    launcher = Watched(workers(tmp_path, 2), big(0, attempts=9))
    study, seen = go(experiment("budget: {trials: 4}\n" + QUIET), tmp_path / "home", launcher=launcher)
    assert outcomes(study)[0] == ("out_of_memory", "PRUNED", 2)
    assert study.history.trials[0].reason == WANT
    assert sum(isinstance(h, Finished) for h in seen) == 4
    assert company(launcher, 0, 2) == {0: "cpu"}


def test_all_at_once_are_tried_one_after_the_other(tmp_path):
    """The one that is heard of last shared the device all the same."""
    launcher = Watched(workers(tmp_path, 3), big(0, 1, 2))
    study, _ = go(experiment("budget: {trials: 3}\n" + QUIET), tmp_path / "home", launcher=launcher)
    assert set(outcomes(study).values()) == {("completed", "COMPLETE", 2)}
    assert all(company(launcher, number, 2) == {number: "cpu"} for number in range(3))


def test_a_trial_that_was_alone_is_not_tried_again(tmp_path):
    launcher = Watched(workers(tmp_path, 1), big(0))
    study, _ = go(experiment("budget: {trials: 2}\n" + QUIET), tmp_path / "home", launcher=launcher)
    assert outcomes(study)[0] == ("out_of_memory", "PRUNED", 1)


def test_the_other_device_goes_on_meanwhile(tmp_path):
    one, other = workers(tmp_path)
    settings = [replace(one, device="cuda:0"), replace(other, device="cuda:1")] * 2
    launcher = Watched(settings, big(0))
    study, _ = go(experiment("budget: {trials: 9}\n" + QUIET), tmp_path / "home", launcher=launcher)
    assert outcomes(study)[0] == ("completed", "COMPLETE", 2)
    again = next(i for i, task in enumerate(launcher.tasks) if (task.trial, task.attempt) == (0, 2))
    meanwhile = [dict(together) for together in launcher.together[again:] if 0 in together]
    assert {together.pop(0) for together in meanwhile} == {"cuda:0"}
    assert {device for together in meanwhile for device in together.values()} == {"cuda:1"}


@pytest.mark.parametrize("device", ["cpu", "cuda:7"])
def test_the_next_driver_knows_it(tmp_path, device):
    """Killed at any moment after the trial ran out of memory; the next has the same device, or another."""
    wanted = experiment("budget: {trials: 4}\n" + QUIET)
    launcher = Watched(workers(tmp_path), big(1))
    _, seen = go(wanted, tmp_path / "home", launcher=launcher)
    put_back = 1 + next(i for i, h in enumerate(seen) if isinstance(h, Interrupted))
    for killed in range(put_back, len(seen)):
        home = tmp_path / f"home-{killed}"
        study, _ = go(wanted, home, launcher=Watched(workers(tmp_path), big(1)), kill_after=killed)
        if study.history.trials[1].outcome is not None:
            continue
        again = Watched([replace(setting, device=device) for setting in workers(tmp_path)], big())
        study, _ = go(wanted, home, launcher=again)
        attempt = study.history.trials[1].attempt
        assert company(again, 1, attempt) == {1: device}
        assert {outcome for outcome, *_ in outcomes(study).values()} == {"completed"}


def test_a_driver_killed_in_the_attempt_alone_gives_no_second(tmp_path):
    wanted = experiment("budget: {trials: 2}\n" + QUIET)
    study, seen = go(wanted, tmp_path / "one", launcher=Watched(workers(tmp_path), big(1, attempts=9)))
    assert outcomes(study)[1] == ("out_of_memory", "PRUNED", 2)
    began = 1 + max(i for i, h in enumerate(seen) if getattr(h, "attempt", 0) == 2)
    go(wanted, tmp_path / "two", launcher=Watched(workers(tmp_path), big(1, attempts=9)), kill_after=began)
    study, _ = go(wanted, tmp_path / "two", launcher=Watched(workers(tmp_path), big(1, attempts=9)))
    assert outcomes(study)[1] == ("out_of_memory", "PRUNED", 3)


def test_the_journal_says_it(tmp_path):
    study, _ = go(
        experiment("budget: {trials: 2}\n" + QUIET), tmp_path / "home", launcher=Watched(workers(tmp_path), big(1))
    )
    events = [e for e in journal.read(study.journal.path) if e["event"] == "trial_interrupted"]
    assert [(e["trial"], e["alone"]) for e in events] == [(1, True)]
    again = opened(experiment("budget: {trials: 2}\n" + QUIET), tmp_path / "home")
    assert again.history.trials[1].alone
    again.journal.close()


# ---------------------------------------------------------------------------------------------------------- packing


def gpu(*gib, size=100):
    """A GPU of so many GiB, with trials that take these, and the last one that has measured nothing."""
    found = {n: TrialHistory(n, device="cuda:0", evaluations={1: says_it(peak, size)}) for n, peak in enumerate(gib)}
    return Sharing(found | {len(gib): TrialHistory(len(gib))}, default())


def says_it(peak, size=100):
    return Evaluation(1, 1, 0.1, {}, peak_memory=int(peak * GIB), device_memory=size * GIB)


@pytest.mark.parametrize(("third", "fits"), [(28.5, True), (28.6, False)])
def test_nine_tenths_of_a_gpu_are_given_out_with_a_context_for_each(third, fits):
    sharing = gpu(30, 30, third)
    sharing.started(0, [0], "cuda:0")
    sharing.started(1, [1], "cuda:0")
    assert sharing.fits(2, "cuda:0") is fits  # 88.5 and three half GiB are 90


def test_a_process_that_has_no_trial_keeps_its_context():
    sharing = gpu(1, 1, 1, 87.9, 99)
    for number in range(3):
        sharing.started(number, [number], "cuda:0")
    sharing.ended(0, "cuda:0")
    sharing.ended(1, "cuda:0")
    assert not sharing.fits(3, "cuda:0")  # 1 + 87.9, and three contexts where two would leave room
    sharing.ended(2, "cuda:0")
    assert sharing.fits(4, "cuda:0")  # nobody else is there: it has to be tried


def test_two_gpus_have_each_their_own():
    sharing = gpu(60, 40)
    sharing.started(0, [0], "cuda:0")
    assert not sharing.fits(1, "cuda:0")
    assert sharing.fits(1, "cuda:1")
    sharing.started(1, [1], "cuda:1")
    assert not sharing.fits(2, "cuda:1")  # of that one nobody knows the size yet


def test_out_of_memory_beside_others_says_that_it_takes_more_than_they_left():
    sharing = gpu(20, 20, 20)
    for number in range(4):
        sharing.started(number, [number], "cuda:0")
    sharing.ended(3, "cuda:0")
    sharing._trials[3].device = "cuda:0"
    assert sharing.had_company(3)
    sharing.isolate(3)
    assert sharing.peaks.expected(3) == 100 * GIB - 60 * GIB - 4 * CONTEXT
    sharing.started(3, [3], "cuda:0")
    sharing.peaks.measured(3, says_it(25))
    assert sharing.peaks.expected(3) == 25 * GIB


def test_a_trial_waits_for_one_gpu_and_for_another_when_that_is_used_no_more():
    sharing = gpu(60, 60, 60)
    assert sharing.reserve(2, "cuda:0", usable=lambda: {"cuda:0", "cuda:1"})
    assert not sharing.reserve(2, "cuda:1", usable=lambda: {"cuda:0", "cuda:1"})
    assert (sharing.reserved_for("cuda:0"), sharing.reserved_for("cuda:1")) == (2, None)
    assert sharing.reserve(2, "cuda:1", usable=lambda: {"cuda:1"})
    assert (sharing.reserved_for("cuda:0"), sharing.reserved_for("cuda:1")) == (None, 2)
    sharing.started(2, [2], "cuda:1")
    assert sharing.reserved_for("cuda:1") is None
