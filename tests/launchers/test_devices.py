"""The planned workers: one a core with one thread each, or those of the space file."""

import os

import pytest

from hpsearch.contract import WorkerSettings
from hpsearch.errors import UserError
from hpsearch.launchers import devices
from hpsearch.space.resources import Resources


def plan(tmp_path, workers="auto", device="cpu", **wanted):
    return devices.plan(Resources(workers=workers, device=device, **wanted), cache=tmp_path / "cache", base=tmp_path)


def test_auto_is_one_worker_a_core_with_one_thread(tmp_path):
    settings = plan(tmp_path)
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert len(settings) == allowed
    assert {(s.device, s.threads) for s in settings} == {("cpu", 1)}
    assert (settings[0].cache, settings[0].base) == (tmp_path / "cache", tmp_path)


def test_workers_and_threads_are_those_of_the_space_file(tmp_path):
    assert [(s.device, s.threads) for s in plan(tmp_path, 3, threads=2)] == [("cpu", 2)] * 3


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs the affinity of Linux")
def test_only_usable_cores_count(tmp_path):
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert len(plan(tmp_path)) == 1
    finally:
        os.sched_setaffinity(0, before)


def test_workers_alternate_between_gpus(monkeypatch, tmp_path):
    monkeypatch.setattr(devices, "devices", lambda wanted: ["cuda:0", "cuda:1"])
    assert [s.device for s in plan(tmp_path)] == ["cuda:0", "cuda:1"]
    assert [s.device for s in plan(tmp_path, 3)] == ["cuda:0", "cuda:1", "cuda:0"]


@pytest.mark.parametrize("wanted", ["cuda", "mps"])
def test_a_missing_device_is_refused(wanted):
    import torch

    if (wanted == "cuda" and torch.cuda.is_available()) or (wanted == "mps" and torch.backends.mps.is_available()):
        pytest.skip(f"{wanted} is here")
    with pytest.raises(UserError, match=rf"device {wanted}: PyTorch 2\S* finds none on .*; allowed here: cpu"):
        devices.devices(wanted)


@pytest.mark.gpu
def test_auto_uses_every_gpu(tmp_path):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    assert [s.device for s in plan(tmp_path, device="auto")] == [f"cuda:{i}" for i in range(torch.cuda.device_count())]


def test_too_many_workers_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"workers: 99999 are more .* allowed here: up to \d+"):
        plan(tmp_path, 99999)


def test_trials_per_gpu_is_the_number_of_workers_on_each_gpu(monkeypatch, tmp_path):
    monkeypatch.setattr(devices, "devices", lambda wanted: ["cuda:0", "cuda:1"])
    assert [s.device for s in plan(tmp_path, trials_per_gpu=2)] == ["cuda:0", "cuda:1"] * 2
    assert [s.device for s in plan(tmp_path, 3, trials_per_gpu=2)] == ["cuda:0", "cuda:1", "cuda:0"]


@pytest.mark.parametrize(("cores", "n_gpus", "each"), [(64, 1, 8), (16, 4, 4), (8, 1, 8), (7, 2, 3), (2, 4, 1)])
def test_auto_is_a_worker_a_core_and_at_most_eight_on_each_gpu(monkeypatch, tmp_path, cores, n_gpus, each):
    """Memory limits how many of them train at once: tests/search/placement/test_placement.py."""
    names = [f"cuda:{i}" for i in range(n_gpus)]
    monkeypatch.setattr(devices, "devices", lambda wanted: names)
    monkeypatch.setattr(devices, "cores", lambda: cores)
    assert [s.device for s in plan(tmp_path, trials_per_gpu="auto")] == names * each
    assert [s.device for s in plan(tmp_path, 3, trials_per_gpu="auto")] == (names * 3)[:3]  # `workers`


def test_too_many_workers_on_a_gpu_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(devices, "devices", lambda wanted: ["cuda:0", "cuda:1"])
    monkeypatch.setattr(devices, "cores", lambda: 4)
    assert len(plan(tmp_path, trials_per_gpu=16)) == 32
    with pytest.raises(UserError) as caught:
        plan(tmp_path, trials_per_gpu=17)
    said = "trials_per_gpu: 17 are more workers than 4 cores can run for 2 GPU(s); allowed here: auto, or up to 16"
    assert str(caught.value) == said


def test_trials_with_several_gpus_each_share_none(monkeypatch):
    """`trials_per_gpu` is refused beside gpus_per_trial, so no advice names it."""
    monkeypatch.setattr(devices, "cores", lambda: 16)
    assert devices.could_share(Resources(device="cuda"), 2)
    assert not devices.could_share(Resources(device="cuda", gpus_per_trial=2), 2)


def test_trials_per_gpu_does_not_apply_to_cpus(tmp_path):
    assert len(plan(tmp_path, trials_per_gpu=3)) == len(plan(tmp_path, trials_per_gpu="auto")) == len(plan(tmp_path))


@pytest.fixture
def gpus(monkeypatch):
    """Makes this machine one of so many GPUs."""

    def make(count):
        monkeypatch.setattr(devices, "devices", lambda wanted: [f"cuda:{i}" for i in range(count)] or ["cpu"])

    return make


@pytest.mark.parametrize(
    ("count", "each", "workers", "named"),
    [
        (4, 2, "auto", ["cuda:0+1", "cuda:2+3"]),
        (5, 2, "auto", ["cuda:0+1", "cuda:2+3"]),  # one is left over
        (4, 2, 1, ["cuda:0+1"]),
        (3, 3, "auto", ["cuda:0+1+2"]),
        (2, 1, "auto", ["cuda:0", "cuda:1"]),
    ],
)
def test_each_worker_has_gpus_of_its_own(gpus, tmp_path, count, each, workers, named):
    gpus(count)
    assert [s.device for s in plan(tmp_path, workers, gpus_per_trial=each)] == named


@pytest.mark.parametrize(
    ("count", "each", "workers", "said"),
    [
        (2, 3, "auto", "gpus_per_trial: 3, but this machine has 2 GPU(s); allowed here: up to 2"),
        (0, 2, "auto", "gpus_per_trial: 2, but no GPU is found on this machine; allowed here: 1"),
        (
            4,
            2,
            3,
            "workers: 3 of gpus_per_trial: 2 are more GPUs than the 4 of this machine; allowed here: auto, or up to 2",
        ),
    ],
)
def test_more_gpus_than_there_are_are_refused(gpus, tmp_path, count, each, workers, said):
    gpus(count)
    with pytest.raises(UserError) as caught:
        plan(tmp_path, workers, gpus_per_trial=each)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("device", "first", "count"), [("cuda:2+3", "cuda:2", 2), ("cuda:1", "cuda:1", 1), ("cpu", "cpu", 1)]
)
def test_in_this_process_the_first_gpu_is_the_device(tmp_path, device, first, count):
    found = devices.first_gpu(WorkerSettings(device=device, threads=1, cache=tmp_path, base=tmp_path))
    assert (found.device, found.gpus) == (first, count)


@pytest.mark.parametrize(
    ("device", "allowed", "visible", "trained_on"),
    [
        ("cuda:3", None, "3", "cuda:0"),
        ("cuda:3", "", "3", "cuda:0"),
        ("cuda:1", "3,5", "5", "cuda:0"),
        ("cuda:1", "GPU-1a2b, GPU-3c4d", "GPU-3c4d", "cuda:0"),
        ("cuda:0", "MIG-0f1e", "MIG-0f1e", "cuda:0"),
        ("cuda:0+1", None, "0,1", "cuda:0"),
        ("cuda:2+3", "4,5,6,7", "6,7", "cuda:0"),
        ("cuda:1+2", "GPU-1a2b, GPU-3c4d, GPU-5e6f", "GPU-3c4d,GPU-5e6f", "cuda:0"),
        ("cuda:1+2", "3,5", "3,5", "cuda:1"),  # not visible: torch raises the error
        ("cuda:2", "3,5", "3,5", "cuda:2"),  # not visible: torch raises the error
        ("cpu", "3,5", "3,5", "cpu"),
        ("mps", None, None, "mps"),
    ],
)
def test_a_worker_sees_only_its_gpus(tmp_path, device, allowed, visible, trained_on):
    environment = {} if allowed is None else {"CUDA_VISIBLE_DEVICES": allowed}
    settings = WorkerSettings(device=device, threads=1, cache=tmp_path, base=tmp_path)
    isolated = devices.isolate_gpu(settings, environment)
    assert (isolated.device, isolated.gpus) == (trained_on, device.count("+") + 1)
    assert environment.get("CUDA_VISIBLE_DEVICES") == visible
