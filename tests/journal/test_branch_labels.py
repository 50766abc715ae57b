"""The params of a trial as people read them: what a branch sets, in place of its label."""

import re

import pytest

from hpsearch.displays.text import params
from hpsearch.journal.branch_labels import unfolded
from hpsearch.journal.trial_history import TrialHistory
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
        ({"files": "a..b"}, {"files": "a..b"}),  # a text of the user's
        ({"epochs": "epochs=2.0, decay=0.5", "lr": 1e-3}, {"epochs": 2.0, "decay": 0.5, "lr": 1e-3}),
        ({"flags": "a=b"}, {"flags": "a=b"}),  # a text of the user's
        ({"flags": "a, b=c"}, {"flags": "a, b=c"}),
        ({"x": 3, "y": None, "z": True}, {"x": 3, "y": None, "z": True}),
        ({}, {}),
    ],
)
def test_the_label_of_a_branch_becomes_its_values(given, found):
    assert unfolded(given) == found


def test_what_a_real_space_records_is_read_without_its_labels(tmp_path):
    body = "training: {epochs: {choices: [{epochs: 2, weight_decay: 0.5}, {epochs: {low: 3, high: 9}}, 12]}}\n"
    text = f"study: toy\n{DATA}trainer: '{TOY}'\nbudget: {{trials: 40}}\nsearch: {{default: false}}\n{body}"
    study = opened(Experiment.loads(text), tmp_path / "toy")
    told = set()
    for number in (ask(study) for _ in range(24)):
        told.add(params(study.history.trials[number]))
    study.journal.close()
    fixed = {"epochs=2 weight_decay=0.5", "epochs=12.0"}
    assert fixed < told
    others = told - fixed
    assert all(3 <= float(re.fullmatch(r"epochs=([\d.]+)", one)[1]) <= 9 for one in others), others


def test_a_line_of_a_trial_has_no_label():
    trial = TrialHistory(3, params={"tuning": LABEL, "lora_rank": 16, "learning_rate": 0.00212})
    assert params(trial) == "tuning=lora lora_rank=16 learning_rate=0.00212"
