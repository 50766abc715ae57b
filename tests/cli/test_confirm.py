"""`hpsearch confirm`, and what `run` and `show` say of a confirmation."""

import json
import re

import pytest

from tests import blank
from tests.cli.processes import hpsearch
from tests.faults.runs import folder, history


@pytest.fixture(scope="module")
def cwd(tmp_path_factory):
    """The folder of a study of three trials, searched and then confirmed."""
    made = folder(tmp_path_factory.mktemp("confirm") / "run")
    space = (made / "space.yaml").read_text().replace(", confirm: false", "")
    (made / "space.yaml").write_text(space)
    blank.home(made / "home")
    return made


@pytest.fixture(scope="module")
def said(cwd):
    """The output of `run`, of `confirm`, and of the same `confirm` again."""
    done = [hpsearch("run", "space.yaml", "--home", "home", "--workers", "1", cwd=cwd)]
    for _ in range(2):
        command = ("confirm", "toy", "--home", "home", "--top", "2", "--seeds", "2", "--workers", "2")
        done.append(hpsearch(*command, cwd=cwd))
    assert [(one.returncode, one.stderr) for one in done] == [(0, "")] * 3
    return [one.stdout for one in done]


def test_a_run_says_that_a_small_study_is_not_confirmed_and_what_does_it(said):
    line = (
        "the winner is not confirmed with fresh seeds: it has fewer than 10 trials; "
        "hpsearch confirm toy --home home does it"
    )
    assert said[0].splitlines().count(line) == 1
    assert "not confirmed" not in said[1]


def test_confirm_says_each_repeat_and_who_wins(said, cwd):
    found = history(cwd).confirmation
    for one in found.finalists:
        for repeat in (1, 2):
            assert f"repeat {repeat} of trial {one.trial} finished: " in said[1]
        assert re.search(rf"^  trial {one.trial}( \(the default config\))?: {one.mean:.4f} ± ", said[1], re.M)
    winner = f"trial {found.winner.trial}, val/loss {found.winner.mean:.4f} ± "
    assert f"confirmed with 2 fresh seeds each: the winner is {winner}" in said[1]
    assert "(the default config)" in said[1]
    assert any("default config" in line and "with fresh seeds" in line for line in said[1].splitlines())
    assert f"sigma {found.sigma:.2g} (2 degrees of freedom), ± is a 95% interval, means within " in said[1]


def test_the_same_again_trains_nothing(said):
    assert "finished" not in said[2]
    assert "confirmed with 2 fresh seeds each" in said[2]


def test_show_lists_the_repeats_apart(said, cwd):
    shown = hpsearch("show", "toy", "--home", "home", cwd=cwd).stdout
    assert "trained again with fresh seeds" in shown
    assert "confirmed with 2 fresh seeds each" in shown
    found = json.loads(hpsearch("show", "toy", "--home", "home", "--json", cwd=cwd).stdout)
    assert [trial["number"] for trial in found["trials"]] == [0, 1, 2]
    assert found["confirmation"] == history(cwd).confirmation.to_dict()
    assert found["best"]["number"] == found["confirmation"]["winner"]
    assert len({one["seed"] for one in found["repeats"]}) == 4
    assert {one["confirms"] for one in found["repeats"]} == {one["trial"] for one in found["confirmation"]["finalists"]}


def test_mlflow_has_the_repeats_as_runs_of_a_group(said, cwd):
    from hpsearch.views.mlflow.store import Store

    synced = hpsearch("sync", "toy", "--home", "home", cwd=cwd)  # a busy machine ends a run before its views
    assert synced.returncode == 0, synced.stdout + synced.stderr
    store, found = Store(cwd / "home", None), history(cwd)
    store.prepare()
    runs = [run.data.tags for run in store.client.search_runs([store.experiment("toy")], max_results=100)]
    [study] = [tags for tags in runs if tags["hpsearch.kind"] == "study"]
    repeats = [tags for tags in runs if tags.get("hpsearch.group") == "confirmation"]
    assert sorted((int(t["hpsearch.confirms"]), int(t["hpsearch.repeat"]), int(t["seed"])) for t in repeats) == sorted(
        (one.confirms, one.repeat, one.config["seed"]) for one in found.repeats.values()
    )
    assert len({tags["mlflow.parentRunId"] for tags in runs if tags["hpsearch.kind"] == "trial"}) == 1
    assert float(study["confirmed_mean"]) == pytest.approx(found.confirmation.winner.mean)
    assert float(study["seed_sigma"]) == pytest.approx(found.confirmation.sigma)
    assert study["best_trial"] == str(found.confirmation.winner.trial)
    store.close()
