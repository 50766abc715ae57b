"""Which devices there are, and how many workers they carry."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import MutableMapping
from dataclasses import replace
from pathlib import Path

from hpsearch.contract import WorkerSettings
from hpsearch.errors import UserError
from hpsearch.space.settings import Resources

VISIBLE = "CUDA_VISIBLE_DEVICES"
MOST_PER_CORE = 8  # workers; more would only fill the memory
AUTO_PER_GPU = 8  # workers: beyond, trials on one GPU gain little from one another's gaps


def plan(resources: Resources, *, cache: Path, base: Path) -> list[WorkerSettings]:
    """A setting for each worker: on CPUs one a core with one thread each, on GPUs `trials_per_gpu` a GPU.

    How many of the latter train at once is a matter of memory (placement/sharing.py); one that never does takes none of
    the GPU.
    (Two torch threads beside another busy process ran 10 to 40 times slower, so more threads are for who asks.)
    """
    names = devices(resources.device)
    if names[0].startswith("cuda"):
        # dealt out in turn: the first of each GPU before the second of any
        names = names * _per_gpu(resources.trials_per_gpu, len(names))
    return [
        WorkerSettings(device=names[slot % len(names)], threads=resources.threads or 1, cache=cache, base=base)
        for slot in range(_count(resources.workers, names))
    ]


def isolate_gpu(settings: WorkerSettings, environment: MutableMapping[str, str] = os.environ) -> WorkerSettings:
    """Lets this process see its GPU alone, and gives the setting to train with; before CUDA is begun.

    What the process was allowed to see counts: cuda:1 under CUDA_VISIBLE_DEVICES=3,5 (or UUIDs, or MIG names) is 5.
    """
    kind, _, index = settings.device.partition(":")
    if kind != "cuda" or not index.isdecimal():
        return settings
    allowed = [name.strip() for name in environment.get(VISIBLE, "").split(",") if name.strip()]
    if allowed and int(index) >= len(allowed):
        return settings  # the driver counted otherwise: torch is to say what is wrong
    environment[VISIBLE] = allowed[int(index)] if allowed else index
    return replace(settings, device="cuda:0")


def _per_gpu(wanted: int | str, n_gpus: int) -> int:
    """Workers on each GPU; auto: one a core, shared out among the GPUs."""
    if not isinstance(wanted, int):
        return max(1, min(AUTO_PER_GPU, cores() // n_gpus))
    most = max(1, MOST_PER_CORE * cores() // n_gpus)
    if wanted > most:
        raise UserError(
            f"trials_per_gpu: {wanted} are more workers than {cores()} cores can carry for {n_gpus} GPU(s); "
            f"allowed here: auto, or up to {most}"
        )
    return wanted


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
