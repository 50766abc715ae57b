"""The benchmarks that need a GPU, on the CPU: a few steps, so that they do not rot until there is one."""

import argparse
import importlib.util
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"


def script(name):
    """A script as a module."""
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_steps_of_each_way_are_measured(tmp_path, monkeypatch):
    steps = script("gpu_steps")
    small = {"source": "python_reference", "model": {"n_layers": 1, "width": 16, "n_heads": 2, "context": 16}}
    monkeypatch.setitem(steps.SIZES, "small", small | {"batch_size": 4})
    given = {"blocks": 2, "block": 2, "warm": 6, "folder": tmp_path}
    found = {way: steps.measure("small", way, "cpu", **given) for way in ("plain", "graphed")}
    assert found["plain"]["loss"] == found["graphed"]["loss"]  # a recorder without graphs stands in
    assert all(len(one["ms"]) == 2 and min(one["ms"]) > 0 for one in found.values())


def test_their_configs_are_valid():
    steps, whole = script("gpu_steps"), script("gpu")
    for size in steps.SIZES:
        for way in steps.WAYS:
            assert steps.train_config(size, way).training.compile == (way == "compiled")
    sizes = {"micro_batch": 32, "batch": 64, "vocab": 16_000, "layers": 12, "width": 768, "context": 1024}
    assert whole.train_config(argparse.Namespace(**sizes), compiled=True).model.n_heads == 12


@pytest.mark.parametrize("name", ["gpu", "gpu_steps"])
def test_without_a_gpu_they_say_so(name, monkeypatch):
    monkeypatch.setattr("sys.argv", [f"{name}.py"])
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SystemExit, match="no CUDA GPU is visible to PyTorch"):
        script(name).main()
