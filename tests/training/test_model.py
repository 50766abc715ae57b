"""The model against formulas, a second implementation and its own decoding."""

import math

import pytest
import torch
import torch.nn.functional as F

from hpsearch.training.config import ModelConfig
from hpsearch.training.model import Llama, RMSNorm, rotary_table, rotate

SMALL = ModelConfig(n_layers=2, width=32, n_heads=4, context=16)
GROUPED = ModelConfig(n_layers=2, width=32, n_heads=4, n_kv_heads=2, mlp_width=48, context=16, tied_embeddings=False)


def build(config: ModelConfig, *, vocab_size: int = 50, seed: int = 0) -> Llama:
    torch.manual_seed(seed)
    model = Llama(config, vocab_size=vocab_size)
    with torch.no_grad():  # larger than at the start of a training: attention and norms then matter
        for weight in model.parameters():
            weight.mul_(5.0) if weight.ndim == 2 else weight.uniform_(0.5, 1.5)
    return model


def tokens(*shape: int, vocab_size: int = 50, seed: int = 1) -> torch.Tensor:
    return torch.randint(vocab_size, shape, generator=torch.Generator().manual_seed(seed))


def test_parameter_count_of_the_default_model():
    model = Llama(ModelConfig(), vocab_size=2000)  # 4 layers of width 128, MLP 352: 8/3 x 128 rounded up to 32
    block = 128 * 3 * 128 + 128 * 128 + 3 * 128 * 352 + 2 * 128
    assert model.n_non_embedding == 4 * block + 128
    assert model.n_params == 2000 * 128 + 4 * block + 128


def test_parameter_count_with_grouped_queries_and_an_untied_head():
    model = Llama(GROUPED, vocab_size=50)
    block = 32 * (4 + 2 + 2) * 8 + 32 * 32 + 3 * 32 * 48 + 2 * 32
    assert model.n_params == 2 * 50 * 32 + 2 * block + 32
    assert model.n_non_embedding == 2 * block + 32


def test_flops_per_token_follow_palm():
    model = Llama(SMALL, vocab_size=50)
    matmul = 2 * (32 * 96 + 32 * 32 + 3 * 32 * 96 + 2 * 32) + 32 + 50 * 32
    assert model.flops_per_token(16) == 6 * matmul + 12 * 2 * 32 * 16


@pytest.mark.parametrize("config", [SMALL, GROUPED])
def test_a_later_token_does_not_change_earlier_logits(config):
    model, x = build(config).eval(), tokens(2, 12)
    changed = x.clone()
    changed[:, 7] = (changed[:, 7] + 1) % 50
    before, after = model(x), model(changed)
    torch.testing.assert_close(before[:, :7], after[:, :7], rtol=0, atol=1e-6)
    assert (before[:, 7:] - after[:, 7:]).abs().amax((0, 2)).min() > 1e-3


@pytest.mark.parametrize("config", [SMALL, GROUPED])
def test_gradients_reach_every_parameter(config):
    model, x = build(config), tokens(2, 12)
    F.cross_entropy(model(x).flatten(0, 1), x.roll(-1, 1).flatten()).backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in model.parameters())


def test_logits_equal_a_plain_implementation():
    """One head at a time, complex rotations, an explicit softmax: nothing shared with the model but its weights."""
    model, x = build(GROUPED).eval(), tokens(1, 9)
    torch.testing.assert_close(model(x)[0], plain_llama(model, x[0]), rtol=0, atol=2e-4)


def plain_llama(model: Llama, ids: torch.Tensor) -> torch.Tensor:
    weights = model.state_dict()
    x = weights["embedding.weight"][ids]
    for i in range(model.config.n_layers):
        layer = {key.removeprefix(f"blocks.{i}."): value for key, value in weights.items()}
        h = plain_norm(x, layer["attention_norm.weight"])
        q, k, v = (h @ layer["attention.qkv.weight"].T).split([32, 16, 16], -1)
        q, k, v = (part.unflatten(-1, (-1, 8)) for part in (q, k, v))
        heads = [plain_head(q[:, n], k[:, n // 2], v[:, n // 2]) for n in range(4)]
        x = x + torch.cat(heads, -1) @ layer["attention.out.weight"].T
        h = plain_norm(x, layer["mlp_norm.weight"])
        gate, up = h @ layer["mlp.gate.weight"].T, h @ layer["mlp.up.weight"].T
        x = x + (gate / (1 + torch.exp(-gate)) * up) @ layer["mlp.down.weight"].T
    return plain_norm(x, weights["norm.weight"]) @ weights["head.weight"].T


def plain_norm(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return x / torch.sqrt((x**2).mean(-1, keepdim=True) + 1e-5) * weight


def plain_head(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    q, k = plain_rotation(q), plain_rotation(k)
    scores = q @ k.T / math.sqrt(8)
    scores = scores.masked_fill(torch.ones_like(scores).triu(1).bool(), -math.inf)
    return scores.softmax(-1) @ v


def plain_rotation(x: torch.Tensor) -> torch.Tensor:
    turned = torch.complex(x[:, :4], x[:, 4:]) * torch.polar(
        torch.ones(len(x), 4), torch.arange(len(x))[:, None] / 10_000.0 ** (torch.arange(4) / 4)
    )
    return torch.cat([turned.real, turned.imag], -1)


def test_rotated_products_depend_on_the_distance_alone():
    q, k = torch.randn(2, 1, 1, 8, generator=torch.Generator().manual_seed(0)).unbind()
    queries, keys = (rotate(x.expand(16, 1, 8), rotary_table(SMALL)).flatten(1) for x in (q, k))
    products = queries @ keys.T  # (16, 16) by position
    for distance in range(-10, 10):
        diagonal = products.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), rtol=0, atol=1e-5)


@pytest.mark.parametrize("scale", [0.0, 1e-3, 1.0, 1e4])
def test_the_norm_and_its_gradient_are_torchs(scale):
    norm, x = RMSNorm(8), scale * torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    x.requires_grad_()
    expected = F.rms_norm(x, [8], norm.weight, 1e-5)
    torch.testing.assert_close(norm(x), expected)
    inputs = (x, norm.weight)
    for ours, torchs in zip(*(torch.autograd.grad((y**3).sum(), inputs) for y in (norm(x), expected)), strict=True):
        torch.testing.assert_close(ours, torchs)


def test_dropout_acts_in_training_alone():
    model, x = build(SMALL.model_copy(update={"dropout": 0.5})), tokens(2, 12)
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))
    torch.testing.assert_close(model(x), build(SMALL)(x))  # the same weights, no dropout


def test_the_initial_loss_is_that_of_a_uniform_guess():
    torch.manual_seed(0)
    model, x = Llama(ModelConfig(), vocab_size=500), tokens(4, 128, vocab_size=500)
    loss = F.cross_entropy(model(x).flatten(0, 1), tokens(4, 128, vocab_size=500, seed=2).flatten())
    assert loss.item() == pytest.approx(math.log(500), abs=0.1)


def test_initial_weights_have_the_stated_spread():
    torch.manual_seed(0)
    model = Llama(ModelConfig(n_layers=8), vocab_size=500)
    assert model.blocks[0].attention.qkv.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert model.blocks[0].attention.out.weight.std().item() == pytest.approx(0.02 / 4, rel=0.05)
    assert model.blocks[7].mlp.down.weight.std().item() == pytest.approx(0.02 / 4, rel=0.05)


def test_tied_embeddings_are_one_parameter():
    model = Llama(SMALL, vocab_size=50)
    assert model.head.weight is model.embedding.weight
    untied = Llama(GROUPED, vocab_size=50)
    assert untied.head.weight is not untied.embedding.weight


def test_the_rotary_table_is_not_saved_with_the_weights():
    assert not {"cos", "sin"} & set(Llama(SMALL, vocab_size=50).state_dict())


@pytest.mark.parametrize("config", [SMALL, GROUPED])
@pytest.mark.parametrize("parts", [[12], [5, 1, 6], [1] * 12])
def test_steps_with_a_cache_give_the_hidden_states_of_the_whole(config, parts):
    model, x = build(config).eval(), tokens(3, 12)
    cache = model.cache(3, 16)
    states = torch.cat([model.step(part, cache) for part in x.split(parts, 1)], 1)
    torch.testing.assert_close(states, model.hidden(x), rtol=0, atol=2e-5)
    assert cache.lengths.tolist() == [12, 12, 12]


def test_a_right_padded_step_leaves_no_trace_of_the_padding():
    model, x = build(GROUPED).eval(), tokens(2, 10)
    cache = model.cache(2, 16)
    model.step(x[:, :6], cache)
    cache.lengths = torch.tensor([6, 3])  # the second row's last three were padding
    following = model.step(x[:, 6:8], cache, slots=8)
    torch.testing.assert_close(following[0], model.hidden(x[:1, :8])[0, 6:], rtol=0, atol=2e-5)
    row = torch.cat([x[1:, :3], x[1:, 6:8]], 1)
    torch.testing.assert_close(following[1], model.hidden(row)[0, 3:], rtol=0, atol=2e-5)


def test_bfloat16_autocast_comes_close_and_trains():
    model, x = build(GROUPED), tokens(2, 12)
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(x)
    assert logits.dtype == torch.bfloat16
    expected = model(x)
    assert (logits.float() - expected).abs().max() < 0.05 * expected.abs().max()
    logits.float().logsumexp(-1).mean().backward()
    assert all(weight.grad.isfinite().all() for weight in model.parameters())


@pytest.mark.filterwarnings("ignore")  # what torch.compile warns of differs by version
def test_the_model_is_one_graph_for_torch_compile():
    model, x = build(GROUPED), tokens(2, 12)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), model(x), rtol=0, atol=2e-5)
    compiled(x).logsumexp(-1).mean().backward()
    assert all(weight.grad is not None for weight in model.parameters())


def test_learns_a_sequence_by_heart():
    torch.manual_seed(0)
    model, x = Llama(SMALL, vocab_size=50), tokens(1, 16)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(60):
        loss = F.cross_entropy(model(x[:, :-1]).flatten(0, 1), x[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_device_computes_what_the_cpu_does():
    model, x = build(GROUPED).eval(), tokens(2, 12)
    expected = model(x)
    torch.testing.assert_close(model.cuda()(x.cuda()).cpu(), expected, rtol=0, atol=1e-3)
