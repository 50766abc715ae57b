"""`hpsearch export --model`: the weights that a search has kept, as a model directory."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from hpsearch.contract import WorkerSettings
from hpsearch.errors import UserError
from hpsearch.final.weights import write_model
from hpsearch.home.home import Home, history_of
from hpsearch.journal.history import History
from hpsearch.storage.storage import Storage
from hpsearch.storage.study_storage import StudyStorage
from hpsearch.training.config import TrainConfig
from hpsearch.training.export import load_pretrained
from tests.cli.test_run import one_line
from tests.faults.zygote import NoViews

SPACE = """
study: small
budget: {trials: 1}
tokenizer: {kind: bytes}
model: {n_layers: 1, width: 16, n_heads: 2, context: 16}
training: {epochs: 1.0, batch_size: 4}
evaluation: {times: 2}
resources: {launcher: inline}
"""


PAUSING_ALL = """
from hpsearch import Judgement, New, Nothing, Verdict
class All:
    def __init__(self, experiment):
        self.space = experiment.space
    def next(self, history):
        return New(self.space.draw(seed=0)) if history.room else Nothing("every trial is paused")
    def judge(self, history, trial):
        return Judgement(Verdict.PAUSE, "every trial pauses")
"""


@pytest.fixture(autouse=True)
def unseen(monkeypatch):
    """Nothing here looks at MLflow."""
    monkeypatch.setattr("hpsearch.search.driver.shipper.start", NoViews)


@pytest.fixture
def study(call, space_file, tmp_path):
    """A study of one trial that our own trainer has trained; gives its folder."""
    code, _, err = call("run", space_file(SPACE), "--home", tmp_path / "home")
    assert (code, err) == (0, "")
    return tmp_path / "home" / "small"


def export(call, tmp_path):
    return call(
        "export", "small", "-o", tmp_path / "best.yaml", "--model", tmp_path / "model", "--home", tmp_path / "home"
    )


def test_the_winners_weights_are_a_model_directory(call, study, tmp_path):
    code, out, err = export(call, tmp_path)
    assert (code, err) == (0, "")
    assert f"{tmp_path}/model: the weights of trial 0 at evaluation" in out
    assert "not tested" in out
    metrics = json.loads((tmp_path / "model" / "metrics.json").read_text())
    (trial,) = history_of(Home(tmp_path / "home"), "small", space="small").trials.values()
    assert metrics["val/loss"] == trial.value
    assert not [name for name in metrics if name.startswith("test/")]
    kept = torch.load(_body(study / "checkpoints/0000/best.pt"), weights_only=True)["model"]
    assert torch.equal(load_pretrained(tmp_path / "model").state_dict()["embedding.weight"], kept["embedding.weight"])
    assert [path.name for path in tmp_path.glob(".model-*")] == []
    one_line(export(call, tmp_path), 2, r"model: is not empty; choose another folder")


def test_weights_that_are_gone_damaged_or_of_other_data_are_one_line(call, study, tmp_path, corpus_files):
    path = study / "checkpoints" / "0000" / "best.pt"
    kept = path.read_bytes()
    path.write_bytes(kept[:-1] + b"!")
    one_line(export(call, tmp_path), 2, r"does not match its checksum; hpsearch train makes the model anew")
    path.unlink()
    one_line(export(call, tmp_path), 2, r"the weights of trial 0 at its best evaluation are not kept; hpsearch train")
    path.write_bytes(kept)
    (corpus_files / "train.txt").write_text("another text " * 100)
    one_line(export(call, tmp_path), 2, r"are not those of trial 0: hpsearch train makes the model anew")
    assert not (tmp_path / "model").exists()


def test_a_paused_winner_has_its_best_weights_in_its_state(call, space_file, tmp_path):
    path = space_file(SPACE + "search: {policy: 'python:pausing_all:All'}\n")
    (path.parent / "pausing_all.py").write_text(PAUSING_ALL)
    code, _, err = call("run", path, "--home", tmp_path / "home")
    assert (code, err) == (0, "")
    study = tmp_path / "home" / "small"
    assert not (study / "checkpoints/0000/best.pt").exists()
    code, out, err = export(call, tmp_path)
    assert (code, err) == (0, "")
    assert "the weights of trial 0 at evaluation 1" in out
    best = torch.load(_body(study / "checkpoints/0000/last.pt"), weights_only=True)["best"]["weights"]
    assert torch.equal(load_pretrained(tmp_path / "model").state_dict()["norm.weight"], best["norm.weight"])
    home = Home(tmp_path / "home")
    (trial,) = history_of(home, "small", space="small").ranked(unfinished=True)
    (corpus,) = (path.parent for path in home.cache.glob("*/sizes.json"))
    prepared = {TrainConfig.model_validate(trial.config).corpus_digest(): corpus}
    setting = WorkerSettings(device="cpu", threads=1, cache=home.cache, base=tmp_path, prepared=prepared)
    later = replace(trial, best=replace(trial.best, index=trial.best.index + 1))
    with pytest.raises(UserError, match="trial 0, which has not ended, at its best evaluation are not kept"):
        write_model(History(), later, tmp_path / "other", study=study, setting=setting)


def test_weights_in_a_storage_are_fetched(call, study, tmp_path):
    history = history_of(Home(tmp_path / "home"), "small", space="small")
    url = f"file://{tmp_path}/storage"
    study_storage = StudyStorage(Storage(url), history, {})
    _store(study_storage, study / "checkpoints" / "0000" / "best.pt")
    study_storage.close()
    shutil.rmtree(study / "checkpoints")
    path = study / "space.yaml"
    path.write_text(path.read_text().replace("launcher: inline", f"launcher: {{name: ray, storage: '{url}'}}"))
    code, _, err = export(call, tmp_path)
    assert (code, err) == (0, "")
    assert (tmp_path / "model" / "model.safetensors").exists()


def _store(study_storage, path):
    from hpsearch.storage.snapshots import Snapshots

    snapshots = Snapshots(study_storage.storage, study_storage.remote(0).folder)
    snapshots.load_newest()
    snapshots.save({path.name: path})


def _body(path):
    import io

    return io.BytesIO(path.read_bytes().partition(b"\n")[2])
