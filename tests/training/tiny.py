"""Models of a few thousand weights and corpora of a few hundred tokens, for the tests of training."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import torch

from hpsearch.contract import Handle, WorkerSettings
from hpsearch.data.corpus import Corpus
from hpsearch.training.batches import Rows, rows_of
from hpsearch.training.config import TrainConfig
from hpsearch.training.model import Llama

CPU = torch.device("cpu")
TEXT = {"task": "text", "files": {part: f"data/{part}.txt" for part in ("train", "valid", "test")}}
PAIRS = {"task": "translation", "files": {"train": "data/pairs.jsonl"}, "source": "en", "target": "fr"}
MOODS = {"task": "classification", "files": {"train": "data/moods.tsv"}, "text": "sentence", "label": "mood"}
LONG = {"task": "translation", "files": {"train": "data/long.jsonl"}}  # of `long_pairs`
MIXED = {"text": TEXT, "pairs": PAIRS, "moods": MOODS}


def tiny(data: dict[str, Any], **given: Any) -> TrainConfig:
    """A config of a tiny model; `given`: values by section, as in model={"dropout": 0.1}, laid over the tiny ones."""
    sections: dict[str, Any] = {
        "tokenizer": {"kind": "bytes"},
        "model": {"n_layers": 1, "width": 16, "n_heads": 2, "context": 32},
        "training": {"batch_size": 8, "epochs": 1, "learning_rate": 1e-2, "precision": "fp32"},
        "evaluation": {"times": 3, "decode_sample": 2, "max_new_tokens": 4},
    }
    for name, values in given.items():
        sections[name] = {**sections.get(name, {}), **values} if isinstance(values, dict) else values
    return TrainConfig.model_validate({"data": data, **sections})


def opened(config: TrainConfig, folder: Path) -> Corpus:
    """The corpus of a config whose files lie in folder/data."""
    return Corpus.open(config.data, config.tokenizer, cache=folder / "cache", base=folder)


def long_pairs(folder: Path, *, n: int = 60, length: int = 100, unit: str = "ab\u20ac ") -> None:
    """Writes pairs most of which no small context holds: sources and targets of 1 to `length` characters, unrelated."""
    (folder / "data").mkdir(exist_ok=True)
    draw = random.Random(0)

    def text() -> str:
        return "".join(draw.choice(unit) for _ in range(draw.randint(0, length - 1))) + "."

    lines = [json.dumps({"source": text(), "target": text()}) for _ in range(n)]
    (folder / "data" / "long.jsonl").write_text("\n".join(lines), encoding="utf-8")


def rows(config: TrainConfig, folder: Path, split: str = "train") -> dict[str, Rows]:
    """A split's rows of every set."""
    return rows_of(opened(config, folder), split, config, CPU)


def model(config: TrainConfig, corpus: Corpus, *, seed: int = 0) -> Llama:
    """An untrained model, with weights large enough for its guesses to differ."""
    torch.manual_seed(seed)
    made = Llama(config.model, vocab_size=corpus.tokenizer.vocab_size)
    with torch.no_grad():
        for weight in made.parameters():
            weight.mul_(5.0)
    return made


def handle(folder: Path, name: str = "trial", **given: Any) -> Handle:
    """A handle with a folder of its own; `given`: command, checkpoint_seconds."""
    (folder / name).mkdir(exist_ok=True)
    settings = WorkerSettings(
        "cpu", 1, folder / "cache", folder, checkpoint_seconds=given.pop("checkpoint_seconds", 1e9)
    )
    return Handle(settings, folder / name, **given)
