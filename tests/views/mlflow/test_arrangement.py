"""What the view writes to arrange MLflow's pages, in a real store."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import pytest

from hpsearch.home.repair import repair
from hpsearch.views import shipping
from hpsearch.views.follower import read_state, state_file
from hpsearch.views.mlflow.arrangement import ranking, shown
from hpsearch.views.mlflow.saved_view import TAG
from hpsearch.views.mlflow.store import experiment_id, run_ids
from tests.views.conftest import NewStudy, evaluation, runs_of
from tests.views.mlflow.test_saved_view import opened

NOTE = "mlflow.note.content"


def ship(study: Any, **options: Any) -> dict[str, int]:
    return shipping.sync(study.folder, study.home, None, ["mlflow"], **options)


def tags_of(client: Any, study: str) -> dict[str, str]:
    return dict(client.get_experiment_by_name(study).tags)


def state_of(study: Any) -> dict[str, Any]:
    return dict(read_state(state_file(study.folder, "mlflow"))["state"])


@pytest.fixture(scope="module")
def arranged(client: Any, new_study: NewStudy) -> Any:
    """Trials 0 (2.0), 1 (1.5, overfit), 2 (diverged after 3.0), 3 (interrupted at 2.2), after the end of the driver."""
    study = new_study("arranged")
    data = {"fingerprint": "f00d", "contents": {"mail": "ab" * 32}, "sets": {"mail": {"train": {"examples": 9}}}}
    config = {"mail": {"task": "classification", "files": {"train": "mail.tsv"}, "label": "label"}}
    created = {**study.events[0], "data": data, "experiment": {"seed": 7, "data": config}, "layout": 2}
    (study.folder / "journal.jsonl").unlink()
    study.events[0] = created
    study.add(*study.events)
    study.later(event="driver_stopped", reason="interrupted")
    assert ship(study) == {"mlflow": 0}
    return study


def test_trials_have_ranks_the_best_first(client: Any, arranged: Any) -> None:
    runs = runs_of(client, "arranged")
    found = {name: run.data.tags.get("rank") for name, run in runs.items()}
    assert found == {"trial-0001": "1", "trial-0000": "2", "trial-0003": "3", "trial-0002": "4", "arranged": None}
    query = [client.get_experiment_by_name("arranged").experiment_id], "tags.`hpsearch.kind` = 'trial'"
    first = client.search_runs(*query, order_by=["tags.`rank` ASC"])[0]  # as the page asks
    assert first.info.run_name == "trial-0001"


def test_the_experiment_has_the_view_with_the_metrics_that_trials_have(client: Any, arranged: Any) -> None:
    tag = tags_of(client, "arranged")[TAG]
    state = opened(tag)
    assert state["orderByKey"] == "tags.`rank`"
    wanted = ["metrics.`best/val/loss`", "metrics.`val_at_best/f1_macro`", "params.`learning_rate`"]
    assert [name for name in state["columnOrder"] if name.startswith(("metrics", "params"))][:3] == wanted
    metrics = runs_of(client, "arranged")["trial-0001"].data.metrics
    columns = [name.split("`")[1] for name in state["columnOrder"] if name.startswith("metrics")]
    assert set(columns) <= set(metrics)


def test_runs_and_experiment_are_described(client: Any, arranged: Any) -> None:
    runs = runs_of(client, "arranged")
    assert runs["trial-0001"].data.tags[NOTE] == (
        "Stopped because it overfits at 75% of its training: it overfit; it counts by its best evaluation and can win. "
        "Best val/loss: 1.5000, at evaluation 2, 50% of its training, epoch 1."
    )
    assert runs["trial-0002"].data.tags[NOTE].startswith("Diverged at 50% of its training: it diverged; it cannot win.")
    assert runs["trial-0003"].data.tags[NOTE].startswith("Interrupted at 50% of its training; it counts by its best")
    note = tags_of(client, "arranged")[NOTE]
    assert note.startswith("**Best: trial 1**, val/loss **1.5000**.")
    assert "4 trials: 1 completed, 1 overfit, 1 diverged, 1 interrupted." in note
    assert f"/runs/{runs['arranged'].info.run_id}/artifacts/space.yaml" in note
    assert "best.yaml" not in note.split("```")[0]  # it is not written yet
    assert runs["arranged"].data.tags[NOTE] == note


def test_data_sets_are_inputs_of_each_run(client: Any, arranged: Any) -> None:
    for run in runs_of(client, "arranged").values():
        [found] = run.inputs.dataset_inputs
        assert (found.dataset.name, found.dataset.digest) == ("mail/train", "ab" * 8)
        assert {tag.key: tag.value for tag in found.tags} == {"mlflow.data.context": "train"}
        assert json.loads(found.dataset.profile) == {"examples": 9}
        columns = json.loads(found.dataset.schema)["mlflow_colspec"]
        assert [column["name"] for column in columns] == ["text", "label"]
        assert json.loads(found.dataset.source) == {"task": "classification", "files": {"train": "mail.tsv"}}


def test_nothing_is_written_twice(client: Any, arranged: Any) -> None:
    """A sync of a finished study writes no tag of the experiment, and a person's changes stay."""
    experiment = client.get_experiment_by_name("arranged").experiment_id
    before = tags_of(client, "arranged")
    client.set_experiment_tag(experiment, NOTE, "my own words")
    assert ship(arranged) == {"mlflow": 0}
    assert tags_of(client, "arranged") == {**before, NOTE: "my own words"}
    client.set_experiment_tag(experiment, NOTE, before[NOTE])


def test_the_view_follows_a_study_that_goes_on(client: Any, new_study: NewStudy) -> None:
    """While it is searched, the objective orders; then new ranks are given, and the new leader is described."""
    study = new_study("goes on")
    study.later(event="driver_stopped", reason="finished")
    ship(study)
    study.later(event="driver_started", pid=2, host="here", workers=1, device="cpu")
    study.later(event="trial_asked", trial=4, params={"learning_rate": 0.01}, config={"seed": 7})
    study.later(event="trial_started", trial=4, attempt=1, device="cpu", worker=0)
    study.later(event="evaluation", trial=4, attempt=1, evaluation=evaluation(1, 0.5))
    study.follow("mlflow")
    assert opened(tags_of(client, "goes on")[TAG])["orderByKey"] == "metrics.`best/val/loss`"
    best = {"index": 1, "step": 10, "tokens": 1000, "epoch": 0.5, "progress": 0.25, "value": 0.5}
    end = {"outcome": "completed", "state": "COMPLETE", "value": 0.5, "best_evaluation": best, "reason": ""}
    study.later(event="trial_finished", trial=4, seconds=1.0, **end)
    study.later(event="driver_stopped", reason="finished")
    ship(study)
    assert opened(tags_of(client, "goes on")[TAG])["orderByKey"] == "tags.`rank`"
    runs = runs_of(client, "goes on")
    assert [runs[f"trial-000{n}"].data.tags["rank"] for n in (4, 1, 0)] == ["1", "2", "3"]
    assert tags_of(client, "goes on")[NOTE].startswith("**Best: trial 4**, val/loss **0.5000**.")


def test_the_former_winner_is_described_anew(client: Any, new_study: NewStudy) -> None:
    study = new_study("succession")
    study.later(event="driver_stopped", reason="finished")
    for trial in (0, 1):
        study.later(event="study_exported", path=str(study.folder / "best.yaml"), trial=trial)
        ship(study)
    runs = runs_of(client, "succession")
    assert runs["trial-0001"].data.tags[NOTE].startswith("The winner: best.yaml has its config.")
    assert runs["trial-0000"].data.tags[NOTE].startswith("Trained to its end: it completed. Best")


def test_a_lost_tag_is_written_again_by_repair(client: Any, new_study: NewStudy) -> None:
    study = new_study("repaired")
    study.later(event="driver_stopped", reason="finished")
    ship(study)
    experiment = client.get_experiment_by_name("repaired").experiment_id
    before = tags_of(client, "repaired")
    client.delete_experiment_tag(experiment, TAG)
    assert repair(study.folder, study.home, None, say=lambda line: None)
    assert tags_of(client, "repaired") == before


def test_a_study_of_an_older_version_is_written_again_into_its_runs(client: Any, new_study: NewStudy) -> None:
    """`hpsearch sync` is enough: its runs keep their ids, and what was drawn as single dots is gone."""
    study = new_study("older")
    study.later(event="driver_stopped", reason="finished")
    ship(study)
    ids, experiment = run_ids(study.home, "older"), experiment_id(study.home, "older")
    assert experiment is not None
    client.log_metric(ids[1], "at_best/val/f1_macro", 0.2, step=2000)
    client.log_metric(ids[1], "memory/peak_gib", 0.5, step=1000)
    client.set_tag(ids[1], "version.torch", "2.13.0")
    client.set_tag(ids[1], "mine", "kept")
    client.set_terminated(ids[2], "KILLED")
    client.delete_experiment_tag(experiment, TAG)
    file = state_file(study.folder, "mlflow")
    saved = json.loads(file.read_text())
    for name in ("layout", "ranks", "written"):
        del saved["state"][name]
    file.write_text(json.dumps(saved))
    assert ship(study) == {"mlflow": 0}
    assert run_ids(study.home, "older") == ids
    run = client.get_run(ids[1])
    assert not {"at_best/val/f1_macro", "memory/peak_gib"} & run.data.metrics.keys()
    assert "version.torch" not in run.data.tags
    assert (run.data.tags["mine"], run.data.tags["rank"]) == ("kept", "1")
    assert TAG in tags_of(client, "older")
    with sqlite3.connect(study.home / "mlflow.db") as database:
        twice = "select key, step, count(*) from metrics group by run_uuid, key, step having count(*) > 1"
        assert database.execute(twice).fetchall() == []
    database.close()
    assert repair(study.folder, study.home, None, say=lambda line: None)
    assert run_ids(study.home, "older") == ids  # nothing was found wrong


def test_the_best_values_of_new_studies_are_rounded_for_people(client: Any, new_study: NewStudy) -> None:
    """Seven significant digits; the curves have all."""
    for layout, expected in ((2, 1.234568), (1, 1.23456789)):
        study = new_study(f"layout {layout}")
        (study.folder / "journal.jsonl").unlink()
        study.events[0] = {**study.events[0], "layout": layout}
        study.add(*study.events)
        study.later(event="driver_started", pid=2, host="here", workers=1, device="cpu")
        study.later(event="trial_started", trial=3, attempt=2, device="cpu", worker=0)
        study.later(event="evaluation", trial=3, attempt=2, evaluation=evaluation(3, 1.23456789))
        ship(study)
        metrics = runs_of(client, f"layout {layout}")["trial-0003"].data.metrics
        assert (metrics["best/val/loss"], metrics["val/loss"]) == (expected, 1.23456789)


def test_repeats_and_audits_are_not_in_the_table(client: Any, new_study: NewStudy) -> None:
    study = new_study("repeats")
    study.later(event="trial_asked", trial=1_000_000, params={}, config={"seed": 8}, confirms=1, repeat=1)
    study.later(event="trial_asked", trial=1_000_001, params={}, config={"seed": 7}, confirms=2, audits={"index": 1})
    study.later(event="driver_stopped", reason="finished")
    ship(study)
    runs = runs_of(client, "repeats")
    kinds = {name: run.data.tags["hpsearch.kind"] for name, run in runs.items()}
    assert (kinds["trial-0001-repeat-1"], kinds["trial-0002-audit"], kinds["trial-0001"]) == (
        "repeat",
        "audit",
        "trial",
    )


def test_a_study_without_a_trial_is_arranged(client: Any, new_study: NewStudy) -> None:
    study = new_study("empty 数据")
    (study.folder / "journal.jsonl").unlink()
    study.events[2:] = []
    study.add(*study.events)
    study.later(event="driver_stopped", reason="interrupted")
    assert ship(study) == {"mlflow": 0}
    tags = tags_of(client, "empty 数据")
    assert tags[NOTE].startswith("**No trial has a value yet.**")
    assert opened(tags[TAG])["compareRunCharts"][0]["metricKey"] == "val/loss"
    assert state_of(study)["ranks"] == {}


def test_the_confirmed_winner_is_ranked_first() -> None:
    """Though another trial has the better value in the search."""
    from hpsearch.journal.history import History
    from tests.views.conftest import study_events

    history = History.of(study_events("x"))
    assert ranking(history) == [1, 0, 3, 2]
    time = history.last
    for repeat, (trial, value) in enumerate({1: 2.5, 0: 2.1}.items()):
        number = 1_000_000 + repeat
        history.add({"event": "trial_asked", "trial": number, "time": time, "confirms": trial, "repeat": 1})
        end = {"event": "trial_finished", "trial": number, "time": time, "outcome": "completed", "value": value}
        history.add(end)
    assert ranking(history) == [0, 1, 3, 2]


def test_what_is_shown_is_sorted_by_what_people_ask_for_first() -> None:
    from hpsearch.journal.history import History
    from tests.views.conftest import study_events

    history = History.of(study_events("x"))
    names = ("perplexity", "chrf", "bleu", "accuracy", "f1_macro", "loss_stderr", "pairs/loss", "pairs/bleu", "own")
    for one in history.trials[0].evaluations.values():
        one.metrics.update({f"val/{name}": 1.0 for name in names})
    found = shown(history, by_rank=False)
    scores = ["val/bleu", "val/chrf", "val/f1_macro", "val/accuracy", "val/perplexity", "val/own", "val/pairs/bleu"]
    assert found.scores == scores
    assert found.losses == ["val/loss", "val/pairs/loss", "train/loss", "train/pairs/loss"]
    assert found.columns[:2] == ["val_at_best/bleu", "val_at_best/f1_macro"]  # one for each task, before the params
    assert found.before == 2
