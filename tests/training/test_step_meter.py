"""The sums of several steps between two training points."""

import torch

from hpsearch.training.step_meter import StepMeter
from tests.training.tiny import CPU


def test_steps_add_up_by_set_and_the_norm_is_the_last():
    window = StepMeter(CPU)
    for name, loss, norm, n_targets in (("a", 3.0, 0.5, 4), ("b", 7.0, 0.25, 2), ("a", 1.5, 2.0, 3)):
        window.add(name, torch.tensor(loss), torch.tensor(norm), n_targets)
    assert window.close() == ({"a": (4.5, 7), "b": (7.0, 2)}, 2.0)
    window.restart(100)
    window.add("b", torch.tensor(1.0), torch.tensor(0.125), 5)
    assert window.close() == ({"b": (1.0, 5)}, 0.125)
    assert window.tokens_before == 100


def test_its_time_is_that_of_the_steps_over_all_attempts(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    window = StepMeter(CPU)
    clock[0] += 3
    window.stop_clock()
    clock[0] += 1000
    again = StepMeter(CPU)
    again.load(window.state())
    clock[0] += 2
    assert again.seconds == 5
    window.start_clock()
    clock[0] += 4
    assert window.seconds == 7
