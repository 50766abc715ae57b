"""`hpsearch sync`: writes to the views what they lack."""

import os

from hpsearch.views.mlflow.store import run_ids
from tests.cli.test_run import one_line
from tests.searching import experiment, go


def test_what_is_lacking_is_shipped_and_once(story, call):
    (story.home / "lagging").mkdir(mode=0o700)
    go(experiment("study: lagging\nbudget: {trials: 2}\n"), story.home / "lagging")
    before = os.environ.get("MLFLOW_TRACKING_URI")
    code, out, err = call("sync", "lagging", "--home", story.home)
    assert (code, err) == (0, "")
    n = len((story.home / "lagging" / "journal.jsonl").read_bytes().splitlines())
    assert out.splitlines() == [f"{view}: has everything; wrote {n} events" for view in ("mlflow", "optuna")]
    ids = run_ids(story.home, "lagging")
    assert set(ids) == {0, 1}
    assert call("sync", "lagging", "--home", story.home) == (0, "mlflow: has everything\noptuna: has everything\n", "")
    assert run_ids(story.home, "lagging") == ids
    assert os.environ.get("MLFLOW_TRACKING_URI") == before


def test_an_unknown_study_is_one_line(call, tmp_path):
    one_line(call("sync", "none", "--home", tmp_path), 2, r"no study 'none'")
