"""The default trainer: the studies and configs of the shipped spaces are what they were before it had a name."""

from pathlib import Path

import pytest

from hpsearch.config import digest
from hpsearch.space.experiment import Experiment

SPACES = Path(__file__).parents[2] / "search_spaces"
# Beginnings of the digests of: the identity, the first config, its data and tokenizer.
BEFORE = {
    "classification": ("75661b18c248baa0", "b4eff96b7f936b0f", "b732a8f5608d8ba9"),
    "gpu": ("0532297ac8bb50ca", "9c49d5977fb0a7d5", "de3d20f3834d44ec"),
    "multitask": ("493858499deec1b7", "4a63f08128c24dff", "676968d61562c293"),
    "quickstart": ("02c69816150e3670", "884789717cb9b740", "cf79455481b29e2d"),
    "translation": ("2922e71c28f5ee5b", "d79da42cb50d97a1", "2af447804303a520"),
}


@pytest.mark.parametrize("name", BEFORE)
def test_the_shipped_spaces_are_the_studies_that_they_were(name):
    experiment = Experiment.load(SPACES / f"{name}.yaml")
    config = experiment.space_file.config
    assert experiment.trainer.name == "causal_lm"
    found = (digest(experiment.identity()), config.digest(), config.corpus_digest())
    assert tuple(one[:16] for one in found) == BEFORE[name]


def test_all_shipped_spaces_are_pinned():
    assert {path.stem for path in SPACES.glob("*.yaml")} == set(BEFORE)


def test_named_or_not_it_is_the_same_study(tmp_path):
    text = (SPACES / "quickstart.yaml").read_text()
    named = Experiment.loads(text + "\ntrainer: causal_lm\n", path=tmp_path / "quickstart.yaml")
    assert named.identity() == Experiment.load(SPACES / "quickstart.yaml").identity()
