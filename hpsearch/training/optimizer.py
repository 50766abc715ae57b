"""AdamW without the wrappers that slow a worker's start."""

from __future__ import annotations

import inspect

import torch
from torch import Tensor, nn

from hpsearch.training.config import TrainingConfig


class AdamW(torch.optim.AdamW):
    """torch's AdamW without the wrappers that keep torch.compile out of it: we compile the loss alone.

    They import torch._dynamo, 1.4 s of processor time in each new worker, whether anything is compiled or not.
    """

    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))
    add_param_group = inspect.unwrap(torch.optim.AdamW.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.AdamW.zero_grad)
    state_dict = inspect.unwrap(torch.optim.AdamW.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.AdamW.load_state_dict)


def make_optimizer(model: nn.Module, config: TrainingConfig) -> AdamW:
    """AdamW with weight decay on matrices alone (not on norms), fused."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    fused = all(p.device.type in ("cpu", "cuda", "mps") for p in parameters)
    return AdamW(groups, lr=config.learning_rate, betas=(config.beta1, config.beta2), fused=fused)


def update(optimizer: AdamW, rate: float | Tensor) -> None:
    """A step at a learning rate, after which there are no gradients. A CUDA graph reads its rate from a tensor."""
    before = [group["lr"] for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group["lr"] = rate
        group["capturable"] = isinstance(rate, Tensor) and rate.is_cuda and torch.cuda.is_current_stream_capturing()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    if isinstance(rate, Tensor):  # which no checkpoint is to hold
        for group, former in zip(optimizer.param_groups, before, strict=True):
            group["lr"], group["capturable"] = former, False
