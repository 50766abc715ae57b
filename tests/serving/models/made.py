"""Small real models: ours with untrained weights, and those of others made with transformers."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import tokenizers
import torch
from tokenizers import decoders, models, pre_tokenizers

from hpsearch.training.config import TrainConfig
from hpsearch.training.export import save_model
from hpsearch.training.uses import uses_of
from tests.training import tiny

WORDS = ["red", "blue", "green", "warm", "cold", "sun", "rain", "snow", "tree", "天", "气", "café"]
MOODS = {
    "task": "classification",
    "files": {part: f"data/moods_{part}.tsv" for part in ("train", "valid", "test")},
    "text": "sentence",
    "label": "mood",
    "positive": "cold",
}
PAIRS = {
    "task": "translation",
    "files": {part: f"data/pairs_{part}.jsonl" for part in ("train", "valid", "test")},
    "source": "en",
    "target": "fr",
}
TEXT = {"task": "text", "files": {part: f"data/{part}.txt" for part in ("train", "valid", "test")}}


def data(folder: Path) -> None:
    """Files of three tasks in folder/data, of three splits each; some texts are longer than a context of 48 bytes."""
    (folder / "data").mkdir()
    draw = random.Random(0)
    for part, n in {"train": 24, "valid": 16, "test": 16}.items():
        texts = [" ".join(draw.choices(WORDS, k=draw.randint(2, 14))) for _ in range(n)]
        moods = [("cold", "warm", "mild")[i % 3] for i in range(n)]
        rows = [f"{text}\t{mood}\n" for text, mood in zip(texts, moods, strict=True)]
        (folder / "data" / f"moods_{part}.tsv").write_text("sentence\tmood\n" + "".join(rows))
        pairs = [json.dumps({"en": text, "fr": " ".join(text.split()[::-1])}) for text in texts]
        (folder / "data" / f"pairs_{part}.jsonl").write_text("\n".join(pairs))
        (folder / "data" / f"{part}.txt").write_text(" ".join(texts))


def config(sets: dict[str, Any], **given: Any) -> TrainConfig:
    """A config of a tiny model of these sets."""
    evaluation = {"decode_sample": 100, "max_new_tokens": 8, **given.pop("evaluation", {})}
    return tiny.tiny(sets, model={"context": 48, "width": 32}, evaluation=evaluation, **given)


def ours(folder: Path, name: str, made: TrainConfig) -> Path:
    """A model directory as a final training writes it, without a training."""
    corpus = tiny.opened(made, folder)
    place = folder / name
    save_model(tiny.model(made, corpus).eval(), corpus.tokenizer, place, uses_of(made, corpus))
    (place / "hpsearch.json").write_text(json.dumps(made.model_dump(mode="json")))
    return place


def tokenizer() -> Any:
    """A byte-level tokenizer of transformers with an end token, which pads."""
    from transformers import PreTrainedTokenizerFast

    characters = pre_tokenizers.ByteLevel.alphabet()
    inner = tokenizers.Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(sorted(characters))}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<e>", pad_token="<e>", bos_token="<b>")


def others(folder: Path, kind: str) -> Path:
    """A directory of others: gpt2, bert (with labels) or bart."""
    import transformers as t

    torch.manual_seed(0)
    small = {"vocab_size": 258, "initializer_range": 0.4}
    if kind == "gpt2":
        made: Any = t.GPT2LMHeadModel(
            t.GPT2Config(n_layer=1, n_embd=16, n_head=2, n_positions=24, bos_token_id=257, eos_token_id=256, **small)
        )
    elif kind == "bert":
        labels = {"id2label": {0: "warm", 1: "mild", 2: "cold"}, "label2id": {"warm": 0, "mild": 1, "cold": 2}}
        size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
        made = t.BertForSequenceClassification(
            t.BertConfig(**size, max_position_embeddings=40, pad_token_id=256, **small, **labels)
        )
    else:
        size = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32}
        heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "max_position_embeddings": 40}
        ends = {"bos_token_id": 257, "eos_token_id": 256, "pad_token_id": 256, "decoder_start_token_id": 257}
        made = t.BartForConditionalGeneration(
            t.BartConfig(vocab_size=258, init_std=0.4, **size, **heads, **ends, forced_eos_token_id=None)
        )
    made.eval().save_pretrained(folder / kind)
    tokenizer().save_pretrained(folder / kind)
    return folder / kind
