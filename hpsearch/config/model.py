"""The tokenizer and the model of a config."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from hpsearch.config.section import Section


class TokenizerConfig(Section):
    """Byte-level BPE learnt from the training split alone, plain bytes, or a tokenizer.json of one's own."""

    kind: Literal["bpe", "bytes", "file"] = "bpe"
    vocab_size: int = Field(2000, ge=257, le=1_000_000)  # bpe only: bytes, merges and eos; task tokens come on top
    file: str | None = None

    @model_validator(mode="after")
    def _file_with_its_kind(self) -> TokenizerConfig:
        if (self.kind == "file") != (self.file is not None):
            raise ValueError("kind: file needs file: PATH, and only that kind")
        return self


class ModelConfig(Section):
    """A Llama-kind causal transformer (RMSNorm, rotary positions, SwiGLU)."""

    n_layers: int = Field(4, ge=1, le=256)
    width: int = Field(128, ge=8, le=32768)
    n_heads: int = Field(4, ge=1, le=256)
    n_kv_heads: int | None = Field(None, ge=1)  # grouped-query attention; None: as many as n_heads
    mlp_width: int | None = Field(None, ge=8)  # None: 8/3 of the width, rounded up to a multiple of 32
    context: int = Field(128, ge=8, le=1_048_576)  # tokens
    dropout: float = Field(0.0, ge=0, lt=1)
    tied_embeddings: bool = True
    rope_theta: float = Field(10_000.0, gt=0)

    @model_validator(mode="after")
    def _heads_divide(self) -> ModelConfig:
        if self.width % self.n_heads:
            raise ValueError(f"n_heads {self.n_heads} does not divide width {self.width}")
        if (self.width // self.n_heads) % 2:
            raise ValueError(f"width {self.width} / n_heads {self.n_heads} is odd: rotary positions need an even head")
        if self.n_kv_heads is not None and self.n_heads % self.n_kv_heads:
            raise ValueError(f"n_kv_heads {self.n_kv_heads} does not divide n_heads {self.n_heads}")
        return self

    @property
    def mlp_size(self) -> int:
        """The hidden width of the MLP (SwiGLU paper, arXiv 2002.05202: two thirds of 4 x width)."""
        return self.mlp_width or -(-(8 * self.width // 3) // 32) * 32
