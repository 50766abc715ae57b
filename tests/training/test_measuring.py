"""What a few steps of a training are measured to take."""

import pytest

from hpsearch.contract import ROUGH, Command
from hpsearch.training.measuring import measure
from tests.training.tiny import MIXED, PAIRS, TEXT, handle, opened, tiny


def measured(config, folder, seconds=0.2, **given):
    opened(config, folder)
    return list(measure(config, handle(folder, **given), seconds))[-1:]  # on a slow machine a rough one comes before


@pytest.fixture
def folder(tmp_path, corpus_files):
    return tmp_path


def test_a_text_has_steps_an_evaluation_and_a_checkpoint(folder):
    config = tiny({"text": TEXT}, training={"epochs": 500})
    [found] = measured(config, folder)
    metrics = found.metrics
    assert metrics["steps"] >= 1
    assert 0 < metrics["step_tokens"] <= 8 * 32
    assert min(metrics[name] for name in ("build", "step", "evaluation", "checkpoint")) > 0
    assert "decoding" not in metrics
    assert metrics["state_bytes"] == pytest.approx(3 * metrics["weights_bytes"], rel=0.2)  # and two moments
    assert found.peak_memory > 0
    assert not list((folder / "trial").iterdir())  # its checkpoints are gone


def test_pairs_are_decoded(folder):
    [found] = measured(tiny({"pairs": PAIRS}, training={"epochs": 50}), folder)
    assert found.metrics["decoding"] > 0
    assert found.metrics["decoding_none"] > 0


@pytest.mark.parametrize(("epochs", "times", "early"), [(5, 5, True), (500, 1, False)])
def test_answers_up_to_the_limit_are_timed_if_evaluations_come_early(folder, epochs, times, early):
    config = tiny({"pairs": PAIRS}, training={"epochs": epochs}, evaluation={"times": times})
    [found] = measured(config, folder)
    assert ("decoding_limit" in found.metrics) == early


def test_mixed_sets_are_measured_together(folder):
    [found] = measured(tiny(MIXED, training={"epochs": 50}), folder)
    assert found.metrics["decoding"] > 0


def test_a_training_of_one_step_is_timed(folder):
    config = tiny({"text": TEXT}, training={"epochs": 0.01, "batch_size": 64}, evaluation={"times": 1})
    [found] = measured(config, folder)
    assert found.step == 1
    assert found.metrics["step"] > 0


def test_an_evaluation_that_would_take_too_long_is_estimated(folder, monkeypatch):
    monkeypatch.setattr("hpsearch.training.measuring.PATIENCE", 0.0)
    [found] = measured(tiny({"text": TEXT}, training={"epochs": 50}), folder)
    assert found.metrics["estimated"] == 1.0
    assert found.metrics["evaluation"] > 0


def test_a_command_ends_it(folder):
    assert measured(tiny({"text": TEXT}, training={"epochs": 50}), folder, command=lambda: Command.PAUSE) == []


def test_a_slow_model_is_measured_roughly_by_its_first_steps(folder, monkeypatch):
    """All that a cost model needs is there before an evaluation of the validation split has ended."""
    monkeypatch.setattr("hpsearch.training.measuring.ROUGH_SHARE", 0.0)
    config = tiny({"text": TEXT}, training={"epochs": 500})
    opened(config, folder)
    rough, found = measure(config, handle(folder), 0.2)
    assert (rough.index, found.index) == (1, 2)
    assert ROUGH in rough.metrics
    assert ROUGH not in found.metrics
    needed = {"build", "step", "step_tokens", "steps", "evaluation", "weights_bytes", "state_bytes"}
    assert needed <= rough.metrics.keys()
    valid = sum(one["valid"]["tokens"] for one in opened(config, folder).counts.values())
    per_token = rough.metrics["step"] / rough.metrics["step_tokens"]
    assert rough.metrics["evaluation"] == pytest.approx(valid * per_token / 3)
    assert rough.metrics["state_bytes"] == found.metrics["state_bytes"]
