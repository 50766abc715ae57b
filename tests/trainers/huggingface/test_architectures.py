"""Checkpoints of many architectures: tuned in whole, by LoRA and in their last layers, and read by transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from hpsearch.trainers.huggingface import HuggingFace
from hpsearch.trainers.huggingface.parts import FineTuning
from hpsearch.training import checkpoint
from tests.trainers.huggingface import architectures, tiny

AUTO: dict[str, Any] = {
    "encoder": transformers.AutoModelForSequenceClassification,
    "decoder": transformers.AutoModelForCausalLM,
    "encoder-decoder": transformers.AutoModelForSeq2SeqLM,
}
LABELLED = {"reviews": {"task": "classification", "files": dict.fromkeys(("train", "valid", "test"), "labelled.jsonl")}}
PAIRS = {"pairs": {"task": "translation", "files": dict.fromkeys(("train", "valid", "test"), "pairs.jsonl")}}
TUNINGS = ("full", "lora", "last_layers")
QUICK = {("distilbert", "lora"), ("llama", "full")}
EVERY = [(name, tuning) for name in architectures.ARCHITECTURES for tuning in TUNINGS]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, and in turn with checkpoints."""
    folder = tmp_path_factory.mktemp("base")
    tiny.labelled(folder / "labelled.jsonl", 80)
    tiny.pairs(folder / "pairs.jsonl", 80)
    return folder


def read(model: Any, tokenizer: Any, kind: str) -> torch.Tensor:
    """The logits of a few texts."""
    inputs = tokenizer(["the cat runs", "the dog"], padding=True, return_tensors="pt")
    inputs.pop("token_type_ids", None)
    if kind == "encoder-decoder":
        inputs["decoder_input_ids"] = inputs["input_ids"]
    with torch.no_grad():
        logits: torch.Tensor = model.eval()(**inputs).logits
    return logits


@pytest.mark.parametrize(
    ("name", "tuning"),
    [pytest.param(*one, marks=() if one in QUICK else pytest.mark.slow) for one in EVERY],
)
def test_it_learns_and_transformers_reads_what_was_tuned(base, tmp_path, name, tuning) -> None:
    kind = architectures.made(name, base / name)
    model = {"pretrained": name, "tuning": tuning, "last_layers": 1, "lora_rank": 4}
    training = {"learning_rate": 3e-3, "epochs": 4.0}
    config = tiny.config(model, PAIRS if kind == "encoder-decoder" else LABELLED, training=training)
    handle = tiny.handle(base, tmp_path / "run")
    found = list(HuggingFace().train(config, handle))
    assert found[-1].metrics["val/loss"] < found[0].metrics["val/loss"]
    HuggingFace().export(config, handle, tmp_path / "model")
    network = FineTuning.of(config, handle.settings, torch.device("cpu")).network()
    best = checkpoint.load(tmp_path / "run" / "best.pt", config_hash=config.digest(), device=torch.device("cpu"))
    network.load_state_dict(best["model"])
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "model")
    loaded = AUTO[kind].from_pretrained(tmp_path / "model")
    torch.testing.assert_close(read(loaded, tokenizer, kind), read(network.hf, tokenizer, kind), atol=1e-4, rtol=1e-4)
    assert transformers.AutoConfig.from_pretrained(tmp_path / "model").model_type == name
