"""The devices of this machine, and the number of workers on each."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import MutableMapping
from dataclasses import replace
from pathlib import Path

from hpsearch.contract import WorkerSettings
from hpsearch.errors import UserError
from hpsearch.space.resources import Resources
from hpsearch.system import gpus

MOST_PER_CORE = 8  # workers; more would only use up the memory
AUTO_PER_GPU = 8  # workers: more trials on one GPU hardly train faster together


def plan(resources: Resources, *, cache: Path, base: Path) -> list[WorkerSettings]:
    """Returns the settings of each worker: on a CPU one worker a core with one thread, on GPUs `trials_per_gpu` a GPU.

    GPU memory limits how many of a GPU's workers train at once (search/placement/sharing.py); an idle one uses none of
    it. With `gpus_per_trial`, each worker has as many GPUs of its own.
    One thread is the default because two torch threads beside another busy process ran 10 to 40 times slower.
    Raises UserError for more workers than this machine can run, or a device that it lacks.
    """
    names = devices(resources.device)
    if resources.gpus_per_trial > 1:
        names = _grouped(names, resources)
    elif names[0].startswith("cuda"):
        # in turn: the first worker of each GPU before the second of any
        names = names * _per_gpu(resources.trials_per_gpu, len(names))
    return [
        WorkerSettings(device=names[slot % len(names)], threads=resources.threads or 1, cache=cache, base=base)
        for slot in range(_count(resources.workers, names))
    ]


def isolate_gpu(settings: WorkerSettings, environment: MutableMapping[str, str] = os.environ) -> WorkerSettings:
    """Hides all other GPUs from this process; returns its settings with device cuda:0. Call it before CUDA starts.

    The first of the worker's GPUs is then cuda:0, the others follow.
    """
    ids = gpus.ids_of(settings.device)
    shown = gpus.visible(ids, environment) if ids else None
    if shown is None:
        return first_gpu(settings)  # the driver saw more GPUs: torch raises the error
    environment[gpus.VISIBLE] = shown
    return replace(settings, device="cuda:0", gpus=len(ids))


def first_gpu(settings: WorkerSettings) -> WorkerSettings:
    """The settings with the first of the worker's GPUs as the device, as torch names it, and their number beside it."""
    ids = gpus.ids_of(settings.device)
    return replace(settings, device=gpus.named(ids[:1]), gpus=len(ids)) if ids else settings


def _grouped(names: list[str], resources: Resources) -> list[str]:
    """The GPUs of each worker, `gpus_per_trial` each; raises UserError for more of them than there are."""
    each, there = resources.gpus_per_trial, len(names)
    if not names[0].startswith("cuda"):
        raise UserError(f"gpus_per_trial: {each}, but no GPU is found on this machine; allowed here: 1")
    if each > there:
        raise UserError(f"gpus_per_trial: {each}, but this machine has {there} GPU(s); allowed here: up to {there}")
    found = [gpus.named(range(first, first + each)) for first in range(0, there - each + 1, each)]
    if isinstance(resources.workers, int) and resources.workers > len(found):
        raise UserError(
            f"workers: {resources.workers} of gpus_per_trial: {each} are more GPUs than the {there} of this machine; "
            f"allowed here: auto, or up to {len(found)}"
        )
    return found


def could_share(resources: Resources, n_gpus: int) -> bool:
    """Whether `trials_per_gpu: auto` would let trials share this machine's GPUs, each of which trains one at a time."""
    one_each = resources.trials_per_gpu == resources.trials_per_worker == resources.gpus_per_trial == 1
    is_free = resources.workers == "auto" and resources.launcher.name == "local"
    return one_each and is_free and _per_gpu("auto", max(1, n_gpus)) > 1


def _per_gpu(wanted: int | str, n_gpus: int) -> int:
    """Returns the number of workers on each GPU; auto: one a core, divided among the GPUs."""
    if not isinstance(wanted, int):
        return max(1, min(AUTO_PER_GPU, cores() // n_gpus))
    most = max(1, MOST_PER_CORE * cores() // n_gpus)
    if wanted > most:
        raise UserError(
            f"trials_per_gpu: {wanted} are more workers than {cores()} cores can run for {n_gpus} GPU(s); "
            f"allowed here: auto, or up to {most}"
        )
    return wanted


def _count(workers: int | str, names: list[str]) -> int:
    if isinstance(workers, int):
        most = MOST_PER_CORE * max(cores(), len(names))
        if workers > most:
            raise UserError(f"workers: {workers} are more than this machine can run; allowed here: up to {most}")
        return workers
    return cores() if names == ["cpu"] else len(names)


def devices(wanted: str) -> list[str]:
    """Returns the devices of a kind (auto: CUDA, else the CPU); raises UserError if there are none."""
    if wanted == "cpu" or (wanted == "auto" and not _has_gpu_driver()):
        return ["cpu"]
    import torch  # takes seconds, so only if there may be a GPU

    if wanted in ("auto", "cuda") and torch.cuda.is_available():
        return [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    if wanted == "mps" and torch.backends.mps.is_available():
        return ["mps"]
    if wanted == "auto":
        return ["cpu"]
    raise UserError(f"device {wanted}: PyTorch {torch.__version__} finds none on this machine; allowed here: cpu")


def cores() -> int:
    """Returns the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _has_gpu_driver() -> bool:
    return sys.platform == "linux" and (Path("/dev/nvidiactl").exists() or shutil.which("nvidia-smi") is not None)
