"""What AdamW updates, and what weight decay touches."""

import math
import subprocess
import sys

import pytest
import torch
from torch import nn

from hpsearch.training.config import ModelConfig, TrainingConfig
from hpsearch.training.model import Llama
from hpsearch.training.optimizer import make_optimizer


def test_weight_decay_is_on_matrices_alone():
    model = Llama(ModelConfig(n_layers=1, width=16, n_heads=2, context=8), vocab_size=11)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    optimizer = make_optimizer(model, TrainingConfig(learning_rate=0.1, weight_decay=0.5))
    for weight in model.parameters():
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    for name, weight in model.named_parameters():
        expected = before[name] * (1 - 0.1 * 0.5) if weight.dim() == 2 else before[name]
        torch.testing.assert_close(weight.detach(), expected, msg=name)
    assert {weight.dim() for weight in model.parameters()} == {1, 2}


def test_every_weight_is_optimised_once():
    model = Llama(ModelConfig(n_layers=2, width=16, n_heads=2, context=8, tied_embeddings=True), vocab_size=11)
    groups = make_optimizer(model, TrainingConfig()).param_groups
    ids = [id(weight) for group in groups for weight in group["params"]]
    assert sorted(ids) == sorted(id(weight) for weight in model.parameters())


def test_one_step_is_adamw_by_hand():
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, 2.0)
    config = TrainingConfig(learning_rate=0.1, weight_decay=0.5, beta1=0.8, beta2=0.9)
    optimizer = make_optimizer(layer, config)
    layer.weight.grad = torch.full((1, 1), 3.0)
    optimizer.step()  # unbiased first moment 3, second 9: a step of the whole rate
    assert layer.weight.item() == pytest.approx(2.0 * (1 - 0.1 * 0.5) - 0.1 * 3 / 3, rel=1e-6)
    layer.weight.grad = torch.full((1, 1), 1.0)
    before = layer.weight.item()
    optimizer.step()
    first = (0.8 * 0.2 * 3 + 0.2 * 1) / (1 - 0.8**2)
    second = (0.9 * 0.1 * 9 + 0.1 * 1) / (1 - 0.9**2)
    assert layer.weight.item() == pytest.approx(before * (1 - 0.1 * 0.5) - 0.1 * first / math.sqrt(second), rel=1e-6)


def test_it_is_torchs_adamw_to_the_last_bit():
    """Over steps, a state saved and loaded, and gradients set to none."""

    def trained(make):
        torch.manual_seed(1)
        model = nn.Sequential(nn.Linear(3, 5), nn.LayerNorm(5), nn.Linear(5, 1))
        optimizer = make(model)
        for step in range(6):
            if step == 3:
                saved = optimizer.state_dict()
                optimizer = make(model)
                optimizer.load_state_dict(saved)
            model(torch.randn(4, 3)).square().sum().backward()
            for group in optimizer.param_groups:
                group["lr"] = 0.01 / (step + 1)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return [*model.parameters()]

    def torchs(model):
        groups = [{k: v for k, v in group.items() if k != "lr"} for group in ours(model).param_groups]
        return torch.optim.AdamW(groups, lr=0.01)

    def ours(model):
        return make_optimizer(model, TrainingConfig(learning_rate=0.01))

    for mine, theirs in zip(trained(ours), trained(torchs), strict=True):
        assert torch.equal(mine, theirs)
        assert mine.grad is None


def test_a_worker_that_compiles_nothing_does_not_import_the_compiler():
    program = """
import sys, torch
from hpsearch.training.config import TrainingConfig
from hpsearch.training.optimizer import make_optimizer
model = torch.nn.Linear(2, 1)
optimizer = make_optimizer(model, TrainingConfig())
model(torch.ones(1, 2)).sum().backward()
optimizer.step()
optimizer.zero_grad(set_to_none=True)
optimizer.load_state_dict(optimizer.state_dict())
print("torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
