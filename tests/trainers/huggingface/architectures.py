"""Small checkpoints of the architectures that people tune, with random weights, as transformers saves them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers

from hpsearch.trainers.huggingface.kinds import Kind
from tests.trainers.huggingface import tiny

SIZE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
LONG = {"max_position_embeddings": 64}
HEADS = {"num_key_value_heads": 1}
HALVES = {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2} | {
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "max_position_embeddings": 64,
}


def _config(name: str, of: Any, **values: Any) -> Any:
    special = {"pad_token_id": of.pad_token_id, "eos_token_id": of.eos_token_id, "bos_token_id": of.eos_token_id}
    return transformers.CONFIG_MAPPING[name](vocab_size=len(of), **special, **values)


def _encoder(name: str, **values: Any) -> Callable[[Any], Any]:
    return lambda of: transformers.AutoModelForMaskedLM.from_config(_config(name, of, **values))


def _decoder(name: str, **values: Any) -> Callable[[Any], Any]:
    return lambda of: transformers.AutoModelForCausalLM.from_config(_config(name, of, **values))


def _halves(name: str, **values: Any) -> Callable[[Any], Any]:
    return lambda of: transformers.AutoModelForSeq2SeqLM.from_config(
        _config(name, of, decoder_start_token_id=of.pad_token_id, **values)
    )


ARCHITECTURES: dict[str, tuple[Kind, Callable[[Any], Any]]] = {
    "modernbert": ("encoder", _encoder("modernbert", **SIZE, **LONG, cls_token_id=2, sep_token_id=3)),
    "roberta": ("encoder", _encoder("roberta", **SIZE, max_position_embeddings=66)),
    "distilbert": ("encoder", _encoder("distilbert", dim=32, n_layers=2, n_heads=2, hidden_dim=64, **LONG)),
    "albert": ("encoder", _encoder("albert", **SIZE, **LONG, embedding_size=16)),
    "electra": ("encoder", _encoder("electra", **SIZE, **LONG, embedding_size=16)),
    "deberta-v2": ("encoder", _encoder("deberta-v2", **SIZE, **LONG)),
    "llama": ("decoder", _decoder("llama", **SIZE, **LONG, **HEADS)),
    "qwen2": ("decoder", _decoder("qwen2", **SIZE, **LONG, **HEADS)),
    "qwen3": ("decoder", _decoder("qwen3", **SIZE, **LONG, **HEADS, head_dim=16)),
    "gemma": ("decoder", _decoder("gemma", **SIZE, **LONG, **HEADS, head_dim=16)),
    "gpt_neox": ("decoder", _decoder("gpt_neox", **SIZE, **LONG)),
    "marian": ("encoder-decoder", _halves("marian", **HALVES)),
    "bart": ("encoder-decoder", _halves("bart", **HALVES)),
    "mt5": ("encoder-decoder", _halves("mt5", d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2)),
}


def made(name: str, folder: Path) -> Kind:
    """A checkpoint of the architecture in a folder; returns its kind."""
    kind, model = ARCHITECTURES[name]
    torch.manual_seed(0)
    of = tiny.tokenizer(kind)
    model(of).save_pretrained(folder)
    of.save_pretrained(folder)
    return kind
