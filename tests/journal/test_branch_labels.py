"""The params of a trial as people read them: what a branch sets, in place of its label."""

import pytest

from hpsearch.displays.text import params
from hpsearch.journal.branch_labels import unfolded
from hpsearch.journal.trial_history import TrialHistory
from tests.searching import ask, experiment, opened

LABEL = "tuning=lora, lora_rank=4..32"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"tuning": LABEL, "lora_rank": 16, "lr": 1e-3}, {"tuning": "lora", "lora_rank": 16, "lr": 1e-3}),
        ({"tuning": LABEL, "model.lora_rank": 16}, {"tuning": "lora", "model.lora_rank": 16}),
        ({"tuning": "full", "lr": 1e-3}, {"tuning": "full", "lr": 1e-3}),
        ({"tuning": "tuning=full (2)"}, {"tuning": "full"}),
        ({"model": "n_layers=2, width=96"}, {"n_layers": "2", "width": "96"}),
        ({"model": "n_layers=2, width=8|16|32", "width": 16}, {"n_layers": "2", "width": 16}),
        ({"tuning": LABEL}, {"tuning": "lora", "lora_rank": "4..32"}),  # its own param is lost
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
    study = opened(experiment(f"budget: {{trials: 40}}\nsearch: {{default: false}}\n{body}"), tmp_path / "toy")
    told = set()
    for number in (ask(study) for _ in range(24)):
        told.add(params(study.history.trials[number]))
    study.journal.close()
    assert "epochs=2 weight_decay=0.5" in told
    assert told <= {"epochs=2 weight_decay=0.5", "epochs=12", *(f"epochs={n}" for n in range(3, 10))}


def test_a_line_of_a_trial_has_no_label():
    trial = TrialHistory(3, params={"tuning": LABEL, "lora_rank": 16, "learning_rate": 0.00212})
    assert params(trial) == "tuning=lora lora_rank=16 learning_rate=0.00212"
