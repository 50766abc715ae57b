"""`hpsearch.enqueue`: the config is tried next, by the running search or the next run, and refused in one line."""

import fcntl
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import hpsearch
from hpsearch.events import Finished, Notice
from hpsearch.journal.queue_file import QueueFile


@pytest.fixture
def run(space, corpus_files, tmp_path, without_views):
    """Searches the space in this process; gives the study."""

    def searched(**changes):
        options = {"home": tmp_path / "home", "base": corpus_files.parent, "launcher": "inline", "progress": False}
        return hpsearch.run(space, **(options | changes))

    return searched


def labels(study):
    return [trial.label for trial in study.history.trials.values()]


def test_a_running_search_tries_it_next(run, tmp_path):
    lines = []

    def progress(event):
        if isinstance(event, Finished) and event.trial.number == 0:
            values = hpsearch.enqueue("toy", {"learning_rate": 2e-3}, home=tmp_path / "home")
            assert values == {"learning_rate": 2e-3, "epochs": 2.5}
        lines.extend([event.line] if isinstance(event, Notice) else [])

    study = run(progress=progress)
    assert labels(study) == ["default", "enqueued", ""]
    assert study.trials[1].params == {"learning_rate": 2e-3, "epochs": 2.5}
    assert "enqueued: learning_rate=0.002 epochs=2.5" in lines


def test_the_next_run_tries_it(run, tmp_path):
    run(trials=1)
    hpsearch.enqueue("toy", {"epochs": 4, "learning_rate": 5e-3}, home=tmp_path / "home")
    hpsearch.enqueue("toy", {"epochs": 1}, home=tmp_path / "home")
    study = run()
    assert labels(study) == ["default", "enqueued", "enqueued"]
    assert [trial.params["epochs"] for trial in study.trials] == [2.5, 4, 1]
    assert run().trials == study.trials


def test_it_waits_for_a_budget_that_has_room(run, tmp_path):
    run(trials=1)
    hpsearch.enqueue("toy", {"epochs": 4}, home=tmp_path / "home")
    lines = []
    run(trials=1, progress=lambda event: lines.extend([event.line] if isinstance(event, Notice) else []))
    waits = [line for line in lines if line.startswith("enqueued: ")]
    assert len(waits) == 1
    assert waits[0].endswith("; it waits for a larger budget (hpsearch extend)")
    study = hpsearch.extend("toy", trials=1, home=tmp_path / "home", workers=1, progress=False)
    assert labels(study) == ["default", "enqueued"]


def test_after_a_search_over_horizons_a_config_is_trained_whole(run, space, tmp_path):
    """Although the study has tried it in a short training, and has no room for another config."""
    space["search"] = {"shift": True, "sampler": "random", "confirm": False}
    space["budget"] = {"trials": 5}
    found = run()
    whole = {trial.of for trial in found.history.trials.values() if trial.horizon == 1}
    short = next(one for one in found.history.trials.values() if one.horizon < 1 and one.number not in whole)
    hpsearch.enqueue("toy", short.params, home=tmp_path / "home")
    lines = []
    study = run(progress=lambda event: lines.extend([event.line] if isinstance(event, Notice) else []))
    last = study.history.trials[len(study.trials) - 1]
    assert (last.of, last.horizon, last.label) == (short.number, 1, "enqueued")
    assert study.history.configs == found.history.configs == 5
    assert not any("waits for a larger budget" in line for line in lines)


def test_a_policy_of_your_own_sees_it_as_a_trial(run, space, tmp_path):
    class Three:
        def next(self, history):
            made = len(history.trials)
            return hpsearch.New({"learning_rate": 4e-3, "epochs": 1 + made}) if made < 3 else hpsearch.Nothing()

        def judge(self, history, trial):
            return hpsearch.Judgement()

    run(policy=Three(), trials=1)
    hpsearch.enqueue("toy", {"epochs": 1.5}, home=tmp_path / "home")
    study = run(policy=Three())
    assert labels(study) == ["", "enqueued", ""]
    assert [trial.params["epochs"] for trial in study.trials] == [1, 1.5, 3]


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"rate": 1e-3}, r"rate: no range of this space: unknown key; allowed: learning_rate, epochs"),
        ({"learning_rat": 1e-3}, r"learning_rat: no range .* did you mean 'learning_rate'\?"),
        ({"learning_rate": 1}, r"learning_rate: 1 is not in its range \(low 0\.001, high 0\.01, log true\)"),
        ({"learning_rate": "fast"}, r"learning_rate: 'fast' is not in its range .*"),
        ({"epochs": None}, r"epochs: null is not in its range .*"),
        ({"epochs": [1, 2]}, r"epochs: a list is not in its range .*"),
        ({}, r"trial 0 has this config"),
        ({"epochs": 2.5}, r"trial 0 has this config"),
        ({"epochs": 3}, r"this config is enqueued already"),
    ],
)
def test_what_cannot_be_tried_is_refused_in_one_line(run, tmp_path, params, said):
    run(trials=1)
    hpsearch.enqueue("toy", {"epochs": 3.0}, home=tmp_path / "home")
    with pytest.raises(hpsearch.UserError) as refused:
        hpsearch.enqueue("toy", params, home=tmp_path / "home")
    assert re.fullmatch(f"study 'toy': {said}", str(refused.value))


def test_wrong_arguments_are_refused(tmp_path):
    with pytest.raises(hpsearch.UserError, match=r"^params: \[\] is not allowed; allowed: a mapping "):
        hpsearch.enqueue("toy", [], home=tmp_path)
    way_out = r"\(run it first, or name the config in search\.first\)"
    with pytest.raises(hpsearch.UserError, match=rf"^no study 'toy' in .*; it has no study yet {way_out}$"):
        hpsearch.enqueue("toy", {"epochs": 2}, home=tmp_path)


def test_of_two_at_once_the_second_is_refused(run, tmp_path, monkeypatch):
    """It checks what the first has added, since it waits for the lock before it reads the queue."""
    run(trials=1)
    at_the_lock, lock = threading.Event(), fcntl.flock

    def flock(file, operation):
        if threading.current_thread() is not threading.main_thread():
            at_the_lock.set()
        lock(file, operation)

    monkeypatch.setattr("hpsearch.journal.queue_file.fcntl.flock", flock)
    queue = QueueFile(tmp_path / "home" / "toy")
    with ThreadPoolExecutor() as pool:
        with queue.locked():
            second = pool.submit(hpsearch.enqueue, "toy", {"epochs": 3}, home=tmp_path / "home")
            assert at_the_lock.wait(30)
            queue.add({"learning_rate": run(trials=1).trials[0].params["learning_rate"], "epochs": 3.0})
        with pytest.raises(hpsearch.UserError, match=r"^study 'toy': this config is enqueued already$"):
            second.result()
    assert len(QueueFile(tmp_path / "home" / "toy").new()) == 1


def test_the_driver_checks_what_others_have_written(run, tmp_path):
    """Two people may enqueue the same config at once, and the study may have proposed it meanwhile."""
    run(trials=1)
    queue = QueueFile(tmp_path / "home" / "toy")
    for wanted in ({"epochs": 3.0}, {"epochs": 3}, {"epochs": 99}, {"nothing": {"a": []}}):
        queue.add(wanted)
    lines = []
    study = run(progress=lambda event: lines.extend([event.line] if isinstance(event, Notice) else []))
    assert labels(study) == ["default", "enqueued", ""]
    refused = [line for line in lines if line.startswith("warning: an enqueued config is refused: ")]
    assert len(refused) == 3
    assert "this config is enqueued already" in refused[0]
    assert [request.internal is None for request in study.history.requests.values()] == [False, True, True, True]
