"""F1, F58: the same with a real training: a torch worker killed in the middle of a trial, resumed to the last bit."""

import os
import signal

import pytest

from tests.cli.processes import descendants, wait_for
from tests.faults.nemesis import is_worker
from tests.faults.runs import evaluated, facts, folder, history, real_trainer

SMALL = """
model: {n_layers: 1, width: 32, n_heads: 2, context: 32}
"""


@pytest.mark.parametrize("victim", ["worker", "driver"])
def test_a_real_training_killed_half_way_comes_to_the_same_to_the_last_bit(zygote, tmp_path, victim):
    """F58: equal curves, values and verdicts, with one worker on the CPU."""
    whole, cwd = folder(tmp_path / "whole", trials=2), folder(tmp_path / "killed", trials=2)
    words = [f"word{(i * i) % 97} " for i in range(6000)]
    for place in (whole, cwd):
        (place / "train.txt").write_text("".join(words))
        with (place / "space.yaml").open("a") as file:
            file.write(SMALL)
        real_trainer(place)
    run = ("run", "space.yaml", "--home", "home", "--workers", "1")
    assert (done := zygote.run(whole, *run)).code == 0, done.said
    pid = zygote.start(cwd, *run)
    wait_for(lambda: evaluated(cwd, 2))
    os.kill(pid if victim == "driver" else next(p for p in descendants(pid) if is_worker(p)), signal.SIGKILL)
    if victim == "driver":
        assert zygote.wait().code == -signal.SIGKILL
        assert (done := zygote.run(cwd, *run)).code == 0, done.said
    else:
        assert (done := zygote.wait()).code == 0, done.said
    assert facts(cwd) == facts(whole)
    assert sum(trial.attempt for trial in history(cwd).trials.values()) == 3
