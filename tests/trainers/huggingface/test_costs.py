"""What `hpsearch plan` measures of a fine-tuning, and predicts from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hpsearch.contract import Evaluation
from hpsearch.trainers.costs import Sample
from hpsearch.trainers.huggingface import HuggingFace
from hpsearch.trainers.huggingface.config import FineTuneConfig
from hpsearch.trainers.huggingface.costs import cost_model, work
from tests.trainers.huggingface import tiny

DATA = {"reviews": {"task": "classification", "files": {"train": "labelled.jsonl"}}}
SETS = {"reviews": {"train": {"examples": 800, "tokens": 8000}, "valid": {"examples": 100, "tokens": 1000}}}


def config(**model: Any) -> FineTuneConfig:
    training = {"batch_size": model.pop("batch_size", 8), "epochs": model.pop("epochs", 2.0)}
    return tiny.config({"pretrained": "encoder", **model}, DATA, training=training)


def sample(of: FineTuneConfig, *, constant: float, token: float) -> Sample:
    """A measurement of a machine whose steps take a constant and a time for each token."""
    tokens = 10.0 * of.training.batch_size
    found = {"build": 1.0, "step": constant + token * tokens, "step_tokens": tokens, "evaluation": 0.5, "checkpoint": 0}
    sizes = {"weights_bytes": 100.0, "state_bytes": 300.0}
    memory = 1000 + 10 * of.training.batch_size * of.model.context
    evaluation = Evaluation(index=1, step=5, progress=0.1, metrics={**found, **sizes}, peak_memory=memory)
    return Sample(of, (evaluation,), (1.0,))


@pytest.mark.parametrize("tuning", ["full", "lora"])
def test_the_time_of_a_training_is_that_of_its_steps_and_evaluations(tuning):
    some = [sample(config(batch_size=size), constant=0.1, token=0.01) for size in (8, 32)]
    some += [sample(config(batch_size=size, tuning="lora"), constant=0.05, token=0.005) for size in (8, 32)]
    share = {"full": 1.0, "lora": 0.5}[tuning]
    found = cost_model(some, SETS)(config(batch_size=16, epochs=4.0, tuning=tuning))
    steps, tokens = 4 * 800 / 16, 4 * 8000
    assert found.training == pytest.approx(share * (0.1 * steps + 0.01 * tokens), rel=0.02)
    assert found.evaluating == pytest.approx(4 * 0.5)
    assert found.memory == pytest.approx(1000 + 10 * 16 * 32 + 100, rel=0.05)


def test_a_model_that_was_not_measured_costs_as_the_others():
    some = [sample(config(batch_size=size), constant=0.1, token=0.01) for size in (8, 32)]
    known, other = config(), config(pretrained="another")
    predict = cost_model(some, SETS)
    assert predict(other).training == pytest.approx(predict(known).training)


def test_work_grows_with_what_takes_time_and_memory():
    small = work(config(), SETS)
    assert work(config(epochs=4.0), SETS)["seconds"] > 1.9 * small["seconds"]
    assert work(config(batch_size=16), SETS)["memory"] > small["memory"]
    assert work(config(tuning="lora"), SETS)["model"] != small["model"]


def test_a_few_steps_are_measured(tmp_path: Path):
    tiny.checkpoint("encoder", tmp_path / "encoder")
    tiny.labelled(tmp_path / "labelled.jsonl", 120)
    handle = tiny.handle(tmp_path, tmp_path / "run")
    *_, found = HuggingFace().measure(config(epochs=50.0, tuning="lora"), handle, 0.2)
    assert min(found.metrics[name] for name in ("build", "step", "step_tokens", "evaluation", "checkpoint")) > 0
    assert found.metrics["state_bytes"] == pytest.approx(3 * found.metrics["weights_bytes"], rel=0.1)
    assert not list((tmp_path / "run").iterdir())
