"""The tokenizer of a config."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from hpsearch.config.section import Section


class TokenizerConfig(Section):
    """Byte-level BPE learnt from the training split only, plain bytes, or the user's tokenizer.json."""

    kind: Literal["bpe", "bytes", "file"] = "bpe"
    vocab_size: int = Field(2000, ge=257, le=1_000_000)  # bpe only: bytes, merges, EOS, SEP; others are added on top
    file: str | None = None

    @model_validator(mode="after")
    def _file_with_its_kind(self) -> TokenizerConfig:
        if (self.kind == "file") != (self.file is not None):
            raise ValueError("kind: file needs file: PATH, and no other kind takes it")
        return self
