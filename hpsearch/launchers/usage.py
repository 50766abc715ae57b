"""How much of its processor, its memory and its GPU a worker uses: a few numbers with each evaluation."""

from __future__ import annotations

import contextlib
import ctypes
import time
from collections.abc import Callable
from statistics import fmean

from hpsearch.training import memory

NVML = "libnvidia-ml.so.1"  # comes with the driver of the GPU
EVERY = 1.0  # seconds between two looks at the GPU


class Usage:
    """Measures a worker between two evaluations."""

    def __init__(self, device: str) -> None:
        """`device`: the worker's, as torch names it."""
        self._gpu = _utilisation(device)
        self._samples: list[float] = []
        self._sampled = self._began = time.monotonic()
        self._processed = time.process_time()

    def sample(self) -> None:
        """Looks at the GPU, at most once in EVERY seconds; to be called often."""
        now = time.monotonic()
        if self._gpu is None or now - self._sampled < EVERY:
            return
        self._sampled = now
        if (found := self._gpu()) is not None:
            self._samples.append(found)

    def take(self) -> dict[str, float]:
        """Returns what was used since the last call, to one decimal.

        cpu: percent of one core, above 100 with threads; rss: resident megabytes now; gpu: percent of the time in which
        the GPU ran a kernel, whichever process's (NVML), if it was looked at.
        """
        now, processed = time.monotonic(), time.process_time()
        found = {"rss": memory.resident() / 1e6}
        if now > self._began:
            found["cpu"] = 100 * (processed - self._processed) / (now - self._began)
        if self._samples:
            found["gpu"] = fmean(self._samples)
        self._began, self._processed, self._samples = now, processed, []
        return {name: round(value, 1) for name, value in found.items()}


class _Rates(ctypes.Structure):
    """nvmlUtilization_t: percent over the last sample period, 1/6 to 1 second."""

    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


def _utilisation(device: str) -> Callable[[], float | None] | None:
    """Returns what asks NVML for a GPU's utilisation in percent; None for other devices, and without NVML."""
    if not device.startswith("cuda"):
        return None
    with contextlib.suppress(Exception):  # no such library, a GPU that it does not see, MIG
        from hpsearch.training.device import uuid

        nvml, handle, rates = ctypes.CDLL(NVML), ctypes.c_void_p(), _Rates()
        name = ctypes.c_char_p(uuid(device).encode())
        if nvml.nvmlInit_v2() or nvml.nvmlDeviceGetHandleByUUID(name, ctypes.byref(handle)):
            return None

        def ask() -> float | None:
            refused = nvml.nvmlDeviceGetUtilizationRates(handle, ctypes.byref(rates))
            return None if refused else float(rates.gpu)

        return ask if ask() is not None else None
    return None
