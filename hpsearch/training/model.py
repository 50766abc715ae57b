"""The model: a Llama-kind causal transformer, small enough to read and fast enough to search with.

Shapes: B batch, T tokens, C width, H heads, G key-value heads, D head width, S slots of a cache, V vocabulary.
What is not a matrix product is written for one CPU thread: few passes over memory, long contiguous inner loops.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hpsearch.training.config import ModelConfig

Rotary = tuple[Tensor, Tensor]  # cos and signed sin, each (T, H, D) or (B, T, 1, D)


class RMSNorm(nn.Module):
    """Divides each vector by its root mean square, then scales it by a learnt weight (arXiv 1910.07467)."""

    eps = 1e-5

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) -> (..., C)."""
        if x.is_cuda:
            return F.rms_norm(x, list(self.weight.shape), self.weight, self.eps)
        # Not fused on the CPU: there a training step is 1.01 to 1.08 times as fast this way (fp32 and bf16)
        mean_square = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square() / x.shape[-1]
        return x * torch.rsqrt(mean_square + self.eps) * self.weight


@dataclass
class Past:
    """One layer's earlier keys and values while decoding, and where the new tokens go."""

    keys: Tensor  # (B, S, G, D)
    values: Tensor  # (B, S, G, D)
    positions: Tensor  # (B, T), of the new tokens
    mask: Tensor  # (B, 1, T, S), True where a new token may look

    def extend(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Writes the new tokens' keys and values (B, T, G, D) into their slots; returns all slots."""
        rows = torch.arange(len(keys), device=keys.device)[:, None]
        self.keys[rows, self.positions] = keys
        self.values[rows, self.positions] = values
        return self.keys, self.values


class Attention(nn.Module):
    """Causal self-attention with rotary positions and, if asked, fewer key-value heads (arXiv 2305.13245)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.n_heads = config.n_heads
        self.n_kv_heads = config.n_kv_heads or config.n_heads
        self.head_width = config.width // config.n_heads
        self.qkv = nn.Linear(config.width, (self.n_heads + 2 * self.n_kv_heads) * self.head_width, bias=False)
        self.out = nn.Linear(config.width, config.width, bias=False)

    def forward(self, x: Tensor, rotary: Rotary, past: Past | None = None) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        heads = self.qkv(x).unflatten(-1, (-1, self.head_width))  # (B, T, H + 2G, D)
        q, k, v = torch.split(heads, [self.n_heads, self.n_kv_heads, self.n_kv_heads], dim=2)
        q, k = rotate(q, rotary), rotate(k, rotary)
        if past is not None:
            k, v = past.extend(k, v)
        if v.is_cpu:  # its bf16 kernel takes 3 to 6 times as long as fp32 (forward and backward, T up to 128)
            q, k, v = q.float(), k.float(), v.float()
        with torch.autocast(x.device.type, enabled=False) if x.is_cpu else nullcontext():
            y = F.scaled_dot_product_attention(
                q.transpose(1, 2),
                k.transpose(1, 2),
                v.transpose(1, 2),
                attn_mask=None if past is None else past.mask,
                is_causal=past is None,
                enable_gqa=self.n_kv_heads != self.n_heads,
            )
        out: Tensor = self.out(y.transpose(1, 2).flatten(2))
        return out


def rotate(x: Tensor, rotary: Rotary) -> Tensor:
    """Rotates each pair (i, i + D/2) of a head by its position's angle (arXiv 2104.09864; the layout of HF Llama)."""
    cos, sin = (table[..., : x.shape[-2], :].to(x.dtype) for table in rotary)
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, -1), sin)  # sin has the sign of rotate-half in it


def rotary_table(config: ModelConfig) -> Rotary:
    """The cos and the signed sin of every position, each (context, 1, D)."""
    half = config.width // config.n_heads // 2
    frequencies = config.rope_theta ** (-torch.arange(half, dtype=torch.float64) / half)
    angles = torch.arange(config.context, dtype=torch.float64)[:, None] * frequencies
    cos, sin = angles.cos(), angles.sin()
    table = torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)
    return table[0].float().unsqueeze(1), table[1].float().unsqueeze(1)


class MLP(nn.Module):
    """SwiGLU: down(silu(gate(x)) * up(x)) (arXiv 2002.05202)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        # Not one fused matrix: its halves are strided and their gradients copied together; 1.01 to 1.08 times slower
        self.gate = nn.Linear(config.width, config.mlp_size, bias=False)
        self.up = nn.Linear(config.width, config.mlp_size, bias=False)
        self.down = nn.Linear(config.mlp_size, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        out: Tensor = self.down(F.silu(self.gate(x)) * self.up(x))
        return out


class Block(nn.Module):
    """Attention and MLP, each normalised before and added to the residual stream after."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.width)
        self.attention = Attention(config)
        self.mlp_norm = RMSNorm(config.width)
        self.mlp = MLP(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, rotary: Rotary, past: Past | None = None) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        x = x + self.dropout(self.attention(self.attention_norm(x), rotary, past))
        out: Tensor = x + self.dropout(self.mlp(self.mlp_norm(x)))
        return out


@dataclass
class Cache:
    """The keys and values of every layer for the tokens decoded so far."""

    keys: Tensor  # (layers, B, S, G, D)
    values: Tensor  # (layers, B, S, G, D)
    lengths: Tensor  # (B,) tokens held; a slot's number is its token's position

    def select(self, rows: Tensor) -> Cache:
        """A copy holding the given rows, in their order; a row may come more than once."""
        return Cache(self.keys[:, rows], self.values[:, rows], self.lengths[rows])


class Llama(nn.Module):
    """A causal language model over a vocabulary; the weights map one to one onto HF's LlamaForCausalLM."""

    cos: Tensor
    sin: Tensor

    def __init__(self, config: ModelConfig, *, vocab_size: int) -> None:
        super().__init__()
        self.config = config
        self.vocab_size = vocab_size
        self.embedding = nn.Embedding(vocab_size, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.norm = RMSNorm(config.width)
        self.head = nn.Linear(config.width, vocab_size, bias=False)
        if config.tied_embeddings:
            self.head.weight = self.embedding.weight
        self.dropout = nn.Dropout(config.dropout)
        cos, sin = rotary_table(config)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self.init_weights()

    @torch.no_grad()
    def init_weights(self) -> None:
        """Normal(0, 0.02); what writes into the residual stream is 1/sqrt(2 layers) of it (GPT-2)."""
        residual = 0.02 / math.sqrt(2 * self.config.n_layers)
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                weight.normal_(0.0, residual if name.endswith(("out.weight", "down.weight")) else 0.02)

    def hidden(self, tokens: Tensor) -> Tensor:
        """(B, T) token ids, T <= context -> (B, T, C) after the final norm; position t sees tokens 0..t."""
        cos, sin = (table[: tokens.shape[1]].expand(-1, self.config.n_heads, -1) for table in (self.cos, self.sin))
        rotary = cos.contiguous(), sin.contiguous()  # one row per head: the inner loop is H D long, not D
        x = self.dropout(self.embedding(tokens))
        for block in self.blocks:
            x = block(x, rotary)
        out: Tensor = self.norm(x)
        return out

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., C) -> (..., V)."""
        out: Tensor = self.head(hidden)
        return out

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) token ids -> (B, T, V) logits of each next token."""
        return self.logits(self.hidden(tokens))

    def cache(self, batch_size: int, slots: int) -> Cache:
        """An empty cache for `batch_size` rows of up to `slots` tokens, in the precision autocast computes in."""
        weight, config = self.embedding.weight, self.config
        kind = weight.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype
        heads = config.n_kv_heads or config.n_heads
        shape = (config.n_layers, batch_size, slots, heads, config.width // config.n_heads)
        keys, values = weight.new_zeros(shape, dtype=dtype), weight.new_zeros(shape, dtype=dtype)
        return Cache(keys, values, torch.zeros(batch_size, dtype=torch.long, device=weight.device))

    @torch.no_grad()
    def step(self, tokens: Tensor, cache: Cache, *, slots: int | None = None) -> Tensor:
        """(B, T) tokens that follow what the cache holds -> (B, T, C); the cache then holds them too.

        Rows may hold different lengths. Only the first `slots` slots are looked at (all, if None): none may hold more.
        After a right-padded call, set `cache.lengths` to the true ones: padding is neither seen nor in the way.
        """
        positions = cache.lengths[:, None] + torch.arange(tokens.shape[1], device=tokens.device)  # (B, T)
        keys, values = cache.keys[:, :, :slots], cache.values[:, :, :slots]
        mask = torch.arange(keys.shape[2], device=tokens.device) <= positions[:, None, :, None]  # (B, 1, T, S)
        rotary = self.cos[positions], self.sin[positions]
        x = self.embedding(tokens)
        for block, layer_keys, layer_values in zip(self.blocks, keys, values, strict=True):
            x = block(x, rotary, Past(layer_keys, layer_values, positions, mask))
        cache.lengths = cache.lengths + tokens.shape[1]
        out: Tensor = self.norm(x)
        return out

    @property
    def n_params(self) -> int:
        """Trainable numbers; a tied embedding counts once."""
        return sum(weight.numel() for weight in self.parameters())

    @property
    def n_non_embedding(self) -> int:
        """Trainable numbers without the token embedding and the output head."""
        return sum(weight.numel() for part in (self.blocks, self.norm) for weight in part.parameters())

    def flops_per_token(self, context: int) -> int:
        """FLOPs to train on one token: 6 N + 12 layers C T (PaLM, arXiv 2204.02311, appendix B).

        N counts what multiplies each token: the non-embedding numbers and the output head, tied or not.
        """
        n_matmul = self.n_non_embedding + self.vocab_size * self.config.width
        return 6 * n_matmul + 12 * self.config.n_layers * self.config.width * context
