"""`hpsearch list`: the studies of a home, whatever else lies there."""

import json
import os
import shutil
from pathlib import Path

import pytest

import hpsearch
from hpsearch import journal
from hpsearch.cli import listing
from hpsearch.home.listing import StudySummary
from hpsearch.journal import encode
from hpsearch.journal.study_lock import StudyLock
from tests.cli.test_run import one_line
from tests.searching import ask, evaluation, experiment, go, opened


@pytest.fixture
def home(tmp_path):
    """One finished study, one that a person stopped, one whose driver died, one without a trial."""
    home = tmp_path / "home"
    home.mkdir()
    for number, name in enumerate(("finished", "stopped", "died")):
        wanted = experiment(f"seed: {number}\nstudy: {name}\nbudget: {{trials: 3}}\nsearch: {{pruner: none}}\n")
        go(wanted, home / name, kill_after=9 if name == "died" else None)
        if name == "stopped":
            events = journal.read(home / name / "journal.jsonl")
            events[-1]["reason"] = "interrupted"
            (home / name / "journal.jsonl").write_bytes(b"".join(map(encode, events)))
    opened(experiment("study: empty\n"), home / "empty").journal.close()
    return home


def listed(call, home):
    code, out, err = call("list", "--json", "--home", home)
    assert (code, err) == (0, "")
    return {one["name"]: one for one in json.loads(out)}


def test_it_says_of_each_study_how_far_it_is(home, call):
    found = listed(call, home)
    assert {name: one["state"] for name, one in found.items()} == {
        "finished": "finished", "stopped": "stopped", "died": "interrupted", "empty": "empty"
    }  # fmt: skip
    study = hpsearch.load("finished", home=home)
    one = found["finished"]
    assert (one["done"], one["trials"], one["total"]) == (3, 3, 3)
    assert (one["metric"], one["direction"], one["best"], one["best_trial"]) == (
        "val/loss", "minimize", study.best.value, study.best.number
    )  # fmt: skip
    assert one["last"] == study.history.last
    files = [path for path in (home / "finished").rglob("*") if path.is_file()]
    assert one["bytes"] == sum(path.stat().st_size for path in files)
    assert found["died"]["done"] < found["died"]["trials"] <= 3
    assert [one.name for one in hpsearch.studies(home)] == list(found)
    last = [one["last"] for one in found.values()]
    assert last == sorted(last, reverse=True)


@pytest.mark.parametrize(
    ("confirmed", "seeds", "said"), [(False, 0, ""), (True, 1, " 1 fresh seed"), (True, 2, " confirmed")]
)
def test_one_fresh_seed_is_not_called_a_confirmation(tmp_path, confirmed, seeds, said):
    fields = {"best": 0.975, "metric": "val/f1", "confirmed": confirmed, "fresh_seeds": seeds}
    one = StudySummary("spam", tmp_path, "finished", 1.0, 1, **fields)
    assert listing._best(one) == f"val/f1 0.9750{said}"


def test_people_see_a_table_that_fits_80_columns(home, call, monkeypatch):
    shutil.move(home / "finished", home / ("long-name-" * 9))
    monkeypatch.setattr("hpsearch.displays.console.UNFOLDED", 80)
    code, out, err = call("list", "--home", home)
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    assert "3/3" in out
    assert "interrupted" in out


def test_a_running_study_names_its_process_and_a_lock_without_a_journal_is_one(home, call):
    (home / "opening").mkdir()
    locks = [StudyLock(home / name / "lock", what=name) for name in ("died", "opening")]
    try:
        found = listed(call, home)
        assert found["died"]["state"] == found["opening"]["state"] == "running"
        assert found["died"]["driver"]["pid"] == os.getpid()
        assert f"running, pid {os.getpid()}" in call("list", "--home", home)[1]
    finally:
        for lock in locks:
            lock.release()
    found = listed(call, home)
    assert (found["died"]["state"], found["opening"]["state"]) == ("interrupted", "empty")


def test_a_driver_that_waits_for_its_views_is_finishing_and_the_next_one_is_starting(home, call):
    lock, ended = StudyLock(home / "finished" / "lock", what="finished"), listed(call, home)["finished"]["last"]
    try:
        os.utime(home / "finished" / "lock", (ended - 60, ended - 60))
        assert listed(call, home)["finished"]["state"] == "finishing"
        os.utime(home / "finished" / "lock", (ended + 60, ended + 60))
        assert listed(call, home)["finished"]["state"] == "starting"
    finally:
        lock.release()
    assert listed(call, home)["finished"]["state"] == "finished"


def test_foreign_folders_are_passed_over_and_damaged_journals_hide_nothing(home, call):
    for name in ("artifacts", "cache", "моё", "with space", "a\nb"):
        (home / name).mkdir()
    (home / "моё" / "notes.txt").write_text("x")
    (home / "a\nb" / "journal.jsonl").write_text("hello\n")
    (home / "cut").mkdir()
    whole = (home / "finished" / "journal.jsonl").read_bytes()
    (home / "cut" / "journal.jsonl").write_bytes(whole[: len(whole) // 2])
    (home / "no-object").mkdir()
    (home / "no-object" / "journal.jsonl").write_bytes(encode({"time": 1.0, "event": "study_created", "study": 3}))
    (home / "nothing").mkdir()
    (home / "nothing" / "journal.jsonl").touch()
    found = listed(call, home)
    states = {name: found[name]["state"] for name in ("a\nb", "cut", "no-object", "nothing")}
    assert states == {"a\nb": "damaged", "cut": "interrupted", "no-object": "damaged", "nothing": "empty"}
    assert "моё" not in found
    assert "with space" not in found
    code, out, err = call("list", "--home", home)
    assert (code, err) == (0, "")
    assert "a\\nb" in out  # control characters are escaped
    assert "not an hpsearch journal, or damaged" in out


def test_a_study_that_an_older_version_made_is_listed(home, call):
    events = journal.read(home / "finished" / "journal.jsonl")
    for event in events:
        for key in ("rules", "identity", "environment", "sizes", "folder"):
            event.pop(key, None)
    (home / "finished" / "journal.jsonl").write_bytes(b"".join(map(encode, events)))
    assert listed(call, home)["finished"]["state"] == "finished"


def test_a_larger_budget_counts(home, call):
    """Of the copy of the space file, and of `hpsearch extend`."""
    (home / "stopped" / "space.yaml").write_text("study: stopped\nbudget: {trials: 12}\n")
    with (home / "finished" / "journal.jsonl").open("ab") as file:
        file.write(encode({"time": 2e9, "event": "budget_extended", "limits": {"trials": 40}}))
    found = listed(call, home)
    assert (found["stopped"]["total"], found["finished"]["total"]) == (12, 40)


def test_values_that_are_not_finite_are_null(tmp_path, call):
    study = opened(experiment("search: {pruner: none}\n"), tmp_path / "toy")
    study.start(ask(study), device="cpu", threads=1, worker=0)
    study.report(0, evaluation(1, float("nan")))
    study.journal.close()
    assert listed(call, tmp_path)["toy"]["best"] is None


def test_a_home_that_is_not_there_or_empty(tmp_path, call):
    one_line(call("list", "--home", tmp_path / "none"), 2, r"home .*none: no such folder")
    (tmp_path / "empty").mkdir()
    code, out, _ = call("list", "--home", tmp_path / "empty")
    assert (code, json.loads(call("list", "--json", "--home", tmp_path / "empty")[1])) == (0, [])
    assert "no study yet" in out


READING = [
    *(("show", "x"), ("list",), ("compare", "x", "y"), ("export", "x"), ("stop", "x"), ("sync", "x"), ("repair", "x")),
    *(("repair",), ("ui", "--port", "1"), ("enqueue", "x", "a=1"), ("extend", "x"), ("confirm", "x"), ("audit", "x")),
    *(("delete", "x", "--yes"), ("rename", "x", "y"), ("clean",), ("clean", "x", "--yes")),
]


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_no_command_makes_a_home_that_it_only_reads(tmp_path, call, command):
    code, _, err = call(*command, "--home", tmp_path / "none")
    assert code in (1, 2)
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("state", "ended_by", "said"),
    [
        ("finished", ("trials", "device_hours"), "finished, device hours spent"),
        ("finished", ("hours", "money"), "finished, hours and money spent"),
        ("finished", ("trials",), "finished"),  # the column of trials says it
        ("stopped", (), "stopped"),
    ],
)
def test_the_limit_that_ended_a_study_is_named(state, ended_by, said):
    assert listing.shown_state(StudySummary("s", Path("s"), state, 1.0, 2, ended_by=ended_by)) == said
