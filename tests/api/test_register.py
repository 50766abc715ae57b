"""A model registered after its training, in a real MLflow store: what MLflow lacks is written, nothing twice."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import hpsearch
from hpsearch import events
from hpsearch.api.final_log import FILE, FinalLog, SeedLog
from hpsearch.contract import Evaluation, TrainingPoint
from hpsearch.errors import HpsearchError, UserError
from hpsearch.views.mlflow.store import Store
from tests import blank
from tests.serving.directories import MAIL, directory
from tests.views.mlflow.test_final_model import CONFIG, FACTS, TESTED

BEGAN, ENDED = 1_700_000_000.0, 1_700_000_600.0
POINT = TrainingPoint(5, 500, BEGAN + 100, {"train/loss": 2.5})
SEEN = (
    Evaluation(1, 10, 0.5, {"val/loss": 1.5}, tokens=1000, points=[POINT], time=BEGAN + 200),
    Evaluation(2, 20, 1.0, {"val/loss": 1.6}, tokens=2000, time=BEGAN + 400),
)


def log(tracking: str | None = None) -> FinalLog:
    """Two seeds, of which the second one is the model."""
    other = SeedLog("final", CONFIG, {"hpsearch.seed": 3}, BEGAN, SEEN, {"test/loss": 2.0}, "FINISHED", ENDED, False)
    own = SeedLog("final, seed 4", {**CONFIG, "seed": 4}, {"hpsearch.seed": 4}, BEGAN + 1, SEEN, TESTED, ended=ENDED)
    return FinalLog("mail", tracking, {"trial": 4}, FACTS, (other, own))


def trained(folder: Path, tracking: str | None = None) -> Path:
    directory(folder, {"mail": MAIL})
    log(tracking).write(folder)
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return blank.home(tmp_path_factory.mktemp("register") / "home")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("trained") / "model")


@pytest.fixture(scope="module")
def registered(home: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The model of a training of which MLflow knows nothing, registered twice; gives MLflow's client and the runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(cwd := tmp_path_factory.mktemp("empty"))
        found = [hpsearch.register(model, "mail sorter", home=home, progress=False) for _ in range(2)]
        assert list(cwd.iterdir()) == []
    assert [str(one) for one in found] == ["mail sorter version 1, alias champion"] * 2
    store = Store(home, None)
    store.prepare()
    runs = store.client.search_runs([store.experiment("mail")], order_by=["attribute.start_time"])
    yield store.client, runs
    store.close()


def test_the_log_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text("{}")
    log().write(tmp_path)
    found = FinalLog.read(tmp_path)
    assert found.seeds[1].evaluations == SEEN
    assert [one.time for one in found.seeds[1].evaluations] == [one.time for one in SEEN]
    written = (tmp_path / FILE).read_text()
    found.write(tmp_path)
    assert (tmp_path / FILE).read_text() == written


def test_what_mlflow_lacks_is_written_once_with_its_times(registered: Any) -> None:
    client, runs = registered
    assert [(run.info.run_name, run.info.status, run.info.end_time) for run in runs] == [
        ("final", "FINISHED", 1_700_000_600_000),
        ("final, seed 4", "FINISHED", 1_700_000_600_000),
    ]
    run = runs[1].info.run_id
    rows = [(row.value, row.timestamp, row.step) for row in client.get_metric_history(run, "val/loss")]
    assert rows == [(1.5, 1_700_000_200_000, 1000), (1.6, 1_700_000_400_000, 2000)]
    assert [(row.value, row.step) for row in client.get_metric_history(run, "train/loss")] == [(2.5, 500)]
    assert runs[0].data.metrics["test/loss"] == 2.0
    assert {one.dataset.name for one in runs[1].inputs.dataset_inputs} == {"mail/train", "mail/valid", "mail/test"}


def test_there_is_one_model_with_the_metrics_of_its_seed(registered: Any) -> None:
    client, runs = registered
    [found] = client.search_logged_models([runs[0].info.experiment_id])
    assert found.source_run_id == runs[1].info.run_id
    assert {one.key: one.value for one in found.metrics} == TESTED
    [version] = client.search_model_versions("name = 'mail sorter'")
    assert version.source == found.artifact_location
    assert version.run_id == runs[1].info.run_id


def test_another_name_is_another_version_of_the_same_files(registered: Any, home: Path, model: Path) -> None:
    client, runs = registered
    place = Path(client.search_logged_models([runs[0].info.experiment_id])[0].artifact_location.removeprefix("file://"))
    weights = place / "model" / "model.safetensors"
    before = weights.stat().st_mtime_ns
    found = hpsearch.register(model, "second", alias="live", home=home, progress=False)
    assert (found.name, found.version, found.alias) == ("second", 1, "live")
    assert len(client.search_logged_models([runs[0].info.experiment_id])) == 1
    assert weights.stat().st_mtime_ns == before  # not uploaded again
    assert not (place / "model" / FILE).exists()


def test_a_model_of_a_training_is_registered_later_into_the_run_that_it_has(home: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("one two three\n" * 200)
    space = {
        "study": "later",
        "data": {"text": {"task": "text", "files": dict.fromkeys(("train", "valid", "test"), "text.txt")}},
        "tokenizer": {"kind": "bytes"},
        "model": {"n_layers": 1, "width": 16, "n_heads": 2, "context": 32},
        "evaluation": {"times": 2},
        "training": {"epochs": 1, "batch_size": 8},
    }
    options: dict[str, Any] = {"base": tmp_path, "output": tmp_path / "model", "home": home, "progress": False}
    assert hpsearch.train(space, **options).registered is None
    store = Store(home, None)
    store.prepare()
    [before] = store.client.search_runs([store.experiment("later")])
    said: list[Any] = []
    found = hpsearch.register(tmp_path / "model", "of later", home=home, progress=said.append)
    [after] = store.client.search_runs([store.experiment("later")])
    assert str(found) == "of later version 1, alias champion"
    assert said == []
    assert after.info.run_id == before.info.run_id == store.client.get_model_version("of later", "1").run_id
    assert (after.info.status, after.data.metrics) == ("FINISHED", before.data.metrics)
    assert abs(after.info.end_time - before.info.end_time) < 1
    assert len(store.client.get_metric_history(after.info.run_id, "val/loss")) == 2
    assert len(store.client.search_logged_models([after.info.experiment_id])) == 1
    store.close()


def test_an_mlflow_that_is_down_is_one_line_and_loses_nothing(home: Path, tmp_path: Path) -> None:
    folder = trained(tmp_path / "model", "http://127.0.0.1:9")
    with pytest.raises(HpsearchError, match=r"model: not registered as mail: .*") as raised:
        hpsearch.register(folder, "mail", home=home, progress=False)
    assert "\n" not in str(raised.value)
    assert FinalLog.read(folder) == log("http://127.0.0.1:9")


def test_a_training_says_how_to_register_once_mlflow_answers(home: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("one two three\n" * 200)
    space = {
        "study": "down",
        "tracking": {"uri": "http://127.0.0.1:9"},
        "data": {"text": {"task": "text", "files": dict.fromkeys(("train", "valid", "test"), "text.txt")}},
        "tokenizer": {"kind": "bytes"},
        "model": {"n_layers": 1, "width": 16, "n_heads": 2, "context": 32},
        "evaluation": {"times": 1},
        "training": {"epochs": 1, "batch_size": 8},
    }
    said: list[Any] = []
    options: dict[str, Any] = {"base": tmp_path, "output": tmp_path / "model", "home": home, "progress": said.append}
    assert hpsearch.train(space, register="mail sorter", **options).registered is None
    lines = [one.line for one in said if isinstance(one, events.Notice)]
    wanted = f'once MLflow answers, `hpsearch register {tmp_path / "model"} "mail sorter"` registers the model'
    assert lines[-1] == wanted


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda path: None, r"model: no such folder; the folder of a model is expected"),
        (lambda path: path.write_text(""), r"model: is a file; the folder of a model is expected"),
        (lambda path: path.mkdir(), r"model: has no run.json of a final training that has ended; "),
        (lambda path: log().write(Path(path.mkdir() or path)), r"model: has no run.json of a final training that has"),
        (lambda path: broken(path, "{"), r"run.json: cannot be read \(.*\); the folder of a model is expected"),
        (lambda path: broken(path, "[]"), r"run.json: cannot be read \(.*\); the folder of a model is expected"),
        (lambda path: broken(path, json.dumps({"study": "x"})), r"run.json: cannot be read \(.*\); "),
    ],
)
def test_a_folder_of_no_final_training_is_one_line(home: Path, tmp_path: Path, made: Any, said: str) -> None:
    made(tmp_path / "model")
    with pytest.raises(UserError) as raised:
        hpsearch.register(tmp_path / "model", "mail", home=home)
    assert re.search(said, str(raised.value))
    assert "\n" not in str(raised.value)


def broken(path: Path, text: str) -> None:
    path.mkdir()
    (path / "metrics.json").write_text("{}")
    (path / FILE).write_text(text)


def test_a_name_that_mlflow_refuses_writes_nothing(home: Path, model: Path) -> None:
    with pytest.raises(UserError, match="cannot register a model as 'a/b': MLflow allows no / and no : in it"):
        hpsearch.register(model, "a/b", home=home)
