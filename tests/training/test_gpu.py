"""The loop on a device: what the CPU says, in bf16, from a checkpoint; on a GPU compiled, and out of memory.

What does not need a GPU runs on the CPU as well, so that it cannot rot where there is none.
"""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from hpsearch.contract import Command
from hpsearch.training.device import forget_peak
from hpsearch.training.loop import Training, train
from tests.training.tiny import MIXED, PAIRS, TEXT, handle, tiny

GPU = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
    pytest.mark.filterwarnings("default"),  # those of drivers and compilers are not ours to mend
]
ON_GPU = pytest.param("cuda:0", marks=GPU)


@pytest.fixture(params=["cpu", ON_GPU])
def device(request):
    """The CPU, and a GPU where there is one."""
    return request.param


@pytest.fixture(autouse=True)
def _precision_restored():
    before = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(before)


def config_of(data, *, evaluation=None, **training):
    """About twenty steps without dropout: the devices' random numbers differ."""
    return tiny(data, training={"epochs": 3, **training}, evaluation={"times": 4, **(evaluation or {})})


def placed(given, device):
    """The handle on another device."""
    given.settings = replace(given.settings, device=device)
    return given


def curve(config, given):
    """(step, training loss, validation loss) of every evaluation."""
    return [(e.step, e.metrics["train/interval_loss"], e.metrics["val/loss"]) for e in train(config, given)]


def losses(config, given, n_steps):
    """The training loss (nats a target) of every step in full fp32."""
    training = Training(config, given)
    torch.set_float32_matmul_precision("highest")  # TF32, which Training allows, keeps three digits
    training.interval = 1
    for _ in range(n_steps):
        training.train_step()
    return [point.metrics["train/loss"] for point in training.points]


def test_a_device_that_this_process_has_not_used_has_no_peak_to_forget():
    forget_peak(torch.device("cuda:0"))  # asking torch to forget it raises where CUDA has not started


@pytest.mark.parametrize("device", [ON_GPU])
def test_the_first_use_of_the_device_may_be_a_training(tmp_path, corpus_files, device):
    """What resets the peak of the memory fails in a process that has not used the device."""
    code = (
        "import sys; from pathlib import Path; from tests.training.test_gpu import *; folder = Path(sys.argv[1]); "
        "print(len(curve(config_of({'text': TEXT}), placed(handle(folder, 'first'), sys.argv[2]))))"
    )
    command = [sys.executable, "-c", code, str(tmp_path), device]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    assert done.stdout.split()[-1] == "4"


@pytest.mark.parametrize("data", [{"text": TEXT}, {"pairs": PAIRS}, MIXED], ids=["text", "pairs", "mixed"])
def test_twenty_steps_in_fp32_give_the_losses_of_the_cpu(tmp_path, corpus_files, device, data):
    config = config_of(data, precision="fp32", epochs=20)
    on_gpu = losses(config, placed(handle(tmp_path, "gpu"), device), 20)
    on_cpu = losses(config, handle(tmp_path, "cpu"), 20)
    assert on_gpu == pytest.approx(on_cpu, rel=2e-3)
    assert on_gpu[0] == pytest.approx(on_cpu[0], rel=1e-5)  # the same weights and the same first batch


def test_bf16_autocast_learns_as_fp32_does_and_keeps_fp32_weights(tmp_path, corpus_files, device):
    in_bf16 = curve(config_of({"text": TEXT}, precision="bf16"), placed(handle(tmp_path, "bf16"), device))
    in_fp32 = curve(config_of({"text": TEXT}, precision="fp32"), placed(handle(tmp_path, "fp32"), device))
    training = Training(config_of({"text": TEXT}, precision="bf16"), placed(handle(tmp_path, "one"), device))
    training.train_step()
    assert in_bf16[-1][2] < in_bf16[0][2]
    assert in_bf16[-1][2] == pytest.approx(in_fp32[-1][2], rel=0.02)
    assert {weight.dtype for weight in training.model.parameters()} == {torch.float32}


def test_micro_batches_give_the_gradients_of_the_whole_batch(tmp_path, corpus_files, device):
    whole = config_of({"text": TEXT}, precision="fp32")
    parts = config_of({"text": TEXT}, precision="fp32", micro_batch_size=3)
    found = [losses(config, placed(handle(tmp_path, str(i)), device), 10) for i, config in enumerate((whole, parts))]
    assert found[0] == pytest.approx(found[1], rel=1e-3)


def test_a_paused_training_goes_on_as_if_it_had_not_been(tmp_path, corpus_files, device):
    config = config_of({"text": TEXT}, precision="fp32")
    undisturbed = curve(config, placed(handle(tmp_path, "undisturbed"), device))
    asked = itertools.count()
    paused = handle(tmp_path, "paused", command=lambda: Command.PAUSE if next(asked) >= 8 else Command.CONTINUE)
    before = curve(config, placed(paused, device))
    after = curve(config, placed(handle(tmp_path, "paused"), device))  # its last evaluation comes again first
    stitched = before[:-1] + after
    assert [step for step, *_ in stitched] == [step for step, *_ in undisturbed]
    for found, wanted in zip(stitched, undisturbed, strict=True):
        assert found == pytest.approx(wanted, rel=1e-3)  # sums on the device have no fixed order


def test_a_checkpoint_of_the_device_goes_on_on_the_cpu(tmp_path, corpus_files, device):
    config = config_of({"text": TEXT}, precision="fp32")
    asked = itertools.count()
    paused = handle(tmp_path, "moved", command=lambda: Command.PAUSE if next(asked) >= 8 else Command.CONTINUE)
    list(train(config, placed(paused, device)))
    moved = curve(config, handle(tmp_path, "moved"))
    undisturbed = curve(config, handle(tmp_path, "undisturbed"))
    assert moved[-1] == pytest.approx(undisturbed[-1], rel=1e-2)


@pytest.mark.parametrize("device", [ON_GPU])
def test_a_compiled_training_gives_the_curve_of_a_plain_one(tmp_path, corpus_files, device):
    plain = curve(config_of(MIXED, precision="fp32", epochs=0.5), placed(handle(tmp_path, "plain"), device))
    config = config_of(MIXED, precision="fp32", epochs=0.5, compile=True)
    compiled = curve(config, placed(handle(tmp_path, "compiled"), device))
    assert all(math.isfinite(value) for point in compiled for value in point)
    for found, wanted in zip(compiled, plain, strict=True):
        assert found == pytest.approx(wanted, rel=1e-2)


@pytest.mark.parametrize("device", [ON_GPU])
def test_a_batch_that_finds_no_room_is_trained_in_parts(tmp_path, corpus_files, device, caplog):
    """F12: a real CUDA out of memory: the same curve as with the micro-batch that was found."""
    text = "".join(f"{i * i} bottles of beer, " for i in range(20_000))
    (corpus_files / "train.txt").write_text(text)

    def config(micro_batch_size=None):
        return tiny(
            {"text": TEXT},
            model={"context": 512, "width": 64},
            training={"batch_size": 256, "micro_batch_size": micro_batch_size, "epochs": 2, "precision": "fp32"},
            evaluation={"times": 2},
        )

    torch.cuda.empty_cache()
    room = 1 << 29  # the logits of the whole batch alone take 135 MB, several times
    total = torch.cuda.get_device_properties(device).total_memory
    limit = torch.cuda.memory_reserved(device) + room
    torch.cuda.set_per_process_memory_fraction(limit / total, device)
    try:
        training = Training(config(), placed(handle(tmp_path, "little"), device))
        training.train_step()
        size = training.micro_batch.size
        found = list(train(config(), placed(handle(tmp_path, "found"), device)))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
    assert size < 256
    assert caplog.messages[0] == "out of memory with micro-batch 256; continues with 128 (same batch of 256)"
    given = curve(config(size), placed(handle(tmp_path, "given"), device))
    for one, other in zip(found, given, strict=True):
        assert (one.step, one.metrics["train/interval_loss"], one.metrics["val/loss"]) == pytest.approx(other, rel=2e-3)
        assert 0 < one.peak_memory <= limit
