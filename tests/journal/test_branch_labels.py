"""The params of a trial as people read them: what a branch sets, in place of its label."""

import re

import pytest

from hpsearch.displays.text import params
from hpsearch.journal.branch_labels import label_in_words, read_names, unfolded, unfolded_space
from hpsearch.journal.trial_history import BestEvaluation, TrialHistory
from hpsearch.space.experiment import Experiment
from tests.searching import DATA, TOY, ask, opened

LABEL = "tuning=lora, lora_rank=4..32"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"tuning": LABEL, "lora_rank": 16, "lr": 1e-3}, {"tuning": "lora", "lora_rank": 16, "lr": 1e-3}),
        ({"tuning": LABEL, "model.lora_rank": 16}, {"tuning": "lora", "model.lora_rank": 16}),
        ({"tuning": "full", "lr": 1e-3}, {"tuning": "full", "lr": 1e-3}),
        ({"tuning": "tuning=full (2)"}, {"tuning": "full"}),
        ({"model": "n_layers=2, width=96"}, {"n_layers": 2, "width": 96}),
        ({"model": "n_layers=2, width=8|16|32", "width": 16}, {"n_layers": 2, "width": 16}),
        ({"tuning": LABEL}, {"tuning": "lora", "lora_rank": "4..32"}),  # its own param is lost
        ({"epochs": "epochs=3.0..9.0", "epochs.2": 5.5}, {"epochs": 5.5}),
        ({"epochs": "3.0..9.0", "epochs.2": 5.5}, {"epochs": 5.5}),
        ({"model": "n_layers=2..4, width=8", "model.n_layers.2": 3}, {"width": 8, "model.n_layers": 3}),
        ({"tokenizer": "kind=bytes"}, {"tokenizer": "bytes"}),
        ({"tokenizer": "kind=bpe, vocab_size=300..600", "vocab_size": 352}, {"tokenizer": "bpe", "vocab_size": 352}),
        ({"config.optimizer": "name=sgd, lr=0.1..1.0", "lr": 0.2}, {"config.optimizer": "sgd", "lr": 0.2}),
        ({"files": "a..b"}, {"files": "a..b"}),  # a text of the user's
        ({"epochs": "epochs=2.0, decay=0.5", "lr": 1e-3}, {"epochs": 2.0, "decay": 0.5, "lr": 1e-3}),
        ({"flags": "a=b"}, {"flags": "a=b"}),  # a text of the user's
        ({"flags": "a, b=c"}, {"flags": "a, b=c"}),
        ({"epochs": "12.0", "lr": "1e-05"}, {"epochs": 12.0, "lr": 1e-5}),  # numbers beside sub-configs
        ({"clip": "inf", "version": "007"}, {"clip": "inf", "version": "007"}),
        ({"x": 3, "y": None, "z": True}, {"x": 3, "y": None, "z": True}),
        ({}, {}),
    ],
)
def test_the_label_of_a_branch_becomes_its_values(given, found):
    assert unfolded(given) == found


def test_the_ranges_of_branches_become_those_of_their_keys():
    """A key that one branch fixes and another searches has the range that spans both."""
    space = {
        "tokenizer": {"choices": ["kind=bytes", "kind=bpe, vocab_size=300..600"]},
        "vocab_size": {"low": 300, "high": 600},
        "model": {"choices": ["n_layers=1, width=64", "n_layers=2..4, width=32"]},
        "n_layers": {"low": 2, "high": 4},
        "epochs": {"choices": ["epochs=4.0, weight_decay=0.5", "5.0..50.0"]},
        "epochs.2": {"low": 5.0, "high": 50.0, "log": True},
        "note": {"choices": ["a=b", "c"]},  # texts of the user's
    }
    assert unfolded_space(space) == {
        "tokenizer": {"choices": ["bytes", "bpe"]},
        "vocab_size": {"low": 300, "high": 600},
        "n_layers": {"low": 1, "high": 4},
        "width": {"choices": [32, 64]},
        "epochs": {"low": 4.0, "high": 50.0, "log": True},
        "weight_decay": {"choices": [0.5]},
        "note": {"choices": ["a=b", "c"]},
    }
    assert read_names(space) == {
        "vocab_size": "vocab_size",
        "n_layers": "n_layers",
        "epochs.2": "epochs",
        "note": "note",
    }
    own = {"layers.2": {"low": 1, "high": 3}}  # a name of the user's, of no branch
    assert unfolded_space(own) == own


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("n_layers=1, width=64", "n_layers 1 with width 64"),
        ("a=1, b=2..4, c=x (2)", "a 1 with b 2..4 and c x"),
        ("2.0..14.0", "2.0..14.0"),
    ],
)
def test_a_label_in_words(label, words):
    assert label_in_words(label) == words


def test_a_trial_that_cooled_down_names_the_epochs_of_its_branch():
    """The label stays for programs; people read the epochs of the shorter training beside those that were sampled."""
    best = BestEvaluation(2, 4.0, branch={"training": {"epochs": 21.2, "warmup": 0.1}})
    searched = {"epochs": "epochs=5.0..50.0", "epochs.2": 42.4, "batch_size": 8}
    trial = TrialHistory(3, params=searched, best=best)
    assert trial.trained_params == {"epochs": "epochs=5.0..50.0", "epochs.2": 21.2, "batch_size": 8}
    assert trial.read_params == {"epochs": 21.2, "batch_size": 8}
    assert trial.told_params == {"epochs": "42.4 -> 21.2", "batch_size": 8}
    assert trial.replaced == {"epochs": 42.4}
    fixed = TrialHistory(3, params={"epochs": "epochs=4.0, weight_decay=0.5"}, best=best)
    assert fixed.trained_params == fixed.params
    assert fixed.told_params == {"epochs": "4 -> 21.2", "weight_decay": 0.5}


def test_what_a_real_space_records_is_read_without_its_labels(tmp_path):
    body = "training: {epochs: {choices: [{epochs: 2, weight_decay: 0.5}, {epochs: {low: 3, high: 9}}, 12]}}\n"
    text = f"study: toy\n{DATA}trainer: '{TOY}'\nbudget: {{trials: 40}}\nsearch: {{default: false}}\n{body}"
    study = opened(Experiment.loads(text), tmp_path / "toy")
    told = set()
    for number in (ask(study) for _ in range(24)):
        told.add(params(study.history.trials[number]))
    study.journal.close()
    fixed = {"epochs=2 weight_decay=0.5", "epochs=12"}
    assert fixed < told
    others = told - fixed
    assert all(3 <= float(re.fullmatch(r"epochs=([\d.]+)", one)[1]) <= 9 for one in others), others


def test_a_line_of_a_trial_has_no_label():
    trial = TrialHistory(3, params={"tuning": LABEL, "lora_rank": 16, "learning_rate": 0.00212})
    assert params(trial) == "tuning=lora lora_rank=16 learning_rate=0.00212"
