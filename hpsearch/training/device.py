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
    """The device, with the number of threads set, TF32 allowed, and memory at hand from step to step."""
    memory.keep_freed()
    torch.set_num_threads(settings.threads)
    torch.set_float32_matmul_precision("high")
    return torch.device(settings.device)


def precision_of(config: TrainingConfig, device: torch.device) -> str:
    """What a config's precision comes to on a device: bf16 or fp32."""
    if config.precision == "auto":
        return "bf16" if fast_bf16(device) else "fp32"
    return config.precision


def resumed_precision(before: str, config: TrainingConfig, device: torch.device) -> str:
    """The precision that a training began in; the device's own, with a warning, where it has no autocast."""
    own = precision_of(config, device)
    if before == own:
        return own
    if before == "bf16" and not torch.amp.is_autocast_available(device.type):
        _log.warning("precision: the training began in %s, which %s lacks; it goes on in %s", before, device, own)
        return own
    _log.warning("precision: the training goes on in %s, as it began; %s alone would take %s", before, device, own)
    return before


def autocast(precision: str, device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """The precision (bf16 or fp32) of the matrix products, in training and in evaluation alike."""
    if precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return contextlib.nullcontext()


def rng_state(device: torch.device) -> dict[str, Tensor]:
    """Where the random numbers stand, of the CPU and of the device (waits for neither)."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def set_rng_state(state: dict[str, Tensor], device: torch.device) -> None:
    """Puts the random numbers back to where they stood."""
    torch.set_rng_state(state["cpu"].cpu())
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"].cpu(), device)


def forget_peak(device: torch.device) -> None:
    """Lets `peak_memory` begin anew, without what trainings before have left in torch's cache or the allocator's."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    else:
        memory.give_back()
        memory.forget_peak()


def total_memory(device: torch.device) -> int:
    """Bytes that a CUDA device has in all; 0 for others, which have the machine's."""
    return int(torch.cuda.get_device_properties(device).total_memory) if device.type == "cuda" else 0


def peak_memory(device: torch.device) -> int:
    """The most bytes since `forget_peak`: on CUDA those that torch reserved, else those of the whole process."""
    return torch.cuda.max_memory_reserved(device) if device.type == "cuda" else memory.peak()
