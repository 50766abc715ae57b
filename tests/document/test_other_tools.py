"""Ranges in other tools' spelling: the error suggests ours, which is valid."""

import pytest

from hpsearch.document.other_tools import in_our_spelling
from hpsearch.errors import ConfigError
from hpsearch.space.experiment import Experiment

LR = "{low: 0.0001, high: 0.1}"
LOG = "{low: 0.0001, high: 0.1, log: true}"
SPELLINGS = [
    ("batch_size", "[16, 32]", "{choices: [16, 32]}"),
    ("schedule", "[wsd, cosine]", "{choices: [wsd, cosine]}"),
    # Weights & Biases
    ("learning_rate", "{min: 1e-4, max: 0.1}", LR),
    ("learning_rate", "{distribution: log_uniform_values, min: 1e-4, max: 0.1}", LOG),
    ("learning_rate", "{distribution: log_uniform, min: -9.21034, max: -2.302585}", LOG),
    ("batch_size", "{distribution: q_uniform, min: 8, max: 64, q: 8}", "{low: 8, high: 64, step: 8}"),
    ("batch_size", "{values: [16, 32]}", "{choices: [16, 32]}"),
    ("batch_size", "{value: 16}", "16"),
    ("batch_size", "{distribution: constant, value: 16}", "16"),
    # Optuna
    ("learning_rate", "{type: float, low: 1e-4, high: 0.1, log: true}", LOG),
    ("batch_size", "{type: categorical, choices: [16, 32]}", "{choices: [16, 32]}"),
    ("learning_rate", "trial.suggest_float('lr', 1e-4, 0.1, log=True)", LOG),
    ("batch_size", "suggest_int('batch', 8, 64, step=8)", "{low: 8, high: 64, step: 8}"),
    ("batch_size", "suggest_categorical('batch', [16, 32])", "{choices: [16, 32]}"),
    # Ray Tune
    ("learning_rate", '"tune.loguniform(1e-4, 1e-1)"', LOG),
    ("learning_rate", "loguniform(1e-4,1e-1)", LOG),
    ("batch_size", "'tune.choice([16, 32])'", "{choices: [16, 32]}"),
    ("batch_size", "{grid_search: [16, 32]}", "{choices: [16, 32]}"),
    ("batch_size", "tune.quniform(8, 64, 8)", "{low: 8, high: 64, step: 8}"),
    # Ax, Hydra, hyperopt
    ("learning_rate", "{type: range, bounds: [1e-4, 0.1], log_scale: true}", LOG),
    ("learning_rate", "interval(1e-4, 0.1)", LR),
    ("schedule", "choice(wsd, cosine)", "{choices: [wsd, cosine]}"),
    ("learning_rate", "hp.loguniform('lr', -9.21034, -2.302585)", LOG),
]


@pytest.mark.parametrize(("key", "theirs", "ours"), SPELLINGS, ids=[theirs for _, theirs, _ in SPELLINGS])
def test_a_spelling_of_another_tool_is_answered_with_ours(key, theirs, ours):
    text = "data: {{a: {{task: text, dataset: 'python:a:b'}}}}\ntraining:\n  {}: {}\n"
    with pytest.raises(ConfigError) as refusal:
        Experiment.loads(text.format(key, theirs))
    assert str(refusal.value).startswith("space.yaml:3:")
    assert str(refusal.value).endswith(f"; write {ours}")
    Experiment.loads(text.format(key, ours))


@pytest.mark.parametrize(
    "value",
    [
        "wsd",
        "f(",
        "print(1)",
        "uniform(a, b)",
        "__import__('os').system('x')",
        {},
        {"min": 1},
        {"low": 1, "hihg": 2},
        [],
        "(" * 5000,
        {"min": "a", "max": "b"},
        {"distribution": "log_uniform", "min": 1, "max": 1000},
    ],
    ids=repr,
)
def test_what_says_nothing_is_answered_with_nothing(value):
    assert in_our_spelling(value) == ""


def test_many_choices_are_not_written_out():
    assert in_our_spelling(list(range(50))) == "{choices: [...]}"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("parameters: {lr: {min: 0, max: 1}}", "parameters: unknown key; ranges stand in model, training, tokenizer"),
        ("evaluations: 10", "evaluations: unknown key; their number is evaluation: {times: N}"),
        ("method: bayes", "method: unknown key; the sampler is search: {sampler: ...}"),
        ("metric: {name: val_loss, goal: minimize}", "metric: unknown key; the metric is objective: {metric: ...}"),
    ],
)
def test_sections_of_a_sweep_file_are_answered_with_ours(line, said):
    with pytest.raises(ConfigError, match=r"^space.yaml:2:1: ") as refusal:
        Experiment.loads(f"data: {{a: {{task: text, dataset: 'python:a:b'}}}}\n{line}\n")
    assert said in str(refusal.value)
