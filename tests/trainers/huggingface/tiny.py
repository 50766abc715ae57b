"""Small real checkpoints of transformers, of each kind, and data that they learn in a few steps."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tokenizers
import torch
import transformers
from tokenizers import models, pre_tokenizers, processors

from hpsearch.contract import Command, Evaluation, Handle, WorkerSettings
from hpsearch.trainers.huggingface.config import FineTuneConfig

WORDS = (
    *("the", "a", "cat", "dog", "bird", "sun", "moon", "tree", "good", "bad"),
    *("happy", "sad", "runs", "sleeps", "sings", "eats", "fast", "slow", "now", "here"),
)
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
GERMAN = {
    "cat": "katze",
    "dog": "hund",
    "bird": "vogel",
    "sun": "sonne",
    "moon": "mond",
    "tree": "baum",
}
LABELS = ("good", "bad", "so so")


def tokenizer(kind: str) -> Any:
    """A tokenizer of whole words: BERT's form for encoders, an end token behind each text for encoder-decoders."""
    vocabulary = dict.fromkeys([*SPECIALS, *WORDS, *GERMAN.values(), "so", "\n", *"abcdefghijklmnopqrstuvwxyz"])
    inner = tokenizers.Tokenizer(models.WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Split(
        tokenizers.Regex(r"\n| "), "removed" if kind != "decoder" else "isolated"
    )
    if kind == "decoder":
        inner.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Split(" ", "removed"), pre_tokenizers.Split("\n", "isolated")]
        )
    if kind == "encoder":
        inner.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    if kind == "encoder-decoder":
        inner.post_processor = processors.TemplateProcessing(single="$A [SEP]", special_tokens=[("[SEP]", 3)])
    named = {"pad_token": "[PAD]", "unk_token": "[UNK]", "eos_token": "[SEP]"}
    if kind == "encoder":
        named |= {"cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=inner, model_max_length=64, **named)


def encoder(folder: Path) -> Path:
    """A BERT of two layers."""
    return _saved(folder, "encoder", transformers.BertForMaskedLM(_bert(tokenizer("encoder"))))


def _bert(of: Any) -> Any:
    return transformers.BertConfig(
        vocab_size=len(of),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        pad_token_id=of.pad_token_id,
    )


def decoder(folder: Path) -> Path:
    """A GPT-2 of two layers."""
    of = tokenizer("decoder")
    config = transformers.GPT2Config(
        vocab_size=len(of),
        n_embd=32,
        n_layer=2,
        n_head=2,
        n_positions=64,
        bos_token_id=of.eos_token_id,
        eos_token_id=of.eos_token_id,
    )
    return _saved(folder, "decoder", transformers.GPT2LMHeadModel(config))


def encoder_decoder(folder: Path) -> Path:
    """A T5 of two layers."""
    of = tokenizer("encoder-decoder")
    config = transformers.T5Config(
        vocab_size=len(of),
        d_model=32,
        d_kv=16,
        d_ff=64,
        num_layers=2,
        num_heads=2,
        pad_token_id=of.pad_token_id,
        eos_token_id=of.eos_token_id,
        decoder_start_token_id=of.pad_token_id,
    )
    return _saved(folder, "encoder-decoder", transformers.T5ForConditionalGeneration(config))


def _saved(folder: Path, kind: str, model: Any) -> Path:
    model.save_pretrained(folder)
    tokenizer(kind).save_pretrained(folder)
    return folder


def checkpoint(kind: str, folder: Path, *, seed: int = 0) -> Path:
    """A checkpoint of this kind in a folder; the seed draws its weights."""
    torch.manual_seed(seed)
    made: dict[str, Callable[[Path], Path]] = {
        "encoder": encoder,
        "decoder": decoder,
        "encoder-decoder": encoder_decoder,
    }
    return made[kind](folder)


def filled(folder: Path, *, n_labelled: int = 0, n_pairs: int = 0, n_texts: int = 0) -> Path:
    """A folder with a checkpoint of each kind, and data sets of so many rows (0: none)."""
    for kind in ("encoder", "decoder", "encoder-decoder"):
        checkpoint(kind, folder / kind)
    for name, rows, write in (("labelled", n_labelled, labelled), ("pairs", n_pairs, pairs), ("text", n_texts, texts)):
        if rows:
            write(folder / f"{name}.jsonl", rows)
    return folder


def labelled(path: Path, n: int, *, seed: int = 0) -> str:
    """Texts whose label is the word "good", "bad" or neither; returns the file's name."""
    draw = random.Random(seed)
    rows = []
    for _ in range(n):
        label = draw.choice(LABELS)
        words = [draw.choice(WORDS[:8]) for _ in range(draw.randint(2, 9))]
        if label != "so so":
            words.insert(draw.randint(0, len(words)), label)
        rows.append({"text": " ".join(words), "label": label})
    return _lines(path, rows)


def pairs(path: Path, n: int, *, seed: int = 0) -> str:
    """Nouns and their translations, word by word; returns the file's name."""
    draw = random.Random(seed)
    rows = []
    for _ in range(n):
        words = [draw.choice(list(GERMAN)) for _ in range(draw.randint(1, 3))]
        rows.append({"source": " ".join(words), "target": " ".join(GERMAN[word] for word in words)})
    return _lines(path, rows)


def texts(path: Path, n: int) -> str:
    """Running text; returns the file's name."""
    draw = random.Random(1)
    return _lines(path, [{"text": " ".join(draw.choice(WORDS) for _ in range(20))} for _ in range(n)])


def _lines(path: Path, rows: list[dict[str, str]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path.name


def config(
    model: Mapping[str, Any], data: Mapping[str, Any], *, objective: str = "val/loss", **sections: Any
) -> FineTuneConfig:
    """A config with small batches and few evaluations."""
    training = {"batch_size": 8, "epochs": 2.0, "learning_rate": 3e-3, **sections.pop("training", {})}
    evaluation = {"times": 4, "max_new_tokens": 8, "decode_sample": 16, **sections.pop("evaluation", {})}
    direction = "minimize" if objective.endswith("loss") else "maximize"
    values = {
        "objective": {"metric": objective, "direction": direction},
        "data": data,
        "model": {"context": 32, **model},
        "training": training,
        "evaluation": evaluation,
        **sections,
    }
    return FineTuneConfig.model_validate(values)


def handle(base: Path, folder: Path, command: Callable[[], Command] = lambda: Command.CONTINUE, **of: Any) -> Handle:
    """The handle of a training in a folder, on one thread of the CPU."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = WorkerSettings(device="cpu", threads=1, cache=base / "cache", base=base, **of)
    settings.cache.mkdir(exist_ok=True)
    return Handle(settings, folder, command)


def curve(evaluations: list[Evaluation]) -> list[dict[str, float]]:
    """The metrics of a training, without times."""
    return [evaluation.metrics for evaluation in evaluations]
