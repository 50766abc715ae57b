"""The final training: it repeats its trial to the last bit, tests once and writes what transformers reads."""

import json
import math
import random
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from hpsearch.contract import WorkerSettings
from hpsearch.errors import StudyBusy, UserError
from hpsearch.final import best
from hpsearch.final.reproduction import reproduction
from hpsearch.final.training import FinalTraining
from hpsearch.home.home import Home
from hpsearch.launchers.inline import InlineLauncher
from hpsearch.preflight.preparation import prepare, settings_for
from hpsearch.space.experiment import Experiment
from hpsearch.system.environment import versions
from hpsearch.training.export import load_pretrained
from tests.searching import go

SPACE = """
study: tiny
seed: 5
budget: {trials: 2}
data: {text: {task: text, files: {train: train.txt, valid: valid.txt, test: test.txt}}}
tokenizer: {kind: bytes}
model: {n_layers: 2, width: 64, n_heads: 2, context: 32, dropout: 0.05}
search: {sampler: grid, pruner: none, overfitting: {sigmas: 0, evaluations: 2}}
training:
  batch_size: 4
  learning_rate: 1e-2
  epochs: {choices: [1, 100]}
  precision: fp32
"""


def text(seed, n):
    draw = random.Random(seed)
    return " ".join("".join(draw.choices("abcdefgh", k=draw.randint(2, 5))) for _ in range(n))


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """Two real trainings, the better of which learns its text by heart; gives the history and the project's folder."""
    folder = tmp_path_factory.mktemp("project")
    for seed, (name, n) in enumerate({"train": 40, "valid": 60, "test": 60}.items()):
        (folder / f"{name}.txt").write_text(text(seed, n))
    (folder / "space.yaml").write_text(SPACE)
    experiment = Experiment.load(folder / "space.yaml")
    settings = WorkerSettings(device="cpu", threads=1, cache=Home(folder / "home").make().cache, base=folder)
    study, _ = go(experiment, folder / "home" / "tiny", launcher=InlineLauncher(settings))
    best.write(study.history, folder / "best.yaml", base=folder, run_id=None)
    return study.history, folder


@pytest.fixture(scope="module")
def trained(searched):
    """`hpsearch train` in a process of its own; gives what it wrote and said."""
    _, folder = searched
    arguments = ["train", "best.yaml", "-o", "out/model", "--home", "home"]
    code = "from hpsearch.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, capture_output=True, text=True, timeout=6000, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return folder / "out" / "model", done.stdout


def final(searched, folder, name="best.yaml", **changes):
    """A final training in this process."""
    _, project = searched
    experiment = Experiment.load(project / name)
    home = Home(project / "home")
    prepared = prepare(experiment, home, lambda what, share: None)
    settings = replace(settings_for(experiment, home, prepared, None), **changes)
    return FinalTraining(experiment.train_config(), folder, settings, trainer=experiment.trainer), experiment, settings


# ------------------------------------------------------------------------------------------------------ the whole of it


def test_the_search_found_a_winner_that_overfits(searched):
    history, _ = searched
    assert [t.outcome for t in history.trials.values()].count("overfit") == 1
    assert history.best().outcome == "overfit"
    assert history.best().best.index < 19


def test_the_trials_best_validation_loss_comes_again_to_the_last_bit(searched, trained):
    history, _ = searched
    folder, said = trained
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["val/loss"] == history.best().value
    assert f"trial {history.best().number}'s value, reproduced to the last bit" in said


def test_the_test_is_in_metrics_json_and_in_what_is_said(trained):
    folder, said = trained
    metrics = json.loads((folder / "metrics.json").read_text())
    assert {"test/loss", "test/perplexity", "test/bits_per_byte", "val/loss"} <= set(metrics)
    assert f"test/loss {metrics['test/loss']:.4f}" in said
    assert metrics["test/loss"] == pytest.approx(metrics["val/loss"], rel=0.2)  # the same eight letters
    assert not (folder / "checkpoints").exists()


def test_transformers_reads_the_model_and_computes_the_same(trained):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder, _ = trained
    theirs, tokenizer = AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    tokens = torch.tensor([tokenizer("abc defg")["input_ids"]])
    assert tokenizer.decode(tokens[0]) == "abc defg"
    with torch.no_grad():
        torch.testing.assert_close(load_pretrained(folder).eval()(tokens), theirs(tokens).logits, atol=1e-4, rtol=0)


def test_a_finished_training_is_not_overwritten(searched, trained):
    with pytest.raises(UserError, match=r"holds a finished training"):
        final(searched, trained[0])


# ------------------------------------------------------------------------------------------------------------ its parts


def test_a_folder_with_something_else_is_refused_and_left_alone(searched, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"is not empty; choose another output folder"):
        final(searched, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_place_that_cannot_be_a_folder_is_the_users_mistake(searched, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot make the folder"):
        final(searched, tmp_path / "file" / "model")


def test_a_stopped_training_goes_on_to_the_same_value(searched, tmp_path):
    history, _ = searched
    seen = []
    first, *_ = final(searched, tmp_path / "model")
    for evaluation in first.trainings[0].run(stopping=lambda: len(seen) >= 2):
        seen.append(evaluation.index)
    assert first.stopped
    with pytest.raises(StudyBusy, match=r"the final training in .*model is being run by pid"):
        final(searched, tmp_path / "model")
    first.close()
    second, *_ = final(searched, tmp_path / "model")
    for evaluation in second.trainings[0].run(stopping=lambda: False):
        seen.append(evaluation.index)
    assert not second.stopped
    assert sorted(set(seen)) == list(range(1, history.best().best.index + 1))
    assert second.test()["val/loss"] == history.best().value


def test_an_error_of_who_shows_it_stops_the_training_and_is_raised_as_it_is(searched, tmp_path):
    first, *_ = final(searched, tmp_path / "model")

    def show(event):
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        list(first.trainings[0].run(lambda: False, show))
    assert first.stopped
    assert (first.trainings[0].folder / "last.pt").exists()
    first.close()


def test_a_training_killed_while_its_model_is_written_goes_on(searched, tmp_path):
    history, _ = searched
    first, *_ = final(searched, tmp_path / "model")
    list(first.trainings[0].run(stopping=lambda: False))
    (tmp_path / "model" / "config.json").write_text("{")  # as far as it got
    first.close()
    second, *_ = final(searched, tmp_path / "model")
    list(second.trainings[0].run(stopping=lambda: False))
    assert second.test()["val/loss"] == history.best().value


def test_without_a_test_split_there_is_no_test_metric(searched, tmp_path):
    _, project = searched
    text = (project / "best.yaml").read_text().replace("      test: test.txt\n", "")
    assert "test.txt" not in text
    (project / "untested.yaml").write_text(text.replace("  epochs: 100", "  epochs: 2"))
    training, *_ = final(searched, tmp_path / "model", name="untested.yaml")
    list(training.trainings[0].run(stopping=lambda: False))
    metrics = training.test()
    assert "val/loss" in metrics
    assert not any(name.startswith("test/") for name in metrics)
    assert json.loads((tmp_path / "model" / "metrics.json").read_text()) == metrics


def test_what_is_said_of_the_reproduction(searched, tmp_path):
    history, _ = searched
    _, experiment, settings = final(searched, tmp_path / "model")
    value, config, number = history.best().value, experiment.train_config(), history.best().number

    def line(found, settings=settings, **provenance):
        return reproduction({**experiment.provenance, **provenance}, config, found, settings)

    assert line(value) == f"val/loss {value:.4f}: trial {number}'s value, reproduced to the last bit"
    assert "reproduced" not in line(math.nextafter(value, math.inf))
    assert "(difference +0.5): " in line(value + 0.5)
    assert "(difference -0.5): " in line(value - 0.5)
    other = line(value * 1.001, versions={"torch": "1.0", "left-pad": "2"})
    assert other.endswith(f"another package version (torch 1.0 -> {versions()['torch']})")
    assert "trained with 2 threads instead of 1" in line(value + 1e-7, replace(settings, threads=2))
    assert "GPUs do not repeat" in line(value + 1e-7, replace(settings, device="cuda:0"))
    assert "another processor or package version" in line(value * 1.001)
    assert "another processor or package version" in line(value * 1.001, device="cpu@a-node-of-a-cluster")
    assert "NOT reproduced" in line(value * 1.1)
    better = reproduction(experiment.provenance, config, value - 0.1, settings, measured=[value, value - 0.1])
    assert better == (
        f"val/loss {value:.4f}: trial {number}'s value, reproduced to the last bit; another evaluation of this "
        f"training was better, {value - 0.1:.4f}, and the model is of that one"
    )
    assert reproduction({}, config, value, settings) is None
