"""Each warning about a space of language models, by a space of its own; and silence about the shipped ones."""

from pathlib import Path

import pytest

from hpsearch.preflight.planning import lint
from hpsearch.space.experiment import Experiment

SPACES = sorted((Path(__file__).parents[3] / "search_spaces").glob("*.yaml"))
TEXT = "data: {text: {task: text, files: {train: a.txt}}}\n"
SETS = {"text": {"train": {"examples": 90, "tokens": 60_000}, "valid": {"examples": 9, "tokens": 6_000}}}
RATE = "learning_rate: {low: 1e-3, high: 1e-2, log: true}"


def said(body, sets=SETS):
    """The warnings, as lines."""
    experiment = Experiment.loads(TEXT + body, path="space.yaml")
    return lint.lines(experiment, experiment.trainer.advice(experiment.space_file, sets))


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_the_shipped_spaces_are_as_advised(path):
    experiment = Experiment.load(path)
    assert lint.lines(experiment, lint.lint(experiment, {})) == []


def test_a_good_space_has_no_warnings():
    assert said(f"training: {{{RATE}, epochs: {{low: 2, high: 8}}}}") == []


def test_a_rate_on_a_linear_scale():
    [line] = said("training: {learning_rate: {low: 1e-3, high: 1e-2}}")
    assert line.startswith("space.yaml:2:27: training.learning_rate: a learning rate on a linear scale: ")
    assert line.endswith("; add log: true")
    assert said("training: {learning_rate: {low: 1e-3, high: 2e-3}}") == []  # a narrow one may be linear


@pytest.mark.parametrize(
    ("share", "what"),
    [("1.0", "the warm-up is as long as the training"), ("0.75", "the warm-up takes up to 75% of the training")],
)
def test_a_long_warmup(share, what):
    [line] = said(f"training: {{{RATE}, schedule: cosine, warmup: {share}}}")
    assert what in line
    assert "training.warmup" in line
    assert said(f"training: {{{RATE}, warmup: 0.1}}") == []


def test_a_text_shorter_than_one_context():
    sets = {"text": {"train": {"examples": 1, "tokens": 100}, "valid": {"examples": 1, "tokens": 64}}}
    found = [line for line in said("model: {context: 128}\nevaluation: {times: 1}\n", sets) if "context" in line]
    assert [line.partition(";")[0] for line in found] == [
        "space.yaml:1:14: data.text: its train split has 100 tokens, fewer than one context of 128",
        "space.yaml:1:14: data.text: its valid split has 64 tokens, fewer than one context of 128",
    ]


def test_repeats_without_dropout():
    [line] = said(f"training: {{{RATE}, epochs: {{low: 2, high: 40}}}}")
    assert line.startswith("space.yaml:2:")
    assert "up to 40 passes over the same data without dropout" in line
    assert "arXiv 2305.16264" in line
    assert said(f"model: {{dropout: {{low: 0.0, high: 0.3}}}}\ntraining: {{{RATE}, epochs: 40}}") == []
    assert said(f"training: {{{RATE}, epochs: {{low: 2, high: 16}}}}") == []


def test_fewer_steps_than_evaluations():
    # 60,000 tokens in rows of 128: 469 rows, 8 batches of 64, half an epoch of them
    [line] = said(f"training: {{{RATE}, batch_size: 64, epochs: 0.5}}")
    assert "with batches of 64 and 0.5 epochs a training has 4 steps and 20 evaluations" in line
    assert said(f"training: {{{RATE}, batch_size: 64, epochs: 0.5}}\nevaluation: {{times: 4}}\n") == []


def test_depth_that_is_compared_after_a_few_steps():
    # 469 rows in batches of 16: 30 steps an epoch, 60 in all, compared at 2 / 20 of them
    body = f"model: {{n_layers: {{low: 1, high: 8}}}}\ntraining: {{{RATE}, batch_size: 16, epochs: 2}}\n"
    [line] = said(body)
    assert line.startswith("space.yaml:2:19: model.n_layers: 1 to 8 are compared after about 6 steps")
    assert said(f"{body}search: {{pruner: none}}\n") == []
    assert said(body.replace("epochs: 2", "epochs: 60").replace("model: {", "model: {dropout: 0.2, ")) == []
    assert said(body.replace("high: 8", "high: 3")) == []
