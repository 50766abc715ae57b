"""Which trials a worker trains together: those of one shape, as many as there are and the device has room for."""

from dataclasses import replace
from random import Random

import pytest

from hpsearch.events import Finished, Interrupted, Notice, Started
from hpsearch.launchers.messages import Failed, Noted
from hpsearch.search.placement.sharing import CONTEXT
from tests.search.test_loop import QUIET, workers
from tests.searching import RANGES, TOY, Scripted, evaluation, experiment, go, says
from tests.simulated_gpus import GIB, SimulatedGpus, slots

HEAD = f"trainer: '{TOY}'\n" + QUIET
BATCHES = RANGES + "  batch_size: {choices: [8, 16]}\n"  # two shapes


class Grouped(Scripted):
    """Notes the groups in their order."""

    def __init__(self, settings, script):
        super().__init__(settings, script)
        self.groups = []

    def train(self, slot, tasks):
        super().train(slot, tasks)
        self.groups.append([task.trial for task in tasks])


class GroupsOnGpus(SimulatedGpus):
    """Notes the groups in their order, and the least and most memory that they had."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.groups = []

    def train(self, slot, tasks):
        super().train(slot, tasks)
        self.groups.append([task.trial for task in tasks])


def healthy(task):
    return says(task, 3.0, 2.5, 2.4)


def wanted(trials, together, body="", ranges=RANGES):
    head = f"budget: {{trials: {trials}}}\nresources: {{trials_per_worker: {together}}}\n"
    return experiment(head + HEAD + body, ranges=ranges)


def ends(study):
    return {trial.number: (trial.outcome, trial.attempt) for trial in study.history.trials.values()}


def batch(study, number):
    return study.history.trials[number].config["training"]["batch_size"]


def test_a_worker_gets_as_many_as_are_wanted_and_the_budget_has(tmp_path):
    launcher = Grouped(workers(tmp_path, 2), healthy)
    study, seen = go(wanted(10, 4), tmp_path / "home", launcher=launcher)
    assert launcher.groups == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert ends(study) == dict.fromkeys(range(10), ("completed", 1))
    assert [(s.trial.number, s.slot) for s in seen if isinstance(s, Started)][:5] == [
        *((n, 0) for n in range(4)),
        (4, 1),
    ]


def test_one_at_a_time_is_the_default(tmp_path):
    launcher = Grouped(workers(tmp_path, 2), healthy)
    go(experiment("budget: {trials: 5}\n" + HEAD), tmp_path / "home", launcher=launcher)
    assert launcher.groups == [[n] for n in range(5)]


@pytest.mark.parametrize("seed", range(4))
def test_a_group_has_one_shape_and_one_of_another_shape_comes_next(tmp_path, seed):
    launcher = Grouped(workers(tmp_path, 2), healthy)
    study, _ = go(wanted(40, 3, f"seed: {seed}\n", BATCHES), tmp_path / "home", launcher=launcher)
    assert sorted(n for group in launcher.groups for n in group) == list(range(40))
    assert {len({batch(study, n) for n in group}) for group in launcher.groups} == {1}
    assert {len(group) for group in launcher.groups} >= {1, 2, 3}
    firsts = [group[0] for group in launcher.groups]
    assert firsts == sorted(firsts)  # whoever waits is the first of the next group
    assert ends(study) == dict.fromkeys(range(40), ("completed", 1))


def test_a_worker_is_free_when_all_of_its_group_have_ended(tmp_path):
    def script(task):
        return says(task, *[3.0 - i / 10 for i in range(9 if task.trial == 1 else 2)])

    launcher = Grouped(workers(tmp_path, 1), script)
    _, seen = go(wanted(6, 3), tmp_path / "home", launcher=launcher)
    order = [(type(s).__name__, s.trial.number) for s in seen if isinstance(s, Started | Finished)]
    assert launcher.groups == [[0, 1, 2], [3, 4, 5]]
    assert order[:7] == [
        *(("Started", n) for n in range(3)),
        *(("Finished", n) for n in (0, 2, 1)),
        ("Started", 3),
    ]


def test_a_warning_in_a_group_names_its_trials(tmp_path):
    launcher = Grouped(workers(tmp_path, 1), lambda task: says(task, *[3.0] * (5 if task.trial == 1 else 2)))
    _, seen = go(wanted(3, 3), tmp_path / "home", launcher=Noting(launcher))
    lines = [event.line for event in seen if isinstance(event, Notice)]
    assert lines == [f"trial{names}: slow disk" for names in ("s 0, 1, 2", "s 0, 1, 2", "s 1, 2", *[" 1"] * 3)]


class Noting:
    """A launcher whose worker logs a warning before all that trial 1 says."""

    def __init__(self, launcher):
        self.launcher, self.settings = launcher, launcher.settings
        self.ready, self.train, self.reply, self.close = launcher.ready, launcher.train, launcher.reply, launcher.close

    def messages(self, timeout):
        for message in self.launcher.messages(timeout):
            if message.trial == 1:
                yield Noted(message.slot, 1, "slow disk")
            yield message


def test_interrupted_trials_are_grouped_before_new_ones(tmp_path):
    go(wanted(9, 2), tmp_path / "home", launcher=Grouped(workers(tmp_path, 2), healthy), kill_after=6)
    launcher = Grouped(workers(tmp_path, 1), healthy)
    study, _ = go(wanted(9, 3), tmp_path / "home", launcher=launcher)
    assert launcher.groups == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert ends(study) == {n: ("completed", 2 if n < 4 else 1) for n in range(9)}


@pytest.mark.parametrize("killed", range(1, 30, 4))
def test_no_kill_of_the_driver_loses_or_adds_a_trial(tmp_path, killed):
    go(wanted(7, 3), tmp_path / "home", launcher=Grouped(workers(tmp_path, 2), healthy), kill_after=killed)
    study, _ = go(wanted(7, 3), tmp_path / "home", launcher=Grouped(workers(tmp_path, 2), healthy))
    assert {n: outcome for n, (outcome, _) in ends(study).items()} == dict.fromkeys(range(7), "completed")


# ------------------------------------------------------------------------------------------------- what fails a group


def fails(kind, reason, *bad):
    """Groups in which a trial of `bad` trains fail after its first evaluation, wherever it is trained."""

    class Failing(Grouped):
        def messages(self, timeout):
            found = super().messages(timeout)
            hit = {message.slot for message in found if message.trial in bad}
            mates = [(slot, trial) for slot, trial in self._running if slot in hit]
            for key in mates:
                del self._running[key]
            rest = [message for message in found if message.slot not in hit]
            return rest + [Failed(slot, trial, kind, reason, "Traceback ...") for slot, trial in mates]

    return Failing


def test_an_error_of_a_group_is_tried_again_one_by_one_and_fails_only_the_bad_one(tmp_path):
    launcher = fails("error", "ValueError: a bug", 1)(workers(tmp_path, 1), healthy)
    study, seen = go(wanted(6, 3), tmp_path / "home", launcher=launcher)
    assert launcher.groups[0] == [0, 1, 2]
    assert sorted(launcher.groups[1:4]) == [[0], [1], [2]]
    assert launcher.groups[4:] == [[3, 4, 5]]
    assert {n: outcome for n, (outcome, _) in ends(study).items()} == {
        n: "failed" if n == 1 else "completed" for n in range(6)
    }
    said = [s.reason for s in seen if isinstance(s, Interrupted)]
    assert said == ["ValueError: a bug; it will be tried once more by itself"] * 3
    assert [path.parent.name for path in (tmp_path / "home").rglob("error.txt")] == ["0001"]


def test_the_next_driver_knows_who_has_no_group_any_more(tmp_path):
    launcher = fails("died", "killed", 1)(workers(tmp_path, 1), healthy)
    _, seen = go(wanted(6, 3), tmp_path / "home", launcher=launcher)
    told = 1 + [isinstance(s, Interrupted) for s in seen].index(True) + 2
    go(
        wanted(6, 3),
        tmp_path / "again",
        launcher=fails("died", "killed", 1)(workers(tmp_path, 1), healthy),
        kill_after=told,
    )
    launcher = Grouped(workers(tmp_path, 1), healthy)
    study, _ = go(wanted(6, 3), tmp_path / "again", launcher=launcher)
    assert sorted(launcher.groups) == [[0], [1], [2], [3, 4, 5]]
    assert {n: outcome for n, (outcome, _) in ends(study).items()} == dict.fromkeys(range(6), "completed")


def test_the_retries_of_a_bad_trial_end_and_those_of_its_mates_are_not_used_up(tmp_path):
    body = HEAD.replace("overfitting: false", "overfitting: false, max_retries: 2")
    assert body != HEAD
    head = "budget: {trials: 6}\nresources: {trials_per_worker: 3}\n"
    launcher = fails("died", "killed", 1)(workers(tmp_path, 1), healthy)
    study, _ = go(experiment(head + body), tmp_path / "home", launcher=launcher)
    assert ends(study)[1] == ("failed", 3)
    assert [ends(study)[n] for n in (0, 2, 3)] == [("completed", 2), ("completed", 2), ("completed", 1)]


def test_missing_memory_is_tried_alone_by_each(tmp_path):
    class Small(Grouped):
        """A device that has room for two trials."""

        def messages(self, timeout):
            found = super().messages(timeout)
            if len(self._running) < 3:
                return found
            everyone, self._running = list(self._running), {}
            return [Failed(slot, trial, "out_of_memory", "out of memory: CUDA", "...") for slot, trial in everyone]

    launcher = Small(workers(tmp_path, 1), healthy)
    study, _ = go(wanted(4, 3), tmp_path / "home", launcher=launcher)
    assert launcher.groups[0] == [0, 1, 2]
    assert sorted(launcher.groups[1:4]) == [[0], [1], [2]]
    assert ends(study) == {n: ("completed", 2 if n < 3 else 1) for n in range(4)}
    assert [study.history.trials[n].alone for n in range(4)] == [True, True, True, False]


def test_a_device_error_of_a_group_is_one_error(tmp_path):
    settings = [replace(setting, device=name) for setting, name in zip(workers(tmp_path), ("a", "b"), strict=True)]

    class Broken(Grouped):
        """Device a fails the first that is placed there."""

        hits = 0

        def messages(self, timeout):
            found = super().messages(timeout)
            there = [key for key in self._running if key[0] == 0]
            if not there or self.hits:
                return found
            self.hits += 1
            self._running = {key: script for key, script in self._running.items() if key not in there}
            rest = [message for message in found if message.slot != 0]
            return rest + [Failed(slot, trial, "device", "CUDA error: x", "...") for slot, trial in there]

    launcher = Broken(settings, healthy)
    study, seen = go(wanted(12, 3), tmp_path / "home", launcher=launcher)
    assert [s.line for s in seen if isinstance(s, Notice)] == []
    assert {n: outcome for n, (outcome, _) in ends(study).items()} == dict.fromkeys(range(12), "completed")
    assert {study.history.trials[n].device for n in range(3, 12)} == {"a", "b"}


# ------------------------------------------------------------------------------------------------------ a GPU's memory


def searched(folder, launcher, experiment):
    return go(experiment, folder / "home", launcher=launcher)[0]


def test_before_the_first_measurement_a_group_is_as_large_as_is_wanted_and_then_as_it_fits(tmp_path):
    """30 GiB each: three fit on 100 GiB; the first group finds out."""
    launcher = GroupsOnGpus(slots(tmp_path, "cuda:0"), lambda trial, config: 30 * GIB, size=100 * GIB)
    study = searched(tmp_path, launcher, wanted(10, 4))
    assert launcher.groups[0] == [0, 1, 2, 3]
    assert sorted(launcher.groups[1:5]) == [[0], [1], [2], [3]]
    assert {len(group) for group in launcher.groups[5:]} == {2}  # 90% of the memory, less a context
    assert {outcome for outcome, _ in ends(study).values()} == {"completed"}


@pytest.mark.parametrize("seed", range(6))
def test_no_gpu_is_too_full_with_groups_of_one_size(tmp_path, seed):
    random = Random(seed)
    together, n_slots, need = random.randint(2, 6), random.randint(1, 4), random.randint(1, 20)
    settings = slots(tmp_path, *["cuda:0", "cuda:1"] * n_slots)
    launcher = GroupsOnGpus(settings, lambda *_: need * GIB, size=200 * GIB, length=lambda trial: 2 + 7 * trial % 5)
    study = searched(tmp_path, launcher, wanted(60, together))
    assert {outcome for outcome, _ in ends(study).values()} == {"completed"}
    assert launcher.failed == []
    assert launcher.highest <= 200 * GIB
    assert max(map(len, launcher.groups)) == together


def test_a_context_is_counted_for_each_process(tmp_path):
    """Two workers x 3: six trials and two contexts take nine tenths of 100 GiB; with six contexts they would not."""
    for tenth, expected in ((148, 6), (149, 5)):  # 6 x 14.8 + 2 x 0.5 = 89.8
        need = int(tenth / 10 * GIB)
        launcher = GroupsOnGpus(slots(tmp_path, *["cuda:0"] * 2), lambda *_, n=need: n, size=100 * GIB)
        (tmp_path / str(tenth)).mkdir()
        searched(tmp_path / str(tenth), launcher, wanted(12, 3))
        assert launcher.most() == expected
        assert launcher.failed == []
    assert CONTEXT == GIB // 2


def test_a_process_keeps_the_memory_of_a_trial_that_has_ended_before_its_group(tmp_path):
    launcher = GroupsOnGpus(
        slots(tmp_path, *["cuda:0"] * 2), lambda *_: 25 * GIB, size=100 * GIB, length=lambda n: 12 if n == 2 else 2
    )
    study = searched(tmp_path, launcher, wanted(9, 3))
    assert launcher.failed == []
    assert {outcome for outcome, _ in ends(study).values()} == {"completed"}
    after = launcher.together[1][1]
    assert 2 not in after  # nothing was placed beside the first group, though only one of its trials was left


def test_a_trial_that_is_tried_alone_has_no_group(tmp_path):
    def script(task):
        if task.trial == 1 and task.attempt == 1:
            return iter([lambda slot: Failed(slot, 1, "out_of_memory", "out of memory: CUDA", "...")])
        return says(task, 3.0, 2.5)

    launcher = Grouped(workers(tmp_path, 2), script)
    go(wanted(2, 1), tmp_path / "home", launcher=launcher)  # two workers share the CPU
    launcher = Grouped(workers(tmp_path, 1), script)
    study, _ = go(wanted(8, 3), tmp_path / "home", launcher=launcher)
    assert all(group == [1] or 1 not in group for group in launcher.groups)
    assert {outcome for outcome, _ in ends(study).values()} == {"completed"}


def test_the_share_of_a_trial_is_what_the_next_driver_expects(tmp_path):
    first = GroupsOnGpus(slots(tmp_path, "cuda:0"), lambda *_: 20 * GIB, size=100 * GIB)
    go(wanted(12, 4), tmp_path / "home", launcher=first, kill_after=12)
    again = GroupsOnGpus(slots(tmp_path, "cuda:0"), lambda *_: 20 * GIB, size=100 * GIB)
    study = searched(tmp_path, again, wanted(12, 9))
    assert again.failed == []
    assert len(again.groups[0]) == 4  # 4 x 20 and a context; a fifth does not fit
    assert {outcome for outcome, _ in ends(study).values()} == {"completed"}
    assert evaluation(1, 2.0).device_memory == 0
