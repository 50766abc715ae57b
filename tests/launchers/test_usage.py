"""What a worker says of its processor and memory; its GPU is in test_gpu.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpsearch.launchers import usage
from hpsearch.launchers.usage import Usage


def test_the_processor_time_between_two_calls_is_a_share_of_one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = {"wall": 100.0, "cpu": 5.0}
    monkeypatch.setattr(usage.time, "monotonic", lambda: clock["wall"])
    monkeypatch.setattr(usage.time, "process_time", lambda: clock["cpu"])
    one = Usage("cpu")
    clock.update(wall=104.0, cpu=6.0)
    assert one.take()["cpu"] == 25.0
    clock.update(wall=105.0, cpu=7.5)
    assert one.take()["cpu"] == 150.0  # two threads
    assert "cpu" not in one.take()  # no time has passed


def test_resident_memory_is_in_megabytes_of_this_process() -> None:
    found = Usage("cpu").take()
    assert 10 < found["rss"] < 100_000
    assert found["rss"] == round(found["rss"], 1)
    assert "gpu" not in found


def test_samples_of_a_gpu_are_averaged_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, rates = [10.0], iter([40.0, None, 80.0])
    monkeypatch.setattr(usage, "_utilisation", lambda device: lambda: next(rates))
    monkeypatch.setattr(usage.time, "monotonic", lambda: clock[0])
    one = Usage("cuda:0")
    for now in (10.2, 11.5, 11.9, 12.6, 13.7):  # looks at 11.5, 12.6 (refused) and 13.7
        clock[0] = now
        one.sample()
    assert one.take()["gpu"] == 60.0
    clock[0] = 20.0
    assert "gpu" not in one.take()  # nothing since


@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="it has a GPU")
def test_a_machine_without_nvml_has_no_utilisation() -> None:
    one = Usage("cuda:0")
    one.sample()
    assert "gpu" not in one.take()
