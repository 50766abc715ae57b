"""Which devices there are, and how many workers they carry."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from hpsearch.errors import UserError
from hpsearch.training.contract import Setting

MOST_PER_CORE = 8  # workers; more would only fill the memory


def plan(workers: int | str, device: str, *, threads: int | None, cache: Path, base: Path) -> list[Setting]:
    """A setting for each worker: on CPUs one a core with one thread each, on GPUs one a GPU.

    (Two torch threads beside another busy process ran 10 to 40 times slower, so more threads are for who asks.)
    """
    names = devices(device)
    count = _count(workers, names)
    return [
        Setting(device=names[slot % len(names)], threads=threads or 1, cache=cache, base=base) for slot in range(count)
    ]


def _count(workers: int | str, names: list[str]) -> int:
    if isinstance(workers, int):
        most = MOST_PER_CORE * max(cores(), len(names))
        if workers > most:
            raise UserError(f"workers: {workers} are more than this machine can carry; allowed here: up to {most}")
        return workers
    return cores() if names == ["cpu"] else len(names)


def devices(wanted: str) -> list[str]:
    """The devices of a kind (auto: CUDA, else the CPU); raises UserError when there is none of it."""
    if wanted == "cpu" or (wanted == "auto" and not _has_gpu_driver()):
        return ["cpu"]
    import torch  # seconds; only where a GPU may be

    if wanted in ("auto", "cuda") and torch.cuda.is_available():
        return [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    if wanted == "mps" and torch.backends.mps.is_available():
        return ["mps"]
    if wanted == "auto":
        return ["cpu"]
    raise UserError(f"--device {wanted}: PyTorch {torch.__version__} finds none on this machine; allowed here: cpu")


def cores() -> int:
    """The CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _has_gpu_driver() -> bool:
    return sys.platform == "linux" and (Path("/dev/nvidiactl").exists() or shutil.which("nvidia-smi") is not None)
