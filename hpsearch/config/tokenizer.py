"""The tokenizer of a config."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from hpsearch.config.section import Section


class TokenizerConfig(Section):
    """Byte-level BPE learnt from the training split only, plain bytes, or the user's tokenizer.json."""

    kind: Literal["bpe", "bytes", "file"] = Field(
        "bpe",
        description=(
            "`bpe`: byte-level BPE, learnt from the training split only; `bytes`: a token for each byte; `file`: a"
            " tokenizer.json of yours"
        ),
    )
    vocab_size: int = Field(
        2000,
        ge=257,
        le=1_000_000,
        description=(
            "`bpe`: tokens, of which 256 are the bytes and two are special; the tokens of tasks and labels are "
            "added on top"
        ),
    )
    file: str | None = Field(
        None,
        description="`kind: file`: the path of a tokenizer.json; its template for first and last tokens is ignored",
        examples=["tokenizer.json"],
    )

    @model_validator(mode="after")
    def _file_with_its_kind(self) -> TokenizerConfig:
        if (self.kind == "file") != (self.file is not None):
            raise ValueError("kind: file needs file: PATH, and no other kind takes it")
        return self
