"""F18 to F20, F58: numbers that are none, absurd ones, and a real training killed and resumed."""

import decimal
import math

import numpy as np
import pytest
import torch

from hpsearch.contract import WorkerSettings
from hpsearch.launchers.inline import InlineLauncher
from hpsearch.launchers.session import number
from tests.faults import trainers
from tests.searching import experiment, go

ONE = "seed: 1\nbudget: {trials: 3}\nsearch: {sampler: random, pruner: none}\n"

ACCEPTED = [1e308, -1e308, 0, 5, 2.5, np.float32(2.5), np.float64(2.5), np.int64(3), torch.tensor(2.5), np.array(2.5)]
DIVERGED = [math.nan, math.inf, -math.inf, np.float32("nan"), np.float64("-inf"), torch.tensor(math.inf)]
REFUSED = [
    None,
    "0.5",
    b"1",
    1j,
    torch.tensor(1j),
    [1.0],
    {},
    True,
    np.ones(2),
    torch.ones(1, 2),
    decimal.Decimal("1"),
    object(),
]


@pytest.fixture
def search(tmp_path, monkeypatch):
    """Searches with a trainer whose validation loss is one value at its second evaluation."""

    def run(value, metric="val/loss"):
        monkeypatch.setattr(trainers, "ODD", (metric, value))
        launcher = InlineLauncher(
            WorkerSettings(device="cpu", threads=1, cache=tmp_path, base=tmp_path),
            trainer="python:tests.faults.trainers:odd",
        )
        return go(experiment(ONE), tmp_path / "home", launcher=launcher)[0]

    return run


@pytest.mark.parametrize("value", ACCEPTED, ids=repr)
def test_finite_numbers_of_every_make_are_floats(value):
    """F19: Python's, numpy's and torch's numbers are taken as they are."""
    assert type(number("val/loss", value)) is float


@pytest.mark.parametrize("value", REFUSED, ids=[type(value).__name__ for value in REFUSED])
def test_what_is_no_number_is_a_failure_of_the_training_code(search, value):
    """F19: FAIL with the name and the value; none is left running, none wins."""
    study = search(value)
    for trial in study.history.trials.values():
        assert (trial.outcome, trial.state) == ("failed", "FAIL")
        assert trial.reason.startswith("TypeError: val/loss: ")
        assert "is not a number" in trial.reason
    assert study.history.best() is None


@pytest.mark.parametrize("value", DIVERGED, ids=repr)
def test_a_loss_that_is_not_finite_ends_its_trial_at_once(search, value):
    """F18, F19: PRUNED `diverged` at that very evaluation: no step more; it never wins; the journal has the value."""
    study = search(value)
    for trial in study.history.trials.values():
        assert (trial.outcome, trial.state) == ("diverged", "PRUNED")
        assert max(trial.evaluations) == 2
        assert not math.isfinite(trial.evaluations[2].metrics["val/loss"])
    assert study.history.best() is None


@pytest.mark.parametrize("value", [1e30, 1e308])
def test_an_absurd_loss_is_stopped_within_two_evaluations(search, value):
    """F20: finite, and far above the first: `diverged` once the warm-up is over."""
    study = search(value)
    for trial in study.history.trials.values():
        assert trial.outcome == "diverged"
        assert max(trial.evaluations) <= 4
    assert study.history.best() is None
