"""`hpsearch rename` killed at each point: nobody writes to half a study, and the same command finishes it."""

import json

import pytest

from tests import blank
from tests.cli.test_run import one_line
from tests.faults.homes import home, killed, left_over, names, template  # noqa: F401
from tests.faults.runs import facts, folder
from tests.faults.stores import runs, trials

POINTS = ["renaming_begun", "runs_renamed", "rows_renamed", "journal_renamed", "folder_renamed"]


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_renaming_is_finished(home, call, point):  # noqa: F811
    before = trials(home / "optuna.db", "study"), runs(home / "mlflow.db", "study")
    assert killed(point, "rename", "study", "new-1", "--home", home)
    there = "new-1" if point == "folder_renamed" else "study"
    for command in (("sync", there), ("repair", there), ("delete", there, "--yes")):
        result = call(*command, "--home", home)
        one_line(result, 1, r"renamed in part.*`hpsearch rename study new-1 --home .*` finishes that")
    assert {one["name"]: one["state"] for one in json.loads(call("list", "--json", "--home", home)[1])} == {
        there: "renaming", "other": "interrupted"
    }  # fmt: skip
    assert call("show", there, "--home", home)[0] == 0  # it can be read
    code, _, err = call("rename", "study", "new-1", "--home", home)
    assert (code, err) == (0, "")
    assert names(home)["folders"] == names(home)["experiments"] == names(home)["optuna"] == ["new-1", "other"]
    assert "study" not in names(home)["artifacts"]
    assert trials(home / "optuna.db", "new-1") == before[0]
    after = runs(home / "mlflow.db", "new-1")
    assert set(after) == {"new-1" if name == "study" else name for name in before[1]}
    assert after["trial-0001"][5] == before[1]["trial-0001"][5]
    code, out, err = call("repair", "new-1", "--home", home)
    assert (code, err) == (0, "")
    assert "mlflow: 3 runs, 49 rows: complete\n" in out
    assert "optuna: 2 trials, 5 values: complete\n" in out
    assert "(before" not in out
    assert left_over(home / "mlflow.db") == left_over(home / "optuna.db") == 0
    assert not (home / "new-1" / "renaming.json").exists()


def test_a_study_that_was_renamed_resumes_to_the_last_bit(zygote, tmp_path):
    """Stopped after a trial and a half, renamed, run to its end: as one that nobody stopped or renamed."""
    run = ("run", "space.yaml", "--home", "home", "--launcher", "inline")
    cwd, whole = folder(tmp_path / "stopped"), folder(tmp_path / "whole")
    blank.home(cwd / "home")
    assert zygote.run(whole, *run, HPSEARCH_FAILPOINT="").code == 0
    environment = {"TOY_CHECKPOINT": "30", "HPSEARCH_FAILPOINT": "report_done:6"}
    assert zygote.run(cwd, *run, **environment).code == -9
    done = zygote.run(cwd, "rename", "space.yaml", "new", "--edit", "--home", "home", HPSEARCH_FAILPOINT="")
    assert done.code == 0, done.said
    assert "space.yaml:2:8: edited: study: new" in done.said
    done = zygote.run(cwd, *run, TOY_CHECKPOINT="30", HPSEARCH_FAILPOINT="")
    assert done.code == 0, done.said
    assert not (cwd / "home" / "toy").exists()
    (cwd / "home" / "new").rename(cwd / "home" / "toy")
    assert facts(cwd) == facts(whole)
