"""The content of a real MLflow store, read with MLflow's client."""

from __future__ import annotations

import contextlib
import json
import math
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hpsearch.contract import Evaluation
from hpsearch.system.own_output import with_checksum
from hpsearch.views import shipping
from hpsearch.views.audit import audit
from hpsearch.views.follower import describe, lacking, read_state, state_file
from hpsearch.views.mlflow.exported import name_run
from hpsearch.views.mlflow.final_run import FinalRun
from hpsearch.views.mlflow.rows import rows_of
from hpsearch.views.mlflow.store import Store, run_ids
from hpsearch.views.mlflow.ui import ui_command
from hpsearch.views.mlflow.view import MlflowView
from tests.views.conftest import NewStudy, evaluation, runs_of


def ship(study: Any, **options: Any) -> dict[str, int]:
    return shipping.sync(study.folder, study.home, None, ["mlflow"], **options)


def all_rows(home: Path) -> list[tuple[Any, ...]]:
    with sqlite3.connect(home / "mlflow.db") as database:
        rows = database.execute(
            "select run_uuid, key, step, timestamp, value, is_nan from metrics order by 1,2,3,4,5,6"
        )
        found = rows.fetchall()
    database.close()
    return found


@pytest.fixture(scope="module")
def shipped(client: Any, new_study: NewStudy) -> Any:
    study = new_study("shipped")
    study.later(event="driver_stopped", reason="interrupted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "draws", True)
        assert ship(study) == {"mlflow": 0}
    return study


def test_a_parent_and_a_child_for_each_trial(client: Any, shipped: Any) -> None:
    runs = runs_of(client, "shipped")
    assert sorted(runs) == ["shipped", "trial-0000", "trial-0001", "trial-0002", "trial-0003"]
    parent = runs.pop("shipped")
    assert {run.data.tags["mlflow.parentRunId"] for run in runs.values()} == {parent.info.run_id}
    assert run_ids(shipped.home, "shipped") == {int(name[-4:]): run.info.run_id for name, run in runs.items()}


def test_statuses_and_outcomes(client: Any, shipped: Any) -> None:
    runs = runs_of(client, "shipped")
    found = {name: (run.info.status, run.data.tags["outcome"]) for name, run in runs.items()}
    assert found == {
        "shipped": ("KILLED", "interrupted"),
        "trial-0000": ("FINISHED", "completed"),
        "trial-0001": ("FINISHED", "overfit"),
        "trial-0002": ("KILLED", "diverged"),
        "trial-0003": ("KILLED", "interrupted"),
    }
    finished = next(e for e in shipped.events if e["event"] == "trial_finished")
    assert runs["trial-0000"].info.end_time == 1000 * finished["time"]


def test_params_and_provenance(client: Any, shipped: Any) -> None:
    run = runs_of(client, "shipped")["trial-0001"]
    assert run.data.params == {"learning_rate": "0.003", "batch_size": "16", "n_layers": "3"}
    wanted = {
        "outcome": "overfit",
        "reason": "it overfit",
        "device": "cpu",
        "attempt": "1",
        "seed": "7",
        "precision": "bf16",
        "rank": "1",
        "signature.bleu": "nrefs:1",
    }
    own = {key: value for key, value in run.data.tags.items() if not key.startswith(("mlflow.", "hpsearch."))}
    assert own == wanted  # few: what all trials share is on the study's run
    assert run.data.tags["mlflow.source.git.commit"] == "abc123"
    shared = {
        "git_commit": "abc123",
        "git_dirty": "True",
        "data_fingerprint": "f00d",
        "version.torch": "2.13.0",
        "python": "3.11.0",
    }
    study = runs_of(client, "shipped")["shipped"]
    assert {key: study.data.tags.get(key) for key in shared} == shared


def test_curves_are_over_tokens_with_the_journals_times(client: Any, shipped: Any) -> None:
    run_id = run_ids(shipped.home, "shipped")[1]
    evaluations = [e for e in shipped.events if e["event"] == "evaluation" and e["trial"] == 1]
    rows = [(m.step, m.value, m.timestamp) for m in client.get_metric_history(run_id, "val/loss")]
    times = [1000 * e["time"] for e in evaluations]
    assert rows == [(1000, 2.4, times[0]), (2000, 1.5, times[1]), (3000, 1.9, times[2])]
    losses = [(m.step, m.value) for m in client.get_metric_history(run_id, "train/loss")]
    assert losses == [(500, 1.85), (1000, 1.75), (1500, 1.6), (2000, 1.5), (2500, 1.35), (3000, 1.25)]
    assert client.get_run(run_id).data.tags["precision"] == "bf16"


def test_the_best_value_and_its_place(client: Any, shipped: Any) -> None:
    metrics = runs_of(client, "shipped")["trial-0001"].data.metrics
    best = {key: value for key, value in metrics.items() if key.startswith(("best", "val_at_best/"))}
    assert best == {
        "best/val/loss": 1.5,
        "best_index": 2,
        "best_epoch": 1.0,
        "best_progress": 0.5,
        "val_at_best/f1_macro": 0.2,
    }
    assert metrics["val/loss"] == 1.9  # the last one


def test_a_single_value_stands_at_step_0(client: Any, shipped: Any) -> None:
    """MLflow draws it as a bar; a single row at another step is a line of one dot."""
    run_id = run_ids(shipped.home, "shipped")[1]
    for name in ("best_index", "best_epoch", "best_progress", "val_at_best/f1_macro"):
        assert [row.step for row in client.get_metric_history(run_id, name)] == [0]


def test_the_parent_has_a_curve_of_the_best_value(client: Any, shipped: Any) -> None:
    parent = runs_of(client, "shipped")["shipped"]
    rows = client.get_metric_history(parent.info.run_id, "best/val/loss")
    assert [(row.step, row.value) for row in rows] == [(1, 2.0), (2, 1.5), (3, 1.5)]


def test_nan_stays_nan(client: Any, shipped: Any) -> None:
    history = client.get_metric_history(run_ids(shipped.home, "shipped")[2], "val/loss")
    assert history[0].value == 3.0
    assert math.isnan(history[1].value)


def test_artifacts(client: Any, shipped: Any) -> None:
    runs = runs_of(client, "shipped")
    names = {f.path for f in client.list_artifacts(runs["trial-0001"].info.run_id)}
    assert names == {"config.yaml", "curves.png"}
    pictures = {f.path for f in client.list_artifacts(runs["shipped"].info.run_id)}
    drawn = {"curves.png", "history.png", "slices.png", "parallel_coordinates.png"}
    assert {"space.yaml", "report.html"} | drawn <= pictures
    assert runs["shipped"].info.artifact_uri.startswith((shipped.home / "artifacts").as_uri())


def test_a_replay_adds_nothing(client: Any, shipped: Any) -> None:
    before = all_rows(shipped.home)
    state_file(shipped.folder, "mlflow").unlink()  # as after a crash before anything was noted
    assert ship(shipped) == {"mlflow": 0}
    assert all_rows(shipped.home) == before
    assert len(runs_of(client, "shipped")) == 5
    assert runs_of(client, "shipped")["trial-0000"].info.status == "FINISHED"


def test_each_metric_stands_once_at_each_step(shipped: Any) -> None:
    keys = [row[:3] for row in all_rows(shipped.home)]
    assert len(keys) == len(set(keys)) > 30


def test_a_repeated_evaluation_is_dropped(client: Any, new_study: NewStudy) -> None:
    study = new_study("again")
    old = next(e for e in study.events if e["event"] == "evaluation" and e["trial"] == 3)
    ship(study)
    changed = {**old["evaluation"], "metrics": {"val/loss": 9.0}}
    study.later(event="evaluation", trial=3, attempt=2, evaluation=changed)
    ship(study)
    history = client.get_metric_history(run_ids(study.home, "again")[3], "val/loss")
    assert [row.value for row in history] == [2.8, 2.2]


def test_a_resumed_trial_continues_its_run(client: Any, new_study: NewStudy) -> None:
    study = new_study("resumed")
    ship(study)
    run_id = run_ids(study.home, "resumed")[3]
    study.later(event="driver_started", pid=2, host="here", workers=1, device="cpu")
    study.later(event="trial_started", trial=3, attempt=2, device="cpu", worker=0)
    study.follow("mlflow")
    run = client.get_run(run_id)
    assert (run.info.status, run.data.tags["outcome"], run.data.tags["attempt"]) == ("RUNNING", "running", "2")
    assert runs_of(client, "resumed")["resumed"].info.status == "RUNNING"
    end = {
        "outcome": "pruned",
        "state": "PRUNED",
        "value": 2.2,
        "best_evaluation": None,
        "reason": "worse",
        "seconds": 4.0,
    }
    study.later(event="trial_finished", trial=3, signatures={}, **end)
    study.later(event="driver_stopped", reason="finished")
    ship(study)
    assert run_ids(study.home, "resumed")[3] == run_id
    assert client.get_run(run_id).info.status == "FINISHED"  # a green tick: it ended as intended
    assert runs_of(client, "resumed")["resumed"].info.status == "FINISHED"


def test_a_paused_trial_is_scheduled_until_it_is_resumed(client: Any, new_study: NewStudy) -> None:
    """A stop and another driver leave it so, and an audit finds nothing wrong."""
    study = new_study("pauses")
    study.later(event="trial_started", trial=3, attempt=2, device="cpu", worker=0)
    paused = study.later(event="trial_paused", trial=3, evaluation=2, saved=True, reason="the others come first")
    study.later(event="driver_stopped", reason="finished")
    study.later(event="driver_started", pid=2, host="here", workers=1, device="cpu")
    study.follow("mlflow")
    ship(study)
    run_id = run_ids(study.home, "pauses")[3]
    run = client.get_run(run_id)
    assert (run.info.status, run.info.end_time) == ("SCHEDULED", 1000 * paused["time"])
    assert (run.data.tags["outcome"], run.data.tags["reason"]) == ("paused", "the others come first")
    assert audited(study, MlflowView(study.folder, Store(study.home, None), say=print))
    study.later(event="trial_resumed", trial=3)
    study.follow("mlflow")
    run = client.get_run(run_id)
    assert (run.info.status, run.data.tags["outcome"], run.data.tags["reason"]) == ("RUNNING", "running", "")
    ship(study)
    assert client.get_run(run_id).info.status == "KILLED"  # its driver is gone before a worker had it


def audited(study: Any, view: Any) -> bool:
    """Whether an audit finds the view complete."""
    with contextlib.closing(view):
        view.prepare()
        view.open(read_state(state_file(study.folder, view.name))["state"])
        return audit(view, study.folder).whole


def test_no_run_of_a_killed_driver_stays_running(client: Any, new_study: NewStudy) -> None:
    study = new_study("killed")
    study.later(event="driver_started", pid=2, host="here", workers=1, device="cpu")
    started = study.later(event="trial_started", trial=3, attempt=2, device="cpu", worker=0)
    study.later(event="driver_started", pid=3, host="here", workers=1, device="cpu")  # the one before was killed
    study.follow("mlflow")
    run = client.get_run(run_ids(study.home, "killed")[3])
    assert (run.info.status, run.data.tags["outcome"]) == ("KILLED", "interrupted")
    assert run.info.end_time == 1000 * started["time"]


def test_the_winners_samples_and_config(client: Any, new_study: NewStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "draws", True)
    study = new_study("won")
    checkpoint = study.folder / "checkpoints" / "0001"
    checkpoint.mkdir(parents=True)
    pair = {"source": "Katze", "reference": "cat", "hypothesis": "cats"}
    sets = {
        "pairs": {"task": "translation", "examples": [pair]},
        "mail": {"task": "classification", "labels": ["ham", "spam"], "confusion": [[9, 1], [0, 5]]},
    }
    (checkpoint / "samples.json").write_text(json.dumps(sets))
    (study.folder / "best.yaml").write_text("seed: 7\n")
    study.later(event="study_exported", path=str(study.folder / "best.yaml"), trial=1)
    ship(study)
    runs = runs_of(client, "won")
    for name in ("won", "trial-0001"):
        run_id = runs[name].info.run_id
        paths = {f.path for f in client.list_artifacts(run_id)} | {
            f.path for f in client.list_artifacts(run_id, "samples")
        }
        assert {"samples/pairs.txt", "confusion_mail.png"} <= paths
    assert runs["trial-0001"].data.tags["hpsearch.winner"] == "true"
    assert runs["won"].data.tags["best_run"] == runs["trial-0001"].info.run_id
    text = Path(client.download_artifacts(runs["won"].info.run_id, "best.yaml", str(study.folder))).read_text()
    assert text == "seed: 7\n"


EXPORTED = "study: late\nprovenance:\n  study: late\n  trial: 1\n  mlflow_run_id:\n  outcome: overfit\n"


def test_an_export_that_came_before_its_run_gets_the_runs_id_here_and_in_mlflow(
    client: Any, new_study: NewStudy
) -> None:
    study = new_study("late")
    file = study.folder / "best.yaml"
    file.write_text(with_checksum(EXPORTED))
    study.later(event="study_exported", path=str(file), trial=1)
    ship(study)
    runs = runs_of(client, "late")
    named = EXPORTED.replace("mlflow_run_id:", f"mlflow_run_id: {runs['trial-0001'].info.run_id}")
    assert file.read_text() == with_checksum(named)
    found = client.download_artifacts(runs["late"].info.run_id, "best.yaml", str(study.folder / "checkpoints"))
    assert Path(found).read_text() == file.read_text()


@pytest.mark.parametrize(
    "text",
    [
        EXPORTED,  # without its checksum: somebody has edited it
        with_checksum(EXPORTED).replace("overfit", "pruned"),
        with_checksum(EXPORTED.replace("trial: 1", "trial: 2")),
        with_checksum(EXPORTED.replace("mlflow_run_id:", "mlflow_run_id: f00d")),
    ],
    ids=["no checksum", "edited", "another trial", "named"],
)
def test_any_other_file_stays_as_it_is(tmp_path: Path, text: str) -> None:
    (tmp_path / "best.yaml").write_text(text)
    name_run(tmp_path / "best.yaml", 1, "5ca1ab1e")
    assert (tmp_path / "best.yaml").read_text() == text


def test_a_lost_store_is_filled_again(client: Any, new_study: NewStudy) -> None:
    study = new_study("lost")
    ship(study)
    client.delete_run(json.loads(state_file(study.folder, "mlflow").read_text())["state"]["parent"])
    study.later(event="driver_started", pid=2, host="here", workers=1, device="cpu")
    assert ship(study) == {"mlflow": 0}
    history = client.get_metric_history(run_ids(study.home, "lost")[1], "val/loss")
    assert [row.value for row in history] == [2.4, 1.5, 1.9]


def test_a_deleted_child_run_is_left_alone(client: Any, new_study: NewStudy) -> None:
    study, said = new_study("deleted"), []
    ship(study)
    client.delete_run(run_ids(study.home, "deleted")[3])
    study.later(event="trial_started", trial=3, attempt=2, device="cpu", worker=0)
    assert ship(study, say=said.append) == {"mlflow": 0}
    assert any("deleted run" in line for line in said)


def test_the_final_training_has_a_run_of_its_own(client: Any, home: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    final = FinalRun(home, None, "finals")
    config = {"seed": 3, "model": {"width": 64, "n_kv_heads": None}, "training": {"batch_size": 8}}
    trial = client.create_run(client.get_experiment(client.create_experiment("theirs")).experiment_id).info.run_id
    final.start(config, {"trial": 4, "mlflow_run_id": trial}, {"data_fingerprint": "f00d"})
    final.evaluation(Evaluation(1, 10, 0.5, {"val/loss": 2.0}, tokens=1000, epoch=1.0))
    final.finish({"test/loss": 1.9, "test/bleu": math.inf, "val/loss": 1.5, "val/bleu": 12.0}, tmp_path)
    run = client.get_run(final.run_id)
    assert [m.value for m in client.get_metric_history(final.run_id, "val/loss")] == [2.0]  # the best is no later point
    assert run.data.metrics["val/bleu"] == 12.0  # decoded at the end alone
    assert (run.info.run_name, run.info.status) == ("final", "FINISHED")
    assert run.data.params == {"width": "64", "batch_size": "8", "seed": "3"}
    assert run.data.metrics["test/loss"] == 1.9
    assert math.isnan(run.data.metrics["test/bleu"])
    assert {"config.yaml", "provenance.json"} <= {f.path for f in client.list_artifacts(final.run_id)}
    said = "The final training of trial 4's config: trained to its end, tested once. test/loss 1.9000, test/bleu inf"
    assert run.data.tags["mlflow.note.content"] == said
    [model] = run.outputs.model_outputs  # test_final_model.py tests its files
    assert client.get_run(trial).outputs.model_outputs[0].model_id == model.model_id
    found = client.get_logged_model(model.model_id)
    assert (found.name, found.status, found.tags["hpsearch.folder"]) == ("model", "READY", str(tmp_path))
    assert {"model/notes.txt", "MLmodel"} == {
        f.path for folder in (None, "model") for f in client.list_logged_model_artifacts(model.model_id, folder)
    } - {"model"}


def test_a_final_training_finds_the_run_of_its_trial_if_its_config_does_not_name_it(
    client: Any, new_study: NewStudy, tmp_path: Path
) -> None:
    study = new_study("unnamed")
    ship(study)
    known = {"trial": 1, "mlflow_run_id": None}
    final = FinalRun(study.home, None, "unnamed")
    final.start({"seed": 3}, known, {"data_fingerprint": "f00d"})
    final.finish({}, tmp_path)
    trial = runs_of(client, "unnamed")["trial-0001"]
    assert json.loads(mlflow_text(client, final.run_id, "provenance.json")) == known | {
        "mlflow_run_id": trial.info.run_id
    }
    assert [one.model_id for one in trial.outputs.model_outputs] == [
        one.model_id for one in client.get_run(final.run_id).outputs.model_outputs
    ]


def mlflow_text(client: Any, run_id: str, name: str) -> str:
    """A text that is an artifact of a run."""
    from mlflow.artifacts import load_text

    return str(load_text(f"{client.get_run(run_id).info.artifact_uri}/{name}"))


def test_the_run_of_a_killed_final_training_is_ended(client: Any, home: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from hpsearch.views.mlflow.final_run import FinalRun\n"
        "final = FinalRun(Path(sys.argv[1]), None, 'killed final')\n"
        "final.start({}, {})\n"
        "from hpsearch import Evaluation; final.evaluation(Evaluation(1, 10, 0.5, {'val/loss': 2.0}, tokens=1))\n"
        "while not final._calls.empty(): time.sleep(0.01)\n"
        "time.sleep(0.5)\n"
        "print(final.run_id, flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(home)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    run_id = process.stdout.readline().strip()
    FinalRun(home, None, "killed final").start({}, {})
    time.sleep(1)
    assert client.get_run(run_id).info.status == "RUNNING"  # it lives
    process.kill()
    process.communicate()
    final = FinalRun(home, None, "killed final")
    final.start({}, {})
    final.finish({})
    run = client.get_run(run_id)
    assert run.info.status == "KILLED"
    assert run.info.end_time == client.get_metric_history(run_id, "progress")[-1].timestamp


def test_the_final_training_continues_without_mlflow(client: Any, home: Path) -> None:
    said: list[str] = []
    final = FinalRun(home, "http://127.0.0.1:9", "finals", say=said.append)
    began = time.monotonic()
    final.start({}, {})
    final.evaluation(Evaluation(1, 10, 0.5, {"val/loss": 2.0}, tokens=1, epoch=1.0))
    assert time.monotonic() - began < 5
    final.finish({}, timeout=600)
    assert [line for line in said if "training continues" in line]


@pytest.mark.filterwarnings("ignore::UserWarning")  # importing mlflow.cli warns of type hints in MLflow's own code
def test_the_ui_listens_on_this_machine_alone(home: Path) -> None:
    command, environment = ui_command(home, "postgresql://u:S3CRET@db/x", 5001)
    assert "S3CRET" not in " ".join(command)
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert command[command.index("--allowed-hosts") + 1] == "127.0.0.1:5001,localhost:5001,hpsearch.localhost:5001"
    assert command[command.index("--cors-allowed-origins") + 1] == "http://hpsearch.localhost:5001"
    assert environment["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"
    from mlflow.cli import server

    offered = {name for option in server.params for name in (*option.opts, *option.secondary_opts)}
    assert {option for option in command if option.startswith("--")} <= offered


def test_passwords_are_removed_from_messages() -> None:
    error = ConnectionError("no route to https://me:S3CRET@host:5000/api\nmore")
    assert describe(error) == "ConnectionError: no route to https://***@host:5000/api"


def test_what_a_view_lacks_is_counted_in_lines(new_study: NewStudy) -> None:
    study = new_study("counted")
    assert lacking(study.folder, "mlflow") == len(study.events)


def test_memory_and_utilisation_are_system_metrics() -> None:
    """Megabytes of 10**6 bytes, as MLflow's own; the peak of a GPU also as a share of its memory."""
    evaluation = Evaluation(1, 3, 0.5, {}, tokens=40, epoch=1.0)

    def system(**fields: Any) -> dict[str, tuple[float, float, int]]:
        rows = rows_of(replace(evaluation, **fields), 2.0)
        return {name: (value, at, step) for name, value, at, step in rows if name.startswith("system/")}

    assert system() == {}
    on_cpu = system(peak_memory=500_000_000, usage={"rss": 481.5, "cpu": 99.1, "later": 1.0})
    assert on_cpu == {
        "system/process_memory_peak_megabytes": (500.0, 2.0, 40),
        "system/process_memory_usage_megabytes": (481.5, 2.0, 40),
        "system/process_cpu_utilization_percentage": (99.1, 2.0, 40),
    }
    on_gpu = system(peak_memory=20 * 10**9, device_memory=80 * 10**9, usage={"gpu": 87.5})
    assert on_gpu == {
        "system/gpu_memory_peak_megabytes": (20_000.0, 2.0, 40),
        "system/gpu_memory_peak_percentage": (25.0, 2.0, 40),
        "system/gpu_utilization_percentage": (87.5, 2.0, 40),
    }


def test_a_winner_that_has_not_ended_is_named_with_its_best_evaluation(client: Any, new_study: NewStudy) -> None:
    """Trial 3 is interrupted at 2.2; nothing else of the study counts."""
    study = new_study("unfinished")
    first = next(i for i, e in enumerate(study.events) if e.get("trial") == 3)
    study.events[2:first] = []
    (study.folder / "journal.jsonl").unlink()
    study.add(*study.events)
    study.later(event="driver_stopped", reason="finished")
    ship(study)
    tags = runs_of(client, "unfinished")["unfinished"].data.tags
    run_id = run_ids(study.home, "unfinished")[3]
    expected = {"best_trial": "3", "best_run": run_id, "best_value": "2.2", "best_outcome": "unfinished"}
    assert {name: tags.get(name) for name in expected} == expected
    best = {"index": 2, "step": 20, "tokens": 2000, "epoch": 1.0, "progress": 0.5, "value": 2.2}
    said = {"trial": 3, "outcome": "unfinished", "value": 2.2, "best_evaluation": best, "ended": 0}
    study.later(event="study_exported", path=str(study.folder / "best.yaml"), **said)
    ship(study)
    runs = runs_of(client, "unfinished")
    assert {name: runs["unfinished"].data.tags.get(name) for name in expected} == expected
    assert runs["unfinished"].data.metrics["best/val/loss"] == 2.2
    assert runs["trial-0003"].data.tags["hpsearch.winner"] == "true"
    assert runs["trial-0003"].data.metrics["best_epoch"] == 1.0
    assert runs["trial-0003"].info.status == "KILLED"


def test_baselines_are_on_the_studys_run(client: Any, new_study: NewStudy) -> None:
    study = new_study("compared")
    found = {"name": "TF-IDF (words)", "metrics": {"val/loss": 0.5, "val/f1_macro": 0.889}, "note": "", "seconds": 1.0}
    study.later(event="baselines_measured", baselines=[found], failed=[])
    assert ship(study) == {"mlflow": 0}
    assert ship(study) == {"mlflow": 0}
    parent = runs_of(client, "compared")["compared"]
    assert parent.data.tags["baseline.TF-IDF _words_"] == "val/loss 0.5000, val/f1_macro 0.8890"
    assert parent.data.metrics["baseline/TF-IDF _words_/val/f1_macro"] == 0.889
    assert [m.value for m in client.get_metric_history(parent.info.run_id, "baseline/TF-IDF _words_/val/loss")] == [0.5]


def test_params_are_what_a_branch_sets_and_not_its_label(client: Any, new_study: NewStudy) -> None:
    """In a study that an earlier version began, its trials have the labels, and MLflow cannot change params."""
    params = {"model": "n_layers=2..4, width=32", "n_layers": 3, "epochs": "1.0..12.0", "epochs.2": 5.0}
    for layout, expected in ((3, {"n_layers": "3", "width": "32", "epochs": "5"}), (2, {**params, "n_layers": "3"})):
        study = new_study(f"branches {layout}")
        study.events[0] = {**study.events[0], "layout": layout}
        study.folder.joinpath("journal.jsonl").unlink()
        study.add(*study.events)
        study.later(event="trial_asked", trial=4, params=params, config={"seed": 7})
        assert ship(study) == {"mlflow": 0}
        found = runs_of(client, f"branches {layout}")["trial-0004"].data.params
        assert found == {name: "5" if name == "epochs.2" else value for name, value in expected.items()}


def test_the_default_config_is_named(client: Any, new_study: NewStudy) -> None:
    study = new_study("labelled")
    study.later(event="trial_asked", trial=4, params={}, config={"seed": 7}, label="default")
    study.later(event="trial_started", trial=4, attempt=1, label="default")
    study.later(event="evaluation", trial=4, attempt=1, evaluation=evaluation(1, 2.25))
    study.later(event="driver_stopped", reason="interrupted")
    assert ship(study) == {"mlflow": 0}
    runs = runs_of(client, "labelled")
    assert runs["trial-0004"].data.tags["label"] == "default"
    assert "label" not in runs["trial-0001"].data.tags
    tags = runs["labelled"].data.tags
    assert (tags["default_trial"], tags["default_value"], tags["best_value"]) == ("4", "2.25", "1.5")
