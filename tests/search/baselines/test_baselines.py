"""Baselines are measured once for a study, in a process of their own, and cost it nothing when they fail."""

import json
import math
import os
import subprocess
import time
from pathlib import Path

import pytest

import hpsearch
from hpsearch import journal
from hpsearch.contract import WorkerSettings
from hpsearch.events import Notice
from hpsearch.search.baselines.baselines import Baselines
from hpsearch.search.baselines.process import BaselineProcess, has_baselines
from hpsearch.space.experiment import Experiment
from hpsearch.testing.toy import Toy
from hpsearch.trainers.causal_lm import CausalLM
from tests.api.conftest import space, without_views  # noqa: F401
from tests.cli.processes import started, wait_for
from tests.searching import experiment, opened

pytestmark = pytest.mark.usefixtures("without_views")
HERE = "python:tests.baseline_trainers:"


def settings(folder):
    return WorkerSettings("cpu", 1, folder, folder)


@pytest.fixture
def measured(tmp_path):
    """The results of a trainer's process that has ended."""

    def run(name, config=None):
        wanted = experiment().space_file.config.model_dump(mode="json") if config is None else config
        process = BaselineProcess(f"{HERE}{name}", wanted, settings(tmp_path))
        process._reader.join(120)
        assert not process.running
        return process.results

    return run


@pytest.fixture
def run(space, tmp_path):  # noqa: F811
    """Runs a search with a trainer of baseline_trainers; returns the study and its notices."""

    def call(name, **options):
        lines = []
        show = lambda event: lines.append(event.line) if isinstance(event, Notice) else None  # noqa: E731
        wanted = {**space, "trainer": f"{HERE}{name}", **options.pop("space", {})}
        given = {"home": tmp_path / "home", "base": tmp_path, "launcher": "inline", "progress": show}
        return hpsearch.run(wanted, **{**given, **options}), lines

    return call


def test_results_and_failures_are_told_apart(measured):
    found = measured("Two")
    assert [(one["name"], one["metrics"], one["note"]) for one in found.baselines] == [
        ("far too good", {"val/loss": 0.25}, "learnt from nothing"),
        ("far too bad", {"val/loss": 1e6}, ""),
    ]
    assert found.failed == ["wrong: cannot be measured (ValueError: no such\\x1b label)"]


def test_a_process_that_dies_keeps_what_it_measured(measured):
    found = measured("Dies")
    assert [one["name"] for one in found.baselines] == ["first"]
    assert found.failed == ["the process that measures the baselines ended (exit code 3)"]


@pytest.mark.parametrize(
    ("name", "reason"), [("Raises", "AttributeError: 'WorkerSettings' object"), ("Missing", "has no attribute")]
)
def test_a_wrong_trainer_is_a_line(measured, name, reason):
    found = measured(name)
    assert found.baselines == []
    assert len(found.failed) == 1
    assert reason in found.failed[0]


def test_closing_ends_the_process_at_once(tmp_path):
    process = BaselineProcess(f"{HERE}Slow", experiment().space_file.config.model_dump(mode="json"), settings(tmp_path))
    assert process.running
    process.close()
    assert process._process.poll() is not None


def test_it_ends_when_its_driver_is_gone(tmp_path):
    process = BaselineProcess(f"{HERE}Slow", experiment().space_file.config.model_dump(mode="json"), settings(tmp_path))
    process._process.stdin.close()  # what the system does when the driver dies
    process._reader.join(120)
    assert process._process.poll() is not None


def children(pid):
    """The processes that measure baselines for a driver."""
    found = subprocess.run(["ps", "-ww", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    lines = [line.split(maxsplit=2) for line in found.splitlines() if "hpsearch.search.baselines.process" in line]
    return [int(own) for own, parent, _ in lines if int(parent) == pid]


def test_a_killed_driver_leaves_no_process_behind(space_file, tmp_path):
    space_file(f"study: toy\ntrainer: '{HERE}Slow'\nresources: {{launcher: inline}}\n")
    root = str(Path(__file__).parents[3])
    driver = started("run", "space.yaml", cwd=tmp_path, views=False, TOY_STEP="0.1", PYTHONPATH=root)
    [child] = wait_for(lambda: children(driver.pid))
    driver.kill()
    driver.communicate()
    wait_for(lambda: not os.path.exists(f"/proc/{child}"))


def test_it_gives_way_to_the_trainings(tmp_path):
    process = BaselineProcess(f"{HERE}Slow", experiment().space_file.config.model_dump(mode="json"), settings(tmp_path))
    deadline = time.monotonic() + 120
    while os.getpriority(os.PRIO_PROCESS, process._process.pid) < min(19, os.nice(0) + 10):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.close()


def test_only_trainers_that_define_some_have_baselines():
    assert has_baselines(CausalLM())
    assert not has_baselines(Toy())


def test_a_search_records_them_once_and_compares_the_winner(run, tmp_path):
    study, lines = run("Two")
    assert "baselines: far too good (val/loss 0.2500), learnt from nothing; far too bad (val/loss 1e+06)" in lines
    assert "warning: baseline: wrong: cannot be measured (ValueError: no such\\x1b label)" in lines
    assert [one["name"] for one in study.baselines] == ["far too good", "far too bad"]
    assert study.default == study.trials[0]
    _, lines = run("Two", trials=5)
    assert not any(line.startswith("baselines: ") for line in lines)
    path = tmp_path / "home" / "toy" / "journal.jsonl"
    assert [event["event"] for event in journal.read(path)].count("baselines_measured") == 1


def test_best_yaml_says_what_the_winner_beats(run, tmp_path):
    study, _ = run("Two")
    text = (tmp_path / "home" / "toy" / "best.yaml").read_text()
    assert "# the winner beats far too bad (val/loss 1e+06, by 1e+06 ± " in text
    assert f"# warning: the winner does not beat far too good: val/loss {study.best.value:.4f} against 0.2500\n" in text
    Experiment.load(tmp_path / "home" / "toy" / "best.yaml").train_config()


def test_show_and_export_say_it_too(run, call, tmp_path):
    study, _ = run("Two")
    said = f"the winner does not beat far too good: val/loss {study.best.value:.4f} against 0.2500"
    out = call("show", "toy", "--home", tmp_path / "home")[1]
    assert "the winner beats far too bad (val/loss 1e+06, by 1e+06 ± " in out
    assert f"warning: {said}" in " ".join(out.split())
    out = call("export", "toy", "--home", tmp_path / "home", "-o", tmp_path / "best.yaml")[1]
    assert f"warning: {said}" in out
    found = json.loads(call("show", "toy", "--json", "--home", tmp_path / "home")[1])
    assert [one["name"] for one in found["baselines"]] == ["far too good", "far too bad"]
    assert found["default"] == 0
    assert set(found["bands"]["params"]) == {"learning_rate", "epochs"}


@pytest.mark.parametrize("name", ["Dies", "Raises"])
def test_a_failure_is_a_warning_and_the_search_is_complete(run, name):
    study, lines = run(name)
    assert len(study.trials) == 3
    assert study.best is not None
    assert len([line for line in lines if line.startswith("warning: baseline: ")]) == 1


def test_what_failed_is_measured_again_when_asked_for_or_by_other_code(run, space, tmp_path, monkeypatch):  # noqa: F811
    path = tmp_path / "home" / "toy" / "journal.jsonl"
    times = lambda: [event["event"] for event in journal.read(path)].count("baselines_measured")  # noqa: E731
    _, lines = run("Raises")
    assert times() == 1
    assert "the baselines are measured again when their code has changed, or with `baselines: retry`" in lines
    _, lines = run("Raises")
    assert (times(), [line for line in lines if "baseline" in line]) == (1, [])
    run("Raises", space={"search": {**space["search"], "baselines": "retry"}})
    assert times() == 2
    monkeypatch.setattr("hpsearch.search.baselines.baselines.versions", lambda: {"hpsearch": "0.0.1"})
    run("Raises")
    assert times() == 3


def test_they_can_be_switched_off(run, space):  # noqa: F811
    study, lines = run("Two", space={"search": {**space["search"], "baselines": False}})
    assert study.history.baselines == []
    assert not any("baseline" in line for line in lines)


def test_a_run_with_nothing_left_to_train_measures_what_the_last_one_lacks(run, space):  # noqa: F811
    """As after a Ctrl-C when all trials had ended: they were switched off here, which leaves the same journal."""
    study, _ = run("Two", space={"search": {**space["search"], "baselines": False}})
    assert study.history.baselines == []
    again, lines = run("Two")
    assert len(again.trials) == len(study.trials)
    assert [one["name"] for one in again.baselines] == ["far too good", "far too bad"]
    assert any(line.startswith("baselines: far too good") for line in lines)


def test_a_stop_does_not_wait_for_them(run, monkeypatch):
    """It would wait without end."""
    monkeypatch.setattr("hpsearch.search.baselines.baselines.PATIENCE", math.inf)
    study, _ = run("Slow", stopping=lambda: True)
    assert study.trials == ()
    assert study.baselines == []


def test_the_end_of_a_search_waits_for_a_while(tmp_path, monkeypatch):
    monkeypatch.setattr("hpsearch.search.baselines.baselines.PATIENCE", 0.0)
    study = opened(experiment(f"trainer: '{HERE}Slow'\n"), tmp_path / "toy")
    baselines = Baselines(study, settings(tmp_path))
    assert list(baselines.collect()) == []
    said = [notice.line for notice in baselines.await_results(lambda: False)]
    assert said == ["warning: the baselines are not measured yet; the next run measures them"]
    baselines.close()
    study.journal.close()


def test_the_wait_for_them_is_named_and_is_no_searching(run, tmp_path, monkeypatch):
    monkeypatch.setattr("hpsearch.search.baselines.baselines.PATIENCE", 2.0)
    monkeypatch.setattr("hpsearch.search.baselines.baselines.SAID_AFTER", 0.0)
    began = time.time()
    study, lines = run("Slow")
    took = time.time() - began
    assert lines[-2:] == [
        "all trials are saved; measuring the baselines (Ctrl-C: the next run does)",
        "warning: the baselines are not measured yet; the next run measures them",
    ]
    ended = max(trial.last for trial in study.history.trials.values())
    [stop] = [e for e in journal.read(tmp_path / "home" / "toy" / "journal.jsonl") if e["event"] == "driver_stopped"]
    assert stop["reason"] == "finished"
    assert stop["time"] - ended < 1.9 < took  # without the 2 s of the wait
    assert study.history.seconds < took - 2.0


@pytest.mark.parametrize("value", ["maybe", "1", "{}"])
def test_the_switch_is_true_false_or_retry(value):
    said = r"space.yaml:\d+:\d+: search.baselines: must be true, false or retry, not "
    with pytest.raises(hpsearch.ConfigError, match=said):
        experiment(f"search: {{baselines: {value}}}\n")
