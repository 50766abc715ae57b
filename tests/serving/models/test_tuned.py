"""Models that hpsearch fine-tuned: `evaluate` gives the figures of their own test, also of texts that were cut."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import hpsearch
from hpsearch.data.truncation import Cut
from tests import blank
from tests.trainers.huggingface import tiny

DATA = {
    "encoder": {"task": "classification", "truncate": "middle"},
    "encoder-decoder": {"task": "translation", "truncate": "left"},
    "decoder": {"task": "text"},
}
MADE = {"classification": tiny.labelled, "translation": tiny.pairs, "text": tiny.texts}


def tuned(folder: Path, kind: str) -> dict[str, Any]:
    """A space of a fine-tuning with a context of 8 tokens, which most texts exceed."""
    tiny.checkpoint(kind, folder / kind)
    data = DATA[kind]
    files = {
        split: MADE[data["task"]](folder / f"{split}.jsonl", n, **({} if data["task"] == "text" else {"seed": n}))
        for split, n in (("train", 24), ("valid", 8), ("test", 40))
    }
    if data["task"] == "translation":
        for split in files.values():  # of up to nine words
            rows = [json.loads(line) for line in (folder / split).read_text().splitlines()]
            long = [{key: " ".join([row[key]] * (1 + n % 3)) for key in row} for n, row in enumerate(rows)]
            (folder / split).write_text("".join(json.dumps(row) + "\n" for row in long))
    return {
        "study": "tuned",
        "model": {"pretrained": kind, "context": 8},
        "training": {"learning_rate": 1e-2, "batch_size": 8, "epochs": 4},
        "evaluation": {"times": 2, "max_new_tokens": 4, "beam_size": 2, "decode_sample": 4},
        "data": {"mine": {**data, "files": files}},
        "resources": {"device": "cpu"},
    }


@pytest.mark.parametrize("kind", DATA)
def test_evaluate_gives_the_figures_of_the_final_test(tmp_path: Path, kind: str) -> None:
    space = tuned(tmp_path, kind)
    options: dict[str, Any] = {"base": tmp_path, "home": blank.home(tmp_path / "home")}
    result = hpsearch.train(space, output=tmp_path / "model", progress=False, **options)
    found = hpsearch.evaluate(tmp_path / "model", space, split="test", device="cpu", **options).sets["mine"]
    tested = {name.removeprefix("test/"): one for name, one in result.metrics.items() if name.startswith("test/")}
    assert found.metrics == pytest.approx(tested, rel=1e-5)
    assert found.signatures == result.signatures


@pytest.mark.parametrize(
    ("truncate", "said"), [("right", [1, 2, 3, 7]), ("left", [1, 5, 6, 7]), ("middle", [1, 2, 6, 7])]
)
def test_a_long_prompt_keeps_its_first_and_its_last_token(truncate: Any, said: list[int]) -> None:
    cut = Cut(4, 4, truncate)
    assert cut.prompt([1, 2, 3, 4, 5, 6, 7]) == said
    assert cut.prompt([1, 2, 3]) == [1, 2, 3]


@torch.no_grad()
def test_a_decoder_with_a_head_does_not_depend_on_the_batch(tmp_path: Path) -> None:
    """A GPT-2 whose tokenizer pads on the left, by a token that its config does not name."""
    import transformers

    tokenizer = tiny.tokenizer("decoder")
    tokenizer.padding_side = "left"
    torch.manual_seed(0)
    labels = {"id2label": {0: "a, b", 1: "été 天"}, "label2id": {"a, b": 0, "été 天": 1}}
    sizes = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 32, "initializer_range": 0.5}
    config = transformers.GPT2Config(vocab_size=len(tokenizer), **sizes, **labels)
    made = transformers.GPT2ForSequenceClassification(config).eval()
    made.save_pretrained(tmp_path / "gpt2")
    tokenizer.save_pretrained(tmp_path / "gpt2")
    texts = ["cat", "the dog runs fast now", "good bird sings", "here"]
    model = hpsearch.load_model(tmp_path / "gpt2", device="cpu")
    found = model(texts)
    for text, one in zip(texts, found, strict=True):
        logits = made(torch.tensor([tokenizer(text)["input_ids"]])).logits[0]
        wanted = dict(zip(("a, b", "été 天"), logits.softmax(-1).tolist(), strict=True))
        assert one.probabilities == pytest.approx(wanted, abs=1e-6)
        assert one.label == max(wanted, key=wanted.__getitem__)
