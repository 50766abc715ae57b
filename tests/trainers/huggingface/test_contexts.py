"""What is said of texts longer than a checkpoint reads: no advice that the checkpoint cannot follow."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from hpsearch.errors import ConfigError
from hpsearch.space.experiment import Experiment
from tests.trainers.huggingface import tiny

LONG = 10  # of 100 texts


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints that read 64 tokens, and data of which a tenth is longer."""
    folder = tmp_path_factory.mktemp("base")
    for kind in ("encoder", "decoder"):
        tiny.checkpoint(kind, folder / kind)
    labelled(folder / "labelled.jsonl", 70, 8)
    labelled(folder / "short.jsonl", 20, 4)
    pairs = [{"source": "cat", "target": row["text"]} for row in read(folder / "labelled.jsonl")]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pairs))
    (folder / "cache").mkdir()
    return folder


def labelled(path: Path, long: int, short: int) -> None:
    """Different texts of so many words."""
    draw = random.Random(0)
    texts = [" ".join(draw.choices(tiny.WORDS, k=long if i < LONG else short)) for i in range(100)]
    rows = [{"text": text, "label": "ab"[i % 2]} for i, text in enumerate(texts)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def read(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def warnings(base: Path, context: Any, data: dict[str, Any], kind: str = "encoder", **sections: Any) -> list[str]:
    value = {"model": {"pretrained": kind, "context": context}, "data": data, "budget": {"trials": 3}, **sections}
    experiment = Experiment.of(value, base=base, study="tuned")
    found = experiment.trainer.prepare(
        experiment.space_file, cache=base / "cache", progress=lambda *_: None, known=lambda _: None, fresh=False
    )
    return [line for line in found.warnings if " train examples " in line]


def of(task: str, name: str) -> dict[str, Any]:
    return {"mine": {"task": task, "files": dict.fromkeys(("train", "valid", "test"), f"{name}.jsonl")}}


@pytest.mark.parametrize(
    ("context", "said"),
    [
        (64, "; the model reads at most 64 tokens"),
        ({"low": 8, "high": 64}, f"; the model reads at most 64 tokens, and context 64 would cut {LONG}"),
    ],
)
def test_no_context_is_advised_that_the_checkpoint_cannot_read(base, context, said) -> None:
    [line] = warnings(base, context, of("classification", "labelled"), objective={"metric": "val/f1_macro"})
    assert line.endswith(said)
    assert "would cut at most" not in line


def test_a_context_that_it_can_read_is_advised(base) -> None:
    [line] = warnings(base, 8, of("classification", "short"), objective={"metric": "val/f1_macro"})
    assert line.endswith("; context 22 would cut at most 1%")  # [CLS], 20 words, [SEP]


def test_a_loss_over_cut_targets_names_no_context_beyond_the_checkpoints(base) -> None:
    with pytest.raises(ConfigError) as caught:
        warnings(base, {"low": 32, "high": 64}, of("translation", "pairs"), kind="decoder")
    said = str(caught.value)
    assert said.endswith(f"{LONG} of 100 valid targets of data.mine are cut; use val/bleu or val/chrf")
