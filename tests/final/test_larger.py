"""`hpsearch export --for` and `Study.scale_up`: a larger training than a study's, as a table, as JSON and as a file."""

import json

import numpy as np
import pytest

import hpsearch
from hpsearch.errors import UserError
from hpsearch.space.experiment import Experiment
from tests.cli.test_run import one_line
from tests.searching import experiment, go

BODY = """
seed: 3
budget: {trials: 2}
search: {pruner: none}
model: {width: 32, n_heads: 2, n_layers: 2, context: 16}
"""
TARGET = "{width: 128, n_layers: 4, tokens: 40000}"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home with a study of causal_lm, whose trials are synthetic curves."""
    folder = tmp_path_factory.mktemp("home")
    go(experiment(BODY), folder / "toy")
    return folder


def test_the_larger_training_is_a_file_that_can_be_trained(home, call, tmp_path):
    path = tmp_path / "larger.yaml"
    code, out, err = call("export", "toy", "--for", TARGET, "-o", path, "--home", home)
    assert (code, err) == (0, "")
    best, found = hpsearch.load("toy", home=home).best, Experiment.load(path).train_config()
    assert (found.model.width, found.model.n_layers, found.model.n_heads) == (128, 4, 8)
    assert found.training.epochs == 100  # the study's data have 400 tokens
    assert f"larger than trial {best.number}: parameters" in out
    assert "learning_rate" in out
    assert "Step Law" in out
    assert "warning: " in out
    assert f"next: hpsearch train {path}" in out


def test_the_file_says_of_each_value_what_it_was_and_by_which_rule(home, tmp_path):
    study = hpsearch.load("toy", home=home)
    found = study.scale_up({"width": 128}, tmp_path / "larger.yaml")
    text = (tmp_path / "larger.yaml").read_text()
    was = study.best.params["learning_rate"]
    now = found.config.training.learning_rate
    [line] = [line for line in text.splitlines() if line.startswith("  learning_rate:")]
    assert line.startswith(f"  learning_rate: {now}")
    assert f"# {was} -> {now}: width and depth, rate ~ " in line
    assert "arXiv 2203.03466" in line
    assert "holds for 46M to 2.9B parameters" in line
    assert f"A larger training than that of trial {study.best.number} of study toy, by rules" in text
    assert all(f"# warning: {warning}" in text for warning in found.warnings)


def test_the_provenance_knows_the_data_and_claims_no_value(home, tmp_path):
    study = hpsearch.load("toy", home=home)
    study.scale_up({"width": 128}, tmp_path / "larger.yaml")
    known = Experiment.load(tmp_path / "larger.yaml").provenance
    assert known["trial"] == study.best.number
    assert known["data_fingerprint"] == "f" * 64
    assert known["scaled"]["model.width"] == [32, 128]
    assert not {"val/loss", "config", "confirmation", "search_best"} & set(known)


def test_json_has_all_values_and_rules(home, call, tmp_path):
    code, out, err = call(
        "export", "toy", "--for", TARGET, "--trial", "0", "--json", "-o", tmp_path / "a.yaml", "--home", home
    )
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert (found["file"], found["trial"]) == (str(tmp_path / "a.yaml"), 0)
    rate = next(one for one in found["changes"] if one["key"] == "learning_rate")
    assert rate["after"] == found["config"]["training"]["learning_rate"]
    assert {one["rule"] for one in rate["others"]} == {"independent grid", "Step Law"}
    assert set(found["sizes"]) == {"parameters", "tokens"}


def test_from_python_nothing_is_written_without_a_path(home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = hpsearch.load("toy", home=home)
    found = study.scale_up({"width": np.int64(64)}, trial=study.trials[0])
    assert isinstance(found, hpsearch.ScaleUp)
    assert (found.trial, found.config.model.width) == (0, 64)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UserError, match=r"to: 'large' is not allowed; allowed: a mapping"):
        study.scale_up("large")
    with pytest.raises(UserError, match=r"to: {} is not allowed; allowed: a mapping"):
        study.scale_up({})
    with pytest.raises(UserError, match=r"cheapest and trial: only one"):
        study.scale_up({"width": 64}, trial=0, cheapest=True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--for", "{widht: 64}"], r"the larger training: widht: unknown key; did you mean 'width'\?"),
        (["--for", "{width: .nan}"], r"--for: .nan is not allowed; write a finite number"),
        (["--for", "1024"], r"--for: '1024' is no mapping of sizes; allowed: one as in {width: 1024"),
        (["--for", "{}"], r"--for: '{}' is no mapping of sizes; allowed: one as in {width: 1024"),
        (["--for", "{width: 64, width: 128}"], r"--for: key 'width' is given twice"),
        (
            ["--for", "{width: 40}"],
            r"the larger training: width: 40 is no multiple of the trial's head width 16; allowed: 32 or 48",
        ),
        (
            ["--for", "{tokens: 1}"],
            r"tokens: 1 tokens are fewer than those of the trial's training; allowed: [\d,]+ or more",
        ),
        (["--for", "{width: 64}", "--model", "model"], r"--for and --model: a larger training has no weights yet"),
        (["--json"], r"--json: only with --for"),
    ],
)
def test_mistakes_are_one_line(home, call, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    one_line(call("export", "toy", *arguments, "--home", home), 2, words)
    assert list(tmp_path.iterdir()) == []


def test_a_trainer_without_rules_says_so(call, tmp_path):
    go(experiment("trainer: 'python:hpsearch.testing.toy:Toy'\nbudget: {trials: 1}\n"), tmp_path / "toy")
    result = call("export", "toy", "--for", "{width: 256}", "-o", tmp_path / "a.yaml", "--home", tmp_path)
    one_line(result, 2, r"trainer python:hpsearch.testing.toy:Toy has no rules for a larger training")
