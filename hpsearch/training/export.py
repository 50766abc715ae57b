"""Exports a model as HF's LlamaForCausalLM: config, safetensors and the tokenizer's files.

A model with one data set of prompts has a tokenizer that puts its markers around each text. For each data set of labels
`classifier/` holds the same model as HF's LlamaForSequenceClassification.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from hpsearch.data.tokenizer import Tokenizer
from hpsearch.errors import UserError
from hpsearch.training.config import ModelConfig
from hpsearch.training.model import Llama, RMSNorm
from hpsearch.training.uses import CLASSIFIER, SetUse, noted


class Saves(Protocol):
    """A tokenizer that can be exported."""

    def save(self, folder: Path) -> None:
        """Writes the tokenizer's files into the folder."""


def save_pretrained(model: Llama, tokenizer: Saves, folder: Path) -> None:
    """Writes config.json, generation_config.json, model.safetensors and the tokenizer's files into the folder.

    `transformers.AutoModelForCausalLM.from_pretrained(folder)` computes the same logits; `load_pretrained` too.
    Weights are written in float32. The `eos_id` of the tokenizer, if any, ends generated text.
    """
    _save(hf_weights(model), hf_config(model) | _ends(tokenizer), folder)
    tokenizer.save(folder)
    write_json(folder / "generation_config.json", _ends(tokenizer))


def save_model(model: Llama, tokenizer: Tokenizer, folder: Path, uses: Sequence[SetUse]) -> None:
    """`save_pretrained` with what the model is for, and a classifier for each data set of labels.

    The classifier of a model of one data set is written to `classifier/`, those of several to `classifier/SET/`.
    """
    save_pretrained(model, tokenizer, folder)
    write_json(folder / "config.json", hf_config(model) | _ends(tokenizer) | noted(uses))
    write_json(folder / "generation_config.json", _ends(tokenizer) | _generation(model, uses))
    context = model.config.context
    if len(uses) == 1:
        save_tokenizer(tokenizer, uses[0], folder, context)
    for use in uses:
        if len(use.labels) > 1:
            place = folder / CLASSIFIER
            save_classifier(model, tokenizer, place if len(uses) == 1 else place / use.name, use)


def save_classifier(model: Llama, tokenizer: Tokenizer, folder: Path, use: SetUse) -> None:
    """Writes the model as one that `transformers.pipeline("text-classification", folder)` reads.

    Its head consists of the rows of the output embedding that belong to the labels, so it computes the logits of the
    labels' tokens after the prompt. `truncate: middle` becomes `right`, as transformers knows no other.
    """
    weights = hf_weights(model)
    weights.pop("lm_head.weight", None)
    weights["score.weight"] = model.head.weight[list(use.label_ids)]
    labels: dict[str, Any] = {
        "architectures": ["LlamaForSequenceClassification"],
        "problem_type": "single_label_classification",
        "id2label": {str(i): label for i, label in enumerate(use.labels)},
        "label2id": {label: i for i, label in enumerate(use.labels)},
    }
    save_tokenizer(tokenizer, use, folder, model.config.context)
    _save(weights, hf_config(model) | _ends(tokenizer) | labels, folder)


def save_tokenizer(tokenizer: Tokenizer, use: SetUse, folder: Path, context: int) -> None:
    """Writes the tokenizer that puts the markers of a data set around each text, and cuts as the training did."""
    side = "left" if use.truncate == "left" or use.kind == "text" else "right"
    tokenizer.save(folder, markers=use.markers, longest=use.longest_prompt or context, truncate=side)


def _save(weights: dict[str, Tensor], config: dict[str, Any], folder: Path) -> None:
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    plain = {name: weight.detach().float().cpu().contiguous() for name, weight in weights.items()}
    save_file(plain, folder / "model.safetensors", metadata={"format": "pt"})
    write_json(folder / "config.json", config)


def _ends(tokenizer: Saves) -> dict[str, Any]:
    """The tokens that begin, end and pad a text."""
    eos_id = getattr(tokenizer, "eos_id", None)
    return {"bos_token_id": None, "eos_token_id": eos_id, "pad_token_id": eos_id}


def _generation(model: Llama, uses: Sequence[SetUse]) -> dict[str, Any]:
    """How transformers generates by default: as an evaluation decodes, and never far beyond the context."""
    pairs = [use for use in uses if use.kind == "pair"]
    longest = max((use.max_new_tokens for use in pairs), default=max(1, model.config.context // 2))
    beams = max((use.beam_size for use in pairs), default=1)
    found: dict[str, Any] = {"do_sample": False, "max_new_tokens": longest}
    return found | ({"num_beams": beams, "early_stopping": True} if beams > 1 else {})


def load_pretrained(folder: Path) -> Llama:
    """The model that `save_pretrained` wrote, on the CPU in eval mode; safetensors hold no code that could run."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        raw = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        model = Llama(model_config(raw), vocab_size=raw["vocab_size"])
        ours, theirs = hf_weights(model), load_file(folder / "model.safetensors")
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        what = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise UserError(f"{folder}: not a model that hpsearch exported ({what})") from error
    copy_weights(ours, theirs, folder)
    return model.eval()


def copy_weights(ours: dict[str, Tensor], theirs: dict[str, Tensor], folder: Path) -> None:
    """Copies the file's weights into ours; raises UserError unless names and shapes are equal."""
    wanted = {name: tuple(weight.shape) for name, weight in ours.items()}
    given = {name: tuple(weight.shape) for name, weight in theirs.items()}
    if wanted != given:
        name = min(name for name in wanted | given if wanted.get(name) != given.get(name))
        raise UserError(f"{folder}/model.safetensors: {name} is {given.get(name)}, config.json asks {wanted.get(name)}")
    for name, weight in ours.items():
        weight.detach().copy_(theirs[name])


def hf_weights(model: Llama) -> dict[str, Tensor]:
    """The model's weights under HF's names, as views: writing into one changes the model."""
    weights = {"model.embed_tokens.weight": model.embedding.weight, "model.norm.weight": model.norm.weight}
    if not model.config.tied_embeddings:
        weights["lm_head.weight"] = model.head.weight
    n_heads, n_kv_heads = model.config.n_heads, model.config.n_kv_heads or model.config.n_heads
    head_width = model.config.width // n_heads
    for i, block in enumerate(model.blocks):
        parts = block.state_dict()
        sizes = [heads * head_width for heads in (n_heads, n_kv_heads, n_kv_heads)]
        q, k, v = torch.split(parts["attention.qkv.weight"], sizes)
        layer = {
            "input_layernorm": parts["attention_norm.weight"],
            "self_attn.q_proj": q,
            "self_attn.k_proj": k,
            "self_attn.v_proj": v,
            "self_attn.o_proj": parts["attention.out.weight"],
            "post_attention_layernorm": parts["mlp_norm.weight"],
            "mlp.gate_proj": parts["mlp.gate.weight"],
            "mlp.up_proj": parts["mlp.up.weight"],
            "mlp.down_proj": parts["mlp.down.weight"],
        }
        weights |= {f"model.layers.{i}.{name}.weight": weight for name, weight in layer.items()}
    return weights


def hf_config(model: Llama) -> dict[str, Any]:
    """HF's config of the model, without relying on defaults."""
    config = model.config
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": model.vocab_size,
        "hidden_size": config.width,
        "intermediate_size": config.mlp_size,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "num_key_value_heads": config.n_kv_heads or config.n_heads,
        "head_dim": config.width // config.n_heads,
        "hidden_act": "silu",
        "max_position_embeddings": config.context,
        "rms_norm_eps": RMSNorm.eps,
        "rope_theta": config.rope_theta,  # transformers 4
        "rope_scaling": None,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},  # transformers 5
        "attention_bias": False,
        "attention_dropout": 0.0,
        "mlp_bias": False,
        "tie_word_embeddings": config.tied_embeddings,
        "initializer_range": 0.02,
        "torch_dtype": "float32",  # transformers 4
        "dtype": "float32",  # transformers 5
        "use_cache": True,
    }


def model_config(raw: dict[str, Any]) -> ModelConfig:
    """The inverse of `hf_config`; dropout is 0."""
    keys = {
        "n_layers": "num_hidden_layers",
        "width": "hidden_size",
        "n_heads": "num_attention_heads",
        "n_kv_heads": "num_key_value_heads",
        "mlp_width": "intermediate_size",
        "context": "max_position_embeddings",
        "tied_embeddings": "tie_word_embeddings",
        "rope_theta": "rope_theta",
    }
    return ModelConfig.model_validate({ours: raw[theirs] for ours, theirs in keys.items()})


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Writes indented JSON."""
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
