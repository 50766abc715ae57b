"""Training on train and valid together: the same as a train split of both, without validation."""

import dataclasses

import pytest
import torch

from hpsearch.contract import Command, Handle, WorkerSettings
from hpsearch.training import checkpoint, loop
from hpsearch.training.config import WholeTrainConfig
from hpsearch.training.corpus import trained_on
from hpsearch.training.steps import steps
from tests.training.tiny import MIXED, TEXT, opened, tiny

BOTH = {**TEXT, "files": {**TEXT["files"], "train": ["data/train.txt", "data/valid.txt"]}}


def handle(tmp_path, name, config):
    opened(config, tmp_path)
    (tmp_path / name).mkdir(exist_ok=True)
    return Handle(WorkerSettings("cpu", 1, tmp_path / "cache", tmp_path), tmp_path / name)


def weights(given, config):
    return checkpoint.load(given.folder / "best.pt", config_hash=config.digest())


def test_it_is_the_training_on_one_split_of_both(tmp_path, corpus_files):
    whole, joined = WholeTrainConfig.of(tiny({"text": TEXT})), tiny({"text": BOTH})
    given, other = handle(tmp_path, "whole", whole), handle(tmp_path, "joined", joined)
    losses = [e.metrics["train/interval_loss"] for e in loop.train(whole, given)]
    found = list(loop.train(joined, other))
    assert losses == [e.metrics["train/interval_loss"] for e in found]
    assert steps(whole, given.settings) == found[-1].step == steps(joined, other.settings)
    assert steps(whole, given.settings) > steps(whole.held_out(), given.settings)
    kept, last = weights(given, whole), loop.Training(joined, other)
    assert kept["evaluation"]["step"] == found[-1].step
    if weights(other, joined)["evaluation"]["step"] == found[-1].step:
        for name, one in weights(other, joined)["model"].items():
            torch.testing.assert_close(kept["model"][name], one, rtol=0, atol=0)
    assert last.config == joined


def test_nothing_is_validated(tmp_path, corpus_files):
    config = WholeTrainConfig.of(tiny(MIXED))
    given = handle(tmp_path, "whole", config)
    found = list(loop.train(config, given))
    assert len(found) == 3
    assert not any(name.startswith("val/") for one in found for name in one.metrics)


def test_it_resumes_to_the_same_weights(tmp_path, corpus_files):
    config = WholeTrainConfig.of(tiny({"text": TEXT}))
    given, other = handle(tmp_path, "whole", config), handle(tmp_path, "stopped", config)
    list(loop.train(config, given))
    count = iter(range(1000))
    other.command = lambda: Command.PAUSE if next(count) >= 3 else Command.CONTINUE
    list(loop.train(config, other))
    list(loop.train(config, dataclasses.replace(other, command=lambda: Command.CONTINUE)))
    before, after = weights(given, config)["model"], weights(other, config)["model"]
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_pairs_are_joined_with_their_targets(tmp_path, corpus_files):
    config = WholeTrainConfig.of(tiny(MIXED))
    corpus = opened(config, tmp_path)
    both = trained_on(config, corpus)
    for name in ("pairs", "moods"):
        train, valid, found = (
            *(corpus.sets[name].splits[part] for part in ("train", "valid")),
            both.sets[name].splits["train"],
        )
        assert len(found) == len(train) + len(valid)
        assert [*found.references] == [*train.references, *valid.references]
        first = found.tokens[found.starts[len(train)] : found.starts[len(train) + 1]]
        assert first.tolist() == valid.tokens[valid.starts[0] : valid.starts[1]].tolist()


def test_the_config_is_another_one(tmp_path, corpus_files):
    config = tiny({"text": TEXT})
    whole = WholeTrainConfig.of(config)
    assert whole.digest() != config.digest()
    assert whole.held_out() == config
    assert whole.corpus_digest() == config.corpus_digest()
    with pytest.raises(ValueError, match="trained_on"):
        WholeTrainConfig.model_validate({**config.model_dump(), "trained_on": "test"})
