"""A real trial that overfits, from its cool-down to the final training that repeats it to the last bit."""

import random

import pytest

import hpsearch
from tests.faults.zygote import NoViews

WORDS = ["ba", "ko", "mi", "tu", "re", "la", "so", "ne", "pi", "du"]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """One real trial on a few words, which it learns by heart."""
    folder = tmp_path_factory.mktemp("few")
    for seed, (part, n) in enumerate({"train": 200, "valid": 400, "test": 100}.items()):
        draw, words = random.Random(seed), [0]
        for _ in range(n):
            words.append((words[-1] * 3 + draw.choice([1, 1, 1, 2, 5, 7])) % len(WORDS))
        (folder / f"{part}.txt").write_text(" ".join(WORDS[word] for word in words))
    space = {
        "study": "few",
        "budget": {"trials": 1},
        "data": {"text": {"task": "text", "files": {part: f"{part}.txt" for part in ("train", "valid", "test")}}},
        "tokenizer": {"kind": "bytes"},
        "model": {"n_layers": 2, "width": 64, "n_heads": 2, "context": 32},
        "search": {"pruner": "none", "baselines": False},
        "training": {
            "learning_rate": {"low": 5e-3, "high": 6e-3},
            "epochs": 300.3,
            "batch_size": 8,
            "precision": "fp32",  # bf16 rounds so coarsely that on some CPUs the cool-down ends above the best
        },
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hpsearch.search.driver.shipper.start", NoViews)
        return hpsearch.run(space, base=folder, home=folder / "home", workers=1, progress=False)


def test_a_trial_that_overfits_is_worth_what_its_cooldown_comes_to(study):
    [trial] = study.trials
    [end] = trial.branches
    assert (trial.outcome, trial.best) == ("overfit", end)
    assert trial.value == end.metrics["val/loss"] < min(e.metrics["val/loss"] for e in trial.evaluations)
    assert end.branch["training"]["epochs"] == pytest.approx(end.epoch)
    assert end.epoch < 300.3 / 2


def test_the_exported_config_is_a_whole_training_that_comes_to_the_same(study, tmp_path):
    best = study.export(tmp_path / "best.yaml")
    config = hpsearch.Experiment.load(best).train_config().training
    assert (config.stop_at, config.epochs) == (1.0, study.best.best.branch["training"]["epochs"])
    result = hpsearch.train(best, output=tmp_path / "model", home=tmp_path / "home", progress=False)
    assert "reproduced to the last bit" in result.reproduction
    assert result.metrics["val/loss"] <= study.best.value
