"""Drafts for a pretrained model: what is written for its kind and size; models that cannot be tuned."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest
import transformers

import hpsearch
from hpsearch.document.document import parse
from hpsearch.errors import UserError
from hpsearch.preflight.draft.plan import Budget, Machine
from hpsearch.space.experiment import Experiment
from hpsearch.trainers.huggingface import trainer
from hpsearch.trainers.huggingface.ranges import RATES, Facts, recommended
from hpsearch.trainers.huggingface.rules import rules
from tests.preflight.draft.files import drafted
from tests.trainers.huggingface import tiny


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.filled(tmp_path_factory.mktemp("base"), n_labelled=200, n_pairs=200, n_texts=40)


def sections(base: Path, *names: str, **given: object) -> dict:
    return parse(drafted(*(base / name for name in names), **given).text, path="space.yaml").value


def test_an_encoder_is_tuned_on_labels(base):
    made = drafted(base / "labelled.jsonl", base / "encoder")
    found = parse(made.text, path="space.yaml").value
    assert found["model"] == {"pretrained": "./encoder", "tuning": "full", "context": 16}
    assert found["objective"] == {"metric": "val/f1_macro"}
    assert found["training"]["learning_rate"] == {"low": 2e-5, "high": 5e-4, "log": True}
    assert found["search"] == {"first": [{"learning_rate": 2e-4}]}
    assert "arXiv 2003.10555" in made.text
    model = transformers.AutoModelForSequenceClassification.from_pretrained(base / "encoder")
    size = f"{float(f'{model.num_parameters():.2g}'):,.0f} parameters, reads at most 64 tokens"
    assert f"{base / 'encoder'}: an encoder (bert) of {size}" in made.lines
    assert not [line for line in made.warnings if "scratch" in line]


def test_the_context_is_that_of_the_checkpoints_own_tokenizer(base):
    longest = (
        max(len(json.loads(line)["text"].split()) for line in (base / "labelled.jsonl").read_text().splitlines()) + 2
    )
    found = sections(base, "labelled.jsonl", "encoder")
    assert longest <= found["model"]["context"] < longest + 8


def test_a_decoder_and_an_encoder_decoder_learn_pairs(base):
    for kind in ("decoder", "encoder-decoder"):
        found = sections(base, "pairs.jsonl", kind)
        assert found["objective"] == {"metric": "val/loss"}
        assert found["evaluation"]["max_new_tokens"] == 16
        assert found["evaluation"]["times"] == 4 * found["evaluation"]["decode_every"]
    assert found["training"]["learning_rate"]["high"] == 1e-3  # T5's


def test_running_text_has_sequences_as_long_as_the_checkpoint_reads(base):
    found = sections(base, "text.jsonl", "decoder")
    assert found["model"]["context"] == 64
    assert found["training"]["batch_size"] == {"choices": [4]}


def test_several_checkpoints_are_choices_with_comparable_losses(base):
    found = sections(base, "pairs.jsonl", "decoder", "encoder-decoder")
    assert found["model"]["pretrained"] == {"choices": ["./decoder", "./encoder-decoder"]}
    assert found["objective"] == {"metric": "val/bits_per_byte"}


@pytest.mark.parametrize(
    ("data", "model", "said"),
    [
        ("pairs.jsonl", "encoder", "an encoder, which learns no translation; allowed: classification"),
        ("text.jsonl", "encoder-decoder", "an encoder-decoder, which learns no text; allowed: translation, classif"),
    ],
)
def test_data_that_the_kind_of_model_cannot_learn_are_refused(base, data, model, said):
    with pytest.raises(UserError, match=said):
        drafted(base / data, base / model)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["config.json", "pytorch_model.bin"], "no weights as safetensors .there is pytorch_model.bin; save it again"),
        (["adapter_config.json", "adapter_model.safetensors"], "an adapter without its model; merge both"),
        (["model.safetensors"], r"has no config\.json; allowed: a folder that transformers' save_pretrained wrote"),
        (["config.json"], "has no weights as safetensors; allowed"),
    ],
)
def test_a_folder_that_is_no_whole_checkpoint_is_named(base, tmp_path, names, said):
    folder = tmp_path / "model"
    folder.mkdir()
    for name in names:
        (folder / name).write_text('{"model_type": "bert"}')
    with pytest.raises(UserError, match=said) as caught:
        drafted(base / "labelled.jsonl", folder, output=tmp_path / "space.yaml")
    assert "\n" not in str(caught.value)
    run = {"model": {"pretrained": str(folder)}, "data": {"a": {"task": "text", "files": "text.jsonl"}}}
    found = Experiment.of(run, base=base, study="a")
    with pytest.raises(UserError, match=said):
        found.trainer.check(found.space_file)


def test_a_checkpoint_alone_and_a_name_that_nobody_knows(base, tmp_path):
    with pytest.raises(UserError, match="encoder: a pretrained model; give the files to tune it on, too"):
        drafted(base / "encoder", output=tmp_path / "space.yaml")
    with pytest.raises(UserError, match="no such folder"):
        hpsearch.new(base / "labelled.jsonl", pretrained="./no_such_folder")


def test_a_name_on_the_hub_is_read_from_its_cache(base, tmp_path, monkeypatch):
    commit = "0" * 40
    place = tmp_path / "models--me--small"
    shutil.copytree(base / "encoder", place / "snapshots" / commit)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("transformers.utils.hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    made = hpsearch.new(base / "labelled.jsonl", pretrained="me/small")
    assert parse(made.text, path="space.yaml").value["model"]["pretrained"] == "me/small"


def test_without_transformers_it_says_so_and_drafts_by_the_files(base, monkeypatch):
    monkeypatch.setattr(trainer, "find_spec", lambda name: None)
    made = drafted(base / "labelled.jsonl", base / "encoder")
    assert "transformers, peft is not installed, and a run needs it: pip install 'hpsearch[hf]'" in made.warnings
    found = parse(made.text, path="space.yaml").value
    assert found["model"]["pretrained"] == "./encoder"
    assert found["training"]["learning_rate"]["high"] == 5e-4
    with pytest.raises(UserError, match="only transformers finds names on the hub"):
        hpsearch.new(base / "labelled.jsonl", pretrained="me/small")


def test_the_space_lies_elsewhere(base, tmp_path):
    made = drafted(base / "labelled.jsonl", base / "encoder", output=tmp_path / "space.yaml")
    found = parse(made.text, path="space.yaml").value["model"]["pretrained"]
    assert (tmp_path / found).resolve() == (base / "encoder").resolve()


def test_a_draft_has_no_advice_against_itself(base):
    made = drafted(base / "labelled.jsonl", base / "encoder")
    experiment = Experiment.loads(made.text, path=base / "space.yaml")
    assert experiment.warnings == ()
    ruled = experiment.default({}).rules["learning_rate"].value
    rates = experiment.space.params["learning_rate"]
    assert rates.low <= ruled <= rates.high


@pytest.mark.parametrize("family", list(RATES))
@pytest.mark.parametrize("parameters", [2e7, 1e8, 1e9, 7e9])
def test_every_range_has_the_recommended_rate_and_rises_with_lora(family, parameters):
    kind = "encoder-decoder" if family == "t5" else family
    facts = Facts(kind=kind, model_type=family, parameters=parameters)
    rates = recommended(facts)["training", "learning_rate"].written
    assert rates["low"] <= facts.rates.good <= rates["high"]
    config = tiny.config({"pretrained": "a", "tuning": facts.tuning}, {"a": {"task": "text", "files": "a.txt"}})
    assert rates["low"] <= rules(config, {})["training"]["learning_rate"].value <= rates["high"]
    assert facts.tuning == ("lora" if parameters >= 1e9 else "full")
    assert rates["high"] <= (2e-3 if facts.tuning == "lora" else 1e-3)


def test_small_budgets_have_fewer_epochs(base):
    rich, poor = (Facts(flops=flops, tokens=1e6, in_layers=1e8) for flops in (math.inf, 6e14))
    assert rich.epochs == (2, 4)
    assert math.prod(poor.epochs) == pytest.approx(1, rel=0.05)
    made = drafted(base / "labelled.jsonl", base / "encoder", budget=Budget(trials=5), machine=Machine("gpu", 1))
    assert "budget: {trials: 5}" in made.text
