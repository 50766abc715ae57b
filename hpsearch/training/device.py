"""The device of a training: its threads, its precision."""

from __future__ import annotations

import contextlib
from typing import Any

import torch

from hpsearch.training.config import TrainingConfig
from hpsearch.training.contract import Setting


def fast_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bf16 matrices in hardware (on a CPU: AVX512-BF16 or AMX)."""
    if device.type != "cpu":
        return device.type == "cuda"
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, check, lambda: False)() for check in checks)


def prepare_device(setting: Setting) -> torch.device:
    """The device, with the number of threads set and TF32 allowed."""
    torch.set_num_threads(setting.threads)
    torch.set_float32_matmul_precision("high")
    return torch.device(setting.device)


def autocast(config: TrainingConfig, device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """The precision of a config's matrix products, in training and in evaluation alike."""
    if config.precision == "bf16" or (config.precision == "auto" and fast_bf16(device)):
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return contextlib.nullcontext()
