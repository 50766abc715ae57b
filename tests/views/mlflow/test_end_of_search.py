"""What stands in MLflow first at the end of a search: the headline and the ranks, before anything is drawn."""

from __future__ import annotations

from typing import Any

import pytest

from hpsearch.results import pictures
from hpsearch.views import shipping
from hpsearch.views.follower import Follower, lacking, undrawn, unsent
from hpsearch.views.mlflow.artifacts import Artifacts
from hpsearch.views.mlflow.store import Store
from tests.views.conftest import NewStudy, runs_of
from tests.views.mlflow.test_arrangement import NOTE, tags_of


def follower_of(study: Any) -> Follower:
    view = shipping.view_named("mlflow", study.folder, study.home, None)
    return Follower(view, study.folder, say=lambda line: None)


def cut_short(study: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ships until the first picture of the study would be drawn: then the time is over."""

    def over(*whatever: Any) -> None:
        raise SystemExit  # as a kill: no `except Exception` may go on

    with monkeypatch.context() as patched:
        patched.setattr(Artifacts, "study", over)
        follower = follower_of(study)
        with pytest.raises(SystemExit):
            follower.step()
        follower.close()


def test_headline_and_ranks_stand_before_a_picture_is_drawn(
    client: Any, new_study: NewStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = new_study("foremost")
    study.later(event="driver_stopped", reason="finished")
    cut_short(study, monkeypatch)
    assert tags_of(client, "foremost")[NOTE].startswith("**Best: trial 1**, val/loss **1.5000**")
    ranks = {name: run.data.tags.get("rank") for name, run in runs_of(client, "foremost").items()}
    assert ranks["trial-0001"] == "1"
    assert ranks["trial-0000"] == "2"
    assert (unsent(study.folder, "mlflow"), undrawn(study.folder, "mlflow")) == (0, ["the pictures"])
    assert lacking(study.folder, "mlflow") == 1  # so that the end of the search, and `hpsearch ui`, say so
    monkeypatch.setattr(Store, "draws", True)
    monkeypatch.setattr(pictures, "STUDY_PICTURES", {})  # a second of each run of this test
    shipping.sync(study.folder, study.home, None, ["mlflow"])
    assert lacking(study.folder, "mlflow") == 0
    assert "artifacts/report.html" in tags_of(client, "foremost")[NOTE]  # it is named once it is there


def test_headline_and_ranks_of_a_search_stand_before_its_export_is_written(
    client: Any, new_study: NewStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hpsearch.views.mlflow.winner import Winner

    study = new_study("unexported")
    study.later(event="driver_stopped", reason="finished")
    study.later(event="study_exported", path=str(study.folder / "best.yaml"), trial=1)

    def over(winner: Winner, trial: int) -> str:
        raise SystemExit

    monkeypatch.setattr(Winner, "_mark", over)
    follower = follower_of(study)
    with pytest.raises(SystemExit):
        follower.step()
    follower.close()
    assert tags_of(client, "unexported")[NOTE].startswith("**Best: trial 1**, val/loss **1.5000**")
    assert runs_of(client, "unexported")["trial-0001"].data.tags["rank"] == "1"
