"""Checkpoints that are damaged, or whose parts do not fit each other: refused by name before anything is trained."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
import transformers

import hpsearch
from hpsearch.data.token_arrays import CorpusSet, PairTokens, TextTokens
from hpsearch.errors import HpsearchError, UserError
from hpsearch.preflight.draft.plan import Budget
from hpsearch.space.experiment import Experiment
from hpsearch.trainers.huggingface import loading, token_checks
from hpsearch.trainers.huggingface.shards import check_whole
from hpsearch.trainers.huggingface.vocabulary import PretrainedTokenizer
from tests.preflight.draft.files import drafted
from tests.trainers.huggingface import tiny

KINDS = ("encoder", "decoder", "encoder-decoder")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.filled(tmp_path_factory.mktemp("base"), n_labelled=60)


@pytest.fixture
def copied(base: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Copies a checkpoint, to be damaged."""
    return lambda kind: Path(shutil.copytree(base / kind, tmp_path / kind))


def space(folder: Path, data: Path, **model: Any) -> Experiment:
    section = {"reviews": {"task": "classification", "files": str(data)}}
    value = {"model": {"context": 32, "pretrained": str(folder), **model}, "data": section, "budget": {"trials": 3}}
    return Experiment.of(value, base=folder.parent, study="tuned")


def refused(folder: Path, base: Path, **model: Any) -> str:
    """What a run says of a checkpoint; `new` says the same, if the space file has no more of the model."""
    experiment = space(folder, base / "labelled.jsonl", **model)
    with pytest.raises(UserError) as caught:
        experiment.trainer.check(experiment.space_file)
    said = str(caught.value)
    if not model:
        with pytest.raises(UserError) as caught:
            drafted(base / "labelled.jsonl", folder, output=folder.parent / "space.yaml", budget=Budget(trials=1))
        assert said.endswith(str(caught.value))
    assert "\n" not in said
    return said


def config(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


# ------------------------------------------------------------------------------------------------------ the tokenizer


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_without_its_tokenizer_is_refused(base, copied, kind) -> None:
    folder = copied(kind)
    for path in folder.glob("tokenizer*"):
        path.unlink()
    said = f"{folder}: has no tokenizer; allowed: its files in the same folder, or model.tokenizer: FOLDER or NAME"
    assert refused(folder, base).endswith(said)
    experiment = space(folder, base / "labelled.jsonl", tokenizer=str(base / kind))
    experiment.trainer.check(experiment.space_file)


def test_a_tokenizer_whose_words_are_missing_is_refused(base, copied) -> None:
    """transformers makes one of five special tokens of such a folder."""
    folder = copied("encoder")
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    found = refused(folder, base)
    assert f"{folder}: has no tokenizer; allowed: its files in the same folder" in found
    assert found.endswith("(its 5 tokens are special ones)")


def saved(words: list[str], folder: Path) -> Path:
    """The tokenizer of the encoder with other words."""
    of = tiny.tokenizer("encoder")
    state = json.loads(of.backend_tokenizer.to_str())
    state["model"]["vocab"] = {word: i for i, word in enumerate([*tiny.SPECIALS, *words])}
    (folder / "tokenizer.json").write_text(json.dumps(state))
    return folder


def test_a_tokenizer_of_more_tokens_than_the_model_has_is_refused(base, copied) -> None:
    size = len(tiny.tokenizer("encoder"))
    folder = saved([f"w{i}" for i in range(size)], copied("encoder"))
    said = (
        f"its tokenizer is not that of the model: it has the id {size + 4}, and the model has the ids 0 to {size - 1}"
    )
    assert said in refused(folder, base)


def test_a_special_token_that_no_text_has_may_lie_behind_the_models_tokens(base, copied) -> None:
    """As that of images in tokenizers of models that have no part for them."""
    folder = copied("encoder")
    of = transformers.AutoTokenizer.from_pretrained(folder)
    of.add_special_tokens({"additional_special_tokens": ["<image>"]})
    of.save_pretrained(folder)
    experiment = space(folder, base / "labelled.jsonl")
    experiment.trainer.check(experiment.space_file)


def prepared(experiment: Experiment, cache: Path) -> Any:
    return experiment.trainer.prepare(
        experiment.space_file, cache=cache, progress=lambda *_: None, known=lambda _: None, fresh=False
    )


def test_a_tokenizer_that_knows_few_words_of_the_data_is_said_with_the_share(base, copied, tmp_path) -> None:
    """Before a search, and in a draft; a tokenizer of another language is refused."""
    folder = saved(list(tiny.WORDS[:4]), copied("encoder"))
    rows = map(json.loads, (base / "labelled.jsonl").read_text().splitlines())
    words = [word for row in rows for word in row["text"].split()]
    share = sum(word not in tiny.WORDS[:4] for word in words) / len(words)
    assert 0.1 < share < 0.9
    said = f"{share:.0%} of the train tokens are [UNK], as the tokenizer of {folder} does not know these words"
    size = f"{folder}: its tokenizer has 9 tokens, the model {len(tiny.tokenizer('encoder'))}: is it the model's own?"
    made = drafted(base / "labelled.jsonl", folder, output=tmp_path / "space.yaml")
    assert size in made.warnings
    experiment = space(folder, base / "labelled.jsonl")
    whole = dict.fromkeys(("train", "valid", "test"), str(base / "labelled.jsonl"))
    experiment = Experiment.of(
        {**experiment.normalised(), "data": {"r": {"task": "classification", "files": whole}}}, base=base, study="t"
    )
    (tmp_path / "cache").mkdir()
    warnings = prepared(experiment, tmp_path / "cache").warnings
    assert size in warnings
    assert f"data.r: {said}: is it the tokenizer of this model, and of this language?" in warnings
    saved(["katze", "hund"], folder)
    with pytest.raises(
        UserError, match=r"100% of the train tokens are \[UNK\].*; allowed: a tokenizer that knows most"
    ):
        prepared(experiment, tmp_path / "cache")
    with pytest.raises(UserError, match=r"100% of the train tokens are \[UNK\]"):
        drafted(base / "labelled.jsonl", folder, output=tmp_path / "space.yaml")


def test_a_tokenizer_that_knows_the_data_has_no_warning(base, tmp_path) -> None:
    for kind in KINDS:
        (tmp_path / kind).mkdir()
        found = prepared(space(base / kind, base / "labelled.jsonl"), tmp_path / kind)
        assert not [line for line in found.warnings if "tokenizer" in line]


def test_the_tokens_that_are_read_are_those_of_the_texts() -> None:
    """Labelled texts have no tokens as targets; pairs and running text are read in whole."""
    tokens, starts = np.array([5, 6, 1, 7, 8, 9, 0], np.int32), np.array([0, 3, 7])
    pairs = PairTokens(tokens, starts, np.array([2, 3], np.int32), np.array([1, 1], np.int32))
    assert token_checks.tokens_read(CorpusSet("a", "translation", {"train": pairs})).tolist() == tokens.tolist()
    pairs.labels = np.array([1, 0], np.int32)
    assert token_checks.tokens_read(CorpusSet("a", "classification", {"train": pairs})).tolist() == [5, 6, 7, 8, 9]
    text = TextTokens(tokens, 9)
    assert token_checks.tokens_read(CorpusSet("a", "text", {"train": text})).tolist() == tokens.tolist()


def test_an_unknown_token_that_is_the_end_token_too_is_not_counted() -> None:
    """GPT-2's `<|endoftext|>` stands before each text, and its bytes know every word."""
    of = tiny.tokenizer("decoder")
    tokens = np.array([1, 1, 1, 6], np.int32)
    assert token_checks.unknown_share(PretrainedTokenizer(of), tokens) == 0.75
    of.eos_token = of.unk_token
    assert token_checks.unknown_share(PretrainedTokenizer(of), tokens) == 0.0


# --------------------------------------------------------------------------------------------------------- the weights

WIDER = {"encoder": {"hidden_size": 48, "num_attention_heads": 2}, "decoder": {"n_embd": 48}} | {
    "encoder-decoder": {"d_model": 48}
}
FIRST = {
    "encoder": "bert.embeddings.word_embeddings.weight",
    "decoder": "transformer.wte.weight",
    "encoder-decoder": "shared.weight",
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_config_of_other_sizes_than_the_weights_is_refused_with_both_shapes(base, copied, kind) -> None:
    folder, size = copied(kind), len(tiny.tokenizer(kind))
    config(folder, **WIDER[kind])
    said = (
        f"{folder}: its weights do not fit its config.json: {FIRST[kind]} has the shape ({size}, 32), not ({size}, 48);"
    )
    found = refused(folder, base)
    assert said in found
    assert found.split(", and ")[-1].endswith(" more")


def test_values_of_the_space_that_do_not_fit_the_weights_are_said_to_be_the_spaces(base, copied) -> None:
    folder = copied("encoder")
    experiment = Experiment.of(
        {**space(folder, base / "labelled.jsonl").normalised(), "config": {"type_vocab_size": 3}}, base=base, study="t"
    )
    with pytest.raises(
        UserError, match=r"do not fit its config\.json with the values of `config`: bert\.embeddings\.tok"
    ):
        experiment.trainer.check(experiment.space_file)


def rewritten(folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    path = folder / "model.safetensors"
    safetensors.torch.save_file(change(safetensors.torch.load_file(path)), path, metadata={"format": "pt"})


def test_a_body_that_lacks_weights_is_refused_and_a_head_or_pooler_may_be_new(base, copied) -> None:
    folder = copied("encoder")
    rewritten(folder, lambda all: {key: one for key, one in all.items() if ".layer.1." not in key})
    found = refused(folder, base)
    assert f"{folder}: its weights lack some that its config.json asks for: bert.encoder.layer.1." in found
    assert found.endswith(", and 13 more")  # of the 16 of a layer
    config(folder, num_hidden_layers=1)
    experiment = space(folder, base / "labelled.jsonl")
    experiment.trainer.check(experiment.space_file)
    rewritten(folder, lambda all: {key: one for key, one in all.items() if not key.startswith("cls.")})
    experiment.trainer.check(experiment.space_file)
    bare = {"config": transformers.AutoConfig.from_pretrained(folder)}
    transformers.BertModel(**bare).save_pretrained(folder)  # its names have no `bert.` before them
    experiment.trainer.check(experiment.space_file)
    transformers.BertForSequenceClassification(**bare).save_pretrained(folder)  # a head of two other labels
    experiment.trainer.check(experiment.space_file)


@pytest.mark.parametrize("bare", [False, True])
def test_more_layers_than_the_config_has_are_refused_unless_the_space_asks_for_fewer(base, copied, bare) -> None:
    folder = copied("encoder")
    if bare:
        transformers.BertModel(transformers.AutoConfig.from_pretrained(folder)).save_pretrained(folder)
    fewer = Experiment.of(
        {**space(folder, base / "labelled.jsonl").normalised(), "config": {"num_hidden_layers": 1}},
        base=base,
        study="t",
    )
    fewer.trainer.check(fewer.space_file)
    config(folder, num_hidden_layers=1)
    said = f"{folder}: its weights have more layers than its config.json, which has 1: "
    assert f"{said}{'' if bare else 'bert.'}encoder.layer.1.attention." in refused(folder, base)


def test_a_trial_refuses_them_too(base, copied, tmp_path) -> None:
    """Also where they were changed after the search began."""
    folder = copied("decoder")
    data = {"reviews": {"task": "classification", "files": {"train": str(base / "labelled.jsonl")}}}
    tuning = tiny.config({"pretrained": str(folder)}, data)
    values = transformers.AutoConfig.from_pretrained(folder)
    model, drawn = loading.load(tuning, values, "decoder", base)
    assert drawn == set()
    assert {one.dtype for one in model.parameters()} == {torch.float32}
    values.n_embd = 48
    with pytest.raises(UserError, match="do not fit"):
        loading.load(tuning, values, "decoder", base)


def test_weights_that_are_cut_short_are_named_with_their_path(base, copied) -> None:
    folder = copied("encoder")
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    for content, why in [
        (
            whole[: len(whole) // 2],
            "the file is damaged or cut short (Error while deserializing header: incomplete metadata",
        ),
        (b"", "the file is damaged or cut short ("),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS in place of the weights; git lfs pull"),
    ]:
        path.write_bytes(content)
        assert f"{path}: {why}" in refused(folder, base)


def test_a_shard_that_is_missing_or_cut_short_is_named(base, copied) -> None:
    folder = copied("decoder")
    model = transformers.GPT2LMHeadModel.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="40KB")
    shards = sorted(folder.glob("model-*.safetensors"))
    assert len(shards) > 1
    check_whole(folder, str(folder))
    shards[1].write_bytes(shards[1].read_bytes()[:-1])
    assert f"{shards[1]}: the file is damaged or cut short" in refused(folder, base)
    shards[1].unlink()
    assert f"{shards[1]}: no such file, and model.safetensors.index.json beside it names it" in refused(folder, base)
    (folder / "model.safetensors.index.json").write_text("{}")
    assert "model.safetensors.index.json: is no index of weights; copy it again" in refused(folder, base)


def test_a_model_directory_that_is_cut_short_or_lacks_weights_answers_nothing(base, copied) -> None:
    folder = copied("encoder")
    labels = transformers.BertForSequenceClassification(transformers.AutoConfig.from_pretrained(folder))
    body = folder / "model.safetensors"
    whole = body.read_bytes()
    config(folder, architectures=["BertForSequenceClassification"])
    with pytest.raises(
        UserError, match=r"encoder: its weights lack bert\.pooler\.dense\.bias, .* and 1 more, which would"
    ):
        hpsearch.load_model(folder, device="cpu")
    labels.save_pretrained(folder)
    hpsearch.load_model(folder, device="cpu")
    body.write_bytes(whole[:1000])
    for ask in (lambda: hpsearch.load_model(folder), lambda: hpsearch.evaluate(folder, base / "labelled.jsonl")):
        with pytest.raises(HpsearchError, match=r"model\.safetensors: the file is damaged or cut short"):
            ask()
