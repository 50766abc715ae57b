"""Several trials on a real GPU: they share it when their memory allows, and leave nothing there."""

import gc
import subprocess
import sys

import pytest
import torch

from hpsearch.launchers.devices import cores
from hpsearch.launchers.memory import LeakDetector
from tests.cli.processes import events, hpsearch
from tests.simulated_gpus import at_once

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
    pytest.mark.filterwarnings("default"),  # drivers and compilers warn
]

SPACE = """
study: packed
budget: {trials: 5}
search: {pruner: none, overfitting: false}
resources: {device: DEVICE, workers: 3, trials_per_gpu: auto}
evaluation: {times: 10}
training:
  epochs: 60
  learning_rate: {low: 1e-3, high: 1e-2, log: true}
"""


def packed(space_file, device):
    """Returns the journal of a small study in real processes."""
    space = space_file(SPACE.replace("DEVICE", device))
    done = hpsearch("run", space, "--home", "home", cwd=space.parent, timeout=600)
    assert (done.returncode, done.stderr) == (0, "")
    return events(space.parent / "home" / "packed" / "journal.jsonl")


@pytest.mark.slow
@pytest.mark.skipif(cores() < 2, reason="auto is one worker on one core")
def test_small_trials_share_a_gpu(space_file):
    found = packed(space_file, "cuda")
    ended = [event["outcome"] for event in found if event["event"] == "trial_finished"]
    assert ended == ["completed"] * 5
    assert at_once(found) > 1
    kinds = [event["event"] for event in found if event["event"] in ("trial_started", "evaluation")]
    if torch.cuda.device_count() == 1:
        assert kinds[:2] == ["trial_started", "evaluation"]  # the first trains alone
    measured = [event["evaluation"] for event in found if event["event"] == "evaluation"]
    total = torch.cuda.get_device_properties(0).total_memory
    assert {evaluation["device_memory"] for evaluation in measured} == {total}
    assert all(0 < evaluation["peak_memory"] < total / 10 for evaluation in measured)


def test_cached_memory_is_returned_after_a_trial():
    held = torch.empty(1 << 28, device="cuda")
    del held
    gc.collect()
    assert torch.cuda.memory_reserved() >= 1 << 28
    LeakDetector().after_trial()
    assert torch.cuda.memory_reserved() < 1 << 28


def test_an_idle_worker_uses_no_gpu_memory(tmp_path):
    code = (
        "from hpsearch.trainers import default; default().warm_up(); import torch; print(torch.cuda.is_initialized())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=6000, check=True
    )
    assert done.stdout.strip() == "False"
