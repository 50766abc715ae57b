"""TrainConfig: what it refuses, what it fills in, and that its digest is that of its meaning."""

import json

import pytest
from pydantic import ValidationError

from hpsearch.config import Objective, digest
from hpsearch.training.config import ModelConfig, TrainConfig, TrainingConfig

TEXT = {"task": "text", "files": {"train": "a.txt"}}
PAIRS = {"task": "translation", "files": {"train": "a.tsv"}}


def made(**given):
    return TrainConfig.model_validate({"data": {"text": TEXT}, **given})


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"learning_rate": 1e-3}, ("learning_rate",)),
        ({"training": {"lr": 1e-3}}, ("training", "lr")),
        ({"model": {"n_layer": 2}}, ("model", "n_layer")),
        ({"data": {"a": {**TEXT, "target": "x"}}}, ("data", "a", "text", "target")),
        ({"data": {"a": {**TEXT, "files": {"train": "a", "dev": "b"}}}}, ("data", "a", "text", "files", "dev")),
    ],
)
def test_an_unknown_key_is_refused_by_its_place(given, place):
    with pytest.raises(ValidationError) as caught:
        made(**given)
    (error,) = caught.value.errors()
    assert (error["type"], error["loc"]) == ("extra_forbidden", place)


@pytest.mark.parametrize(
    "given",
    [
        {"data": {}},
        {"data": {"a": {"task": "poetry", "files": {"train": "a"}}}},
        {"data": {"a": {"task": "text"}}},
        {"data": {"a": {**TEXT, "dataset": "python:a:b"}}},
        {"tokenizer": {"kind": "file"}},
        {"tokenizer": {"kind": "bpe", "file": "t.json"}},
        {"tokenizer": {"vocab_size": 256}},
        {"training": {"learning_rate": 0}},
        {"training": {"learning_rate": float("nan")}},
        {"training": {"epochs": float("inf")}},
        {"training": {"warmup": 0.9, "cooldown": 0.2}},
        {"training": {"stop_at": 0}},
        {"training": {"micro_batch_size": 0}},
        {"model": {"context": 7}},
        {"model": {"dropout": 1.0}},
        {"evaluation": {"times": 0}},
        {"seed": -1},
        {"seed": 2**63},
    ],
    ids=json.dumps,
)
def test_values_out_of_their_range_are_refused(given):
    with pytest.raises(ValidationError):
        made(**given)


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        ({"width": 100, "n_heads": 3}, "n_heads 3 does not divide width 100"),
        ({"width": 12, "n_heads": 4}, "odd"),
        ({"width": 64, "n_heads": 4, "n_kv_heads": 3}, "n_kv_heads 3 does not divide n_heads 4"),
        ({"width": 64, "n_heads": 4, "n_kv_heads": 8}, "n_kv_heads 8 does not divide n_heads 4"),
    ],
)
def test_heads_divide(model, complaint):
    with pytest.raises(ValidationError, match=complaint):
        ModelConfig(**model)
    assert ModelConfig(width=64, n_heads=4, n_kv_heads=2)


def test_defaults():
    config = made()
    assert config.seed == 0
    assert (config.objective.metric, config.objective.direction) == ("val/loss", "minimize")
    assert (config.training.stop_at, config.training.grad_clip, config.training.micro_batch_size) == (1.0, 1.0, None)
    assert (config.model.n_layers, config.model.width, config.model.mlp_size) == (4, 128, 352)
    assert (config.data["text"].split.valid, config.data["text"].split.test) == (0.1, 0.1)
    assert config.data["text"].text == "text"


@pytest.mark.parametrize(("width", "expected"), [(8, 32), (12, 32), (16, 64), (128, 352), (384, 1024)])
def test_the_mlp_is_two_thirds_of_four_widths_in_multiples_of_32(width, expected):
    assert ModelConfig(width=width, n_heads=2).mlp_size == expected
    assert ModelConfig(width=width, n_heads=2, mlp_width=40).mlp_size == 40


def test_a_schedule_without_a_cooldown_does_not_mind_its_length():
    assert TrainingConfig(schedule="cosine", warmup=0.9, cooldown=0.2)


def test_source_is_an_origin_or_a_column():
    assert made(data={"a": {"task": "text", "source": "python:m:f"}}).data["a"].dataset == "python:m:f"
    assert made(data={"a": {**PAIRS, "source": "en"}}).data["a"].source == "en"
    translation = made(data={"a": {"task": "translation", "source": "python:m:f"}}).data["a"]
    assert (translation.dataset, translation.source) == ("python:m:f", "source")


def test_a_config_is_frozen():
    with pytest.raises(ValidationError):
        made().training.learning_rate = 1.0


def test_better_goes_by_direction_and_never_holds_for_nan():
    assert Objective().better(1.0, 2.0)
    assert not Objective().better(2.0, 2.0)
    assert Objective(metric="val/bleu", direction="maximize").better(2.0, 1.0)
    assert not Objective().better(float("nan"), 2.0)


def test_the_digest_does_not_depend_on_the_order_of_keys():
    one = TrainConfig.model_validate({"seed": 1, "data": {"a": TEXT, "b": PAIRS}, "training": {"epochs": 2.0}})
    other = TrainConfig.model_validate({"training": {"epochs": 2}, "data": {"b": PAIRS, "a": TEXT}, "seed": 1})
    assert one.digest() == other.digest()
    assert one.corpus_digest() == other.corpus_digest()
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1}) != digest({"a": 1, "b": [2, 1]})


def test_what_is_left_out_is_what_stands_there_by_default():
    assert made().digest() == made(training={"schedule": "wsd"}, seed=0).digest()


def test_every_value_is_in_the_digest_and_only_data_and_tokenizer_in_that_of_the_corpus():
    for given in (
        {"seed": 1},
        {"training": {"stop_at": 0.5}},
        {"model": {"dropout": 0.1}},
        {"evaluation": {"times": 3}},
        {"data": {"text": {**TEXT, "weight": 2}}},
    ):
        assert made(**given).digest() != made().digest()
        assert made(**given).corpus_digest() == made().corpus_digest()
    for given in ({"tokenizer": {"kind": "bytes"}}, {"data": {"other": TEXT}}):
        assert made(**given).corpus_digest() != made().corpus_digest()


def test_a_config_survives_json_to_the_same_digest():
    config = made(training={"learning_rate": 1 / 3})
    again = TrainConfig.model_validate(json.loads(json.dumps(config.model_dump(mode="json"))))
    assert again == config
    assert again.digest() == config.digest()
