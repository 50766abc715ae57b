"""The default trainer: the studies and configs of the shipped spaces are what they were before it had a name."""

from pathlib import Path

import pytest

from hpsearch.config import digest
from hpsearch.space.experiment import Experiment

SPACES = Path(__file__).parents[2] / "search_spaces"
# Beginnings of the digests of: the identity, the first config, its data and tokenizer.
BEFORE = {
    "classification": ("ec46f9aca4ef91fd", "fa2dbdbe636bc187", "b732a8f5608d8ba9"),
    "gpu": ("a503ab36c339d74f", "9880ed3dd3d3daf5", "de3d20f3834d44ec"),
    "multitask": ("9c0caf0918349cdb", "ac38388d48d57acf", "676968d61562c293"),
    "quickstart": ("19ee597ec36e7ebf", "0c0c3274a9746dbf", "cf79455481b29e2d"),
    "translation": ("bad14c0d8cde718f", "f982c3659ea01972", "2af447804303a520"),
}


@pytest.mark.parametrize("name", BEFORE)
def test_the_shipped_spaces_are_the_studies_that_they_were(name):
    experiment = Experiment.load(SPACES / f"{name}.yaml")
    config = experiment.space_file.config
    assert experiment.trainer.name == "causal_lm"
    found = (digest(experiment.identity()), config.digest(), config.corpus_digest())
    assert tuple(one[:16] for one in found) == BEFORE[name]


def test_all_shipped_spaces_are_pinned():
    every = {path.stem: Experiment.load(path).trainer.name for path in SPACES.glob("*.yaml")}
    assert {name for name, trainer in every.items() if trainer == "causal_lm"} == set(BEFORE)


def test_named_or_not_it_is_the_same_study(tmp_path):
    text = (SPACES / "quickstart.yaml").read_text()
    named = Experiment.loads(text + "\ntrainer: causal_lm\n", path=tmp_path / "quickstart.yaml")
    assert named.identity() == Experiment.load(SPACES / "quickstart.yaml").identity()
