"""`hpsearch delete` killed at each point: no half study looks like one, and the same command deletes the rest."""

import json

import pytest

from tests import blank
from tests.cli.test_run import one_line
from tests.faults.homes import all_of, home, killed, left_over, names, template  # noqa: F401
from tests.faults.runs import facts, folder, history
from tests.faults.stores import runs, trials

POINTS = ["deletion_begun", "files_deleted", "runs_hidden", "runs_deleted", "rows_deleted"]


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_deletion_leaves_no_study_and_is_finished(home, call, point):  # noqa: F811
    before = runs(home / "mlflow.db", "other"), trials(home / "optuna.db", "other")
    assert killed(point, "delete", "study", "--yes", "--home", home)
    assert not (home / "study").exists()
    for command in (("show", "study"), ("sync", "study"), ("repair", "study"), ("export", "study")):
        result = call(*command, "--home", home)
        one_line(result, 1, r"study 'study' is deleted in part: `hpsearch delete study --home .*` deletes the rest")
    listed = {one["name"]: one["state"] for one in json.loads(call("list", "--json", "--home", home)[1])}
    assert listed == {"study": "deleting", "other": "interrupted"}
    code, out, err = call("delete", "study", "--yes", "--home", home)
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "study 'study' is deleted"
    assert names(home) == all_of("other") | {"artifacts": names(home)["artifacts"]}
    assert "study" not in names(home)["artifacts"]
    assert [path.name for path in home.glob(".deleting*")] == []
    assert left_over(home / "mlflow.db") == left_over(home / "optuna.db") == 0
    assert (runs(home / "mlflow.db", "other"), trials(home / "optuna.db", "other")) == before
    one_line(call("delete", "study", "--yes", "--home", home), 2, r"no study 'study' in .*; there are: other")


def test_a_new_study_of_the_same_name_begins_anew(zygote, tmp_path):
    """Nothing of the former one is in it, and it comes to the same; until the deletion has ended it is refused."""
    run = ("run", "space.yaml", "--home", "home", "--launcher", "inline")
    cwd = folder(tmp_path / "run")
    blank.home(cwd / "home")
    assert zygote.run(cwd, *run, HPSEARCH_FAILPOINT="").code == 0
    before, created = facts(cwd), history(cwd).created
    delete = ("delete", "space.yaml", "--yes", "--home", "home")
    assert zygote.run(cwd, *delete, HPSEARCH_FAILPOINT="files_deleted").code == -9
    done = zygote.run(cwd, *run, HPSEARCH_FAILPOINT="")
    assert done.code == 1
    assert "study 'toy' is deleted in part: `hpsearch delete toy --home home` deletes the rest" in done.said
    assert zygote.run(cwd, *delete, HPSEARCH_FAILPOINT="").code == 0
    assert zygote.run(cwd, *run, HPSEARCH_FAILPOINT="").code == 0
    assert facts(cwd) == before
    assert history(cwd).created > created
