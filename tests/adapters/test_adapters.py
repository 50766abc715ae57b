"""Callbacks that report to a trial: a real transformers.Trainer, and the loops of Lightning and Keras as stubs."""

import importlib
import sys
import types

import pytest

from hpsearch.adapters.names import named
from hpsearch.contract import Command
from tests.trainers.own_code import losses, written

TRAINER = """
import torch
from transformers import Trainer, TrainingArguments
from hpsearch.adapters.transformers import ReportCallback

class Fit(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.line = torch.nn.Linear(1, 1)

    def forward(self, x, labels):
        y = self.line(x)
        return {"loss": ((y - labels) ** 2).mean(), "logits": y}

def train(config, trial):
    rows = [{"x": torch.tensor([i / 16]), "labels": torch.tensor([i / 8 + 1])} for i in range(16)]
    torch.manual_seed(trial.seed)
    arguments = TrainingArguments(
        output_dir=str(trial.folder), per_device_train_batch_size=4, max_steps=12, learning_rate=config["lr"],
        eval_strategy="steps", eval_steps=3, save_strategy="steps", save_steps=3, logging_steps=1, seed=trial.seed,
        report_to=[], disable_tqdm=True, use_cpu=True, dataloader_pin_memory=False,
    )
    report = ReportCallback(trial)
    trainer = Trainer(Fit(), arguments, train_dataset=rows, eval_dataset=rows, callbacks=[report])
    trainer.train(resume_from_checkpoint=report.checkpoint)
"""


@pytest.fixture
def space(tmp_path):
    pytest.importorskip("accelerate")
    return lambda name: written(folder(tmp_path / name), TRAINER, config={"lr": 0.1}, evaluations=4)


def folder(path):
    path.mkdir()
    return path


@pytest.mark.filterwarnings("ignore")  # of transformers and accelerate
def test_a_trainer_of_transformers_reports_stops_and_resumes(space):
    undisturbed = list(space("undisturbed").train())
    assert [(e.index, e.step, e.progress) for e in undisturbed] == [(i, 3 * i, i / 4) for i in range(1, 5)]
    assert undisturbed[0].metrics["val/loss"] > undisturbed[-1].metrics["val/loss"] > 0
    assert [point.step for point in undisturbed[0].points] == [1, 2, 3]
    assert {"train/loss", "train/grad_norm", "train/learning_rate"} <= undisturbed[0].points[0].metrics.keys()
    mine = space("paused")
    assert mine.up_to(2, Command.PAUSE) == losses(undisturbed)[:2]
    assert (mine.own / "files/checkpoint-6").is_dir()
    assert not (mine.own / "files/checkpoint-9").exists()
    assert mine.losses() == losses(undisturbed)


@pytest.fixture
def module(monkeypatch):
    """Makes a module importable for this test, with these attributes."""

    def made(name, **attributes):
        for end in range(1, name.count(".") + 2):
            part = ".".join(name.split(".")[:end])
            monkeypatch.setitem(sys.modules, part, types.ModuleType(part))
        vars(sys.modules[name]).update(attributes)
        ours = f"hpsearch.adapters.{name.partition('.')[0]}"
        monkeypatch.delitem(sys.modules, ours, raising=False)
        return importlib.import_module(ours)

    return made


class Callback:
    def __init__(self):
        self.params = None


LIGHTNING = """
from pathlib import Path
from hpsearch.adapters.lightning import ReportCallback

class Trainer:  # what the callback asks of Lightning's
    sanity_checking, estimated_stepping_batches, current_epoch = True, 40, 0

    def __init__(self):
        self.global_step, self.callback_metrics = 0, {"val_loss": 9.0}

    def save_checkpoint(self, path):
        Path(path).write_text(str(self.global_step))

    def fit(self, callback, path):
        callback.on_validation_end(self, None)
        self.sanity_checking = False
        self.global_step = int(Path(path).read_text()) if path else 0
        while self.global_step < 40:
            self.global_step += 10
            self.current_epoch = self.global_step // 10
            self.callback_metrics = {"val_loss": 1 / self.global_step, "train_loss": 2.0, "name": "x"}
            callback.on_validation_end(self, None)

def train(config, trial):
    report = ReportCallback(trial)
    Trainer().fit(report, report.checkpoint)
"""


@pytest.mark.parametrize("package", ["lightning.pytorch"])
def test_lightning(tmp_path, module, package):
    module(package, Callback=Callback)
    mine = written(tmp_path, LIGHTNING, evaluations=4)
    whole = [(i, 10 * i, 0.1 / i) for i in range(1, 5)]
    assert mine.up_to(2, Command.PAUSE) == whole[:2]
    found = list(mine.train())
    assert losses(found) == whole
    assert found[-1].metrics == {"val/loss": 0.025, "train/loss": 2.0}
    assert found[-1].epoch == 4
    assert sorted(path.name for path in (mine.own / "files").iterdir()) == ["step-30.ckpt", "step-40.ckpt"]


KERAS = """
from hpsearch.adapters.keras import ReportCallback

def train(config, trial):
    report = ReportCallback(trial)
    report.params = {"epochs": 4}
    for epoch in range(4):
        try:
            report.on_epoch_end(epoch, {"loss": 3.0, "val_loss": 1.0 - epoch / 10})
        except Exception:
            pass
"""


def test_keras(tmp_path, module):
    module("keras", callbacks=types.SimpleNamespace(Callback=Callback))
    mine = written(tmp_path, KERAS, evaluations=4)
    found = list(mine.train())
    assert losses(found) == [(i, i, 1.0 - (i - 1) / 10) for i in range(1, 5)]
    assert found[0].metrics == {"val/loss": 1.0, "train/loss": 3.0}
    assert len(mine.up_to(2, Command.FINISH)) == 2


def test_metrics_of_other_libraries_have_our_names():
    given = {"eval_loss": 1, "val_acc": 2, "test_f1": 3, "train_loss": 4, "loss": 5, "a/b": 6, "text": "x"}
    ours = {"val/loss": 1, "val/acc": 2, "test/f1": 3, "train/loss": 4, "train/loss_": 5, "a/b": 6}
    assert named({**given, "loss_": 5, "loss": "x"}, otherwise="train/") == ours
    assert named({"loss": 1.0}) == {"loss": 1.0}
