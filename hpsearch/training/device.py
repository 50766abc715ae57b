"""The device of a training: its threads, its precision, its random numbers, its memory."""

from __future__ import annotations

import contextlib
import logging
from typing import Any

import torch
from torch import Tensor

from hpsearch.contract import WorkerSettings
from hpsearch.training import memory
from hpsearch.training.config import TrainingConfig

_log = logging.getLogger(__name__)


def fast_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bf16 matrices in hardware (on a CPU: AVX512-BF16 or AMX)."""
    if device.type != "cpu":
        return device.type == "cuda"
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, check, lambda: False)() for check in checks)


def prepare_device(settings: WorkerSettings) -> torch.device:
    """Returns the device; sets the number of threads, allows TF32 and keeps freed memory (see memory.py)."""
    memory.keep_freed()
    torch.set_num_threads(settings.threads)
    torch.set_float32_matmul_precision("high")
    return torch.device(settings.device)


def precision_of(config: TrainingConfig, device: torch.device) -> str:
    """The precision of a config on a device: bf16 or fp32."""
    if config.precision == "auto":
        return "bf16" if fast_bf16(device) else "fp32"
    return config.precision


def resumed_precision(before: str, config: TrainingConfig, device: torch.device) -> str:
    """The precision that a training started in; the device's own, with a warning, if it has no autocast."""
    own = precision_of(config, device)
    if before == own:
        return own
    if before == "bf16" and not torch.amp.is_autocast_available(device.type):
        _log.warning("precision: the training started in %s, which %s lacks; it continues in %s", before, device, own)
        return own
    _log.warning("precision: the training continues in %s, as it started; the default on %s is %s", before, device, own)
    return before


def autocast(precision: str, device: torch.device, *, cached: bool = True) -> contextlib.AbstractContextManager[Any]:
    """Context in which matrix products have this precision (bf16 or fp32); `cached`: weights are converted once."""
    if precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16, cache_enabled=cached)
    return contextlib.nullcontext()


def rng_state(device: torch.device) -> dict[str, Tensor]:
    """The states of the random number generators of CPU and device (no device sync)."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def set_rng_state(state: dict[str, Tensor], device: torch.device) -> None:
    """Restores the states of `rng_state`."""
    torch.set_rng_state(state["cpu"].cpu())
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"].cpu(), device)


def forget_peak(device: torch.device) -> None:
    """Resets `peak_memory`, after freeing what earlier trainings left in the caches of torch and the allocator."""
    if device.type == "cuda":
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]  # torch's own; resetting fails before
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)
    else:
        memory.give_back()
        memory.forget_peak()


def total_memory(device: torch.device) -> int:
    """Total bytes of a CUDA device; 0 for others, which use the machine's memory."""
    return int(torch.cuda.get_device_properties(device).total_memory) if device.type == "cuda" else 0


def uuid(device: str) -> str:
    """The name by which NVML knows a CUDA device: "GPU-...", whatever CUDA_VISIBLE_DEVICES says."""
    return f"GPU-{torch.cuda.get_device_properties(torch.device(device)).uuid}"


def peak_memory(device: torch.device) -> int:
    """The peak in bytes since `forget_peak`: reserved by torch on CUDA, else of the whole process."""
    return torch.cuda.max_memory_reserved(device) if device.type == "cuda" else memory.peak()
