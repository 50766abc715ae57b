"""What people type of a choice between sub-configs finds the branch."""

import pytest

from hpsearch.space.branch_values import with_labels
from hpsearch.space.experiment import Experiment
from tests.searching import DATA

TOKENIZERS = "tokenizer: {choices: [{kind: bytes}, {kind: bpe, vocab_size: {low: 300, high: 2000}}]}"
SIZES = "model: {choices: [{n_layers: 1, width: 64}, {n_layers: 2, width: 96}, {n_layers: 2, width: 128}]}"
EPOCHS = (
    "training: {choices: [{batch_size: 8, epochs: {low: 1, high: 3}}, {batch_size: 16, epochs: {low: 2, high: 9}}]}"
)


def space(body):
    return Experiment.loads(
        f"study: s\nobjective: {{metric: val/bits_per_byte}}\n{DATA}{body}\n", path="space.yaml"
    ).space


@pytest.mark.parametrize(
    ("body", "given", "wanted"),
    [
        (TOKENIZERS, {"tokenizer": "bytes"}, {"tokenizer": "kind=bytes"}),
        (
            TOKENIZERS,
            {"tokenizer": "bpe", "vocab_size": 500},
            {"tokenizer": "kind=bpe, vocab_size=300..2000", "vocab_size": 500},
        ),
        (TOKENIZERS, {"tokenizer": "words"}, {"tokenizer": "words"}),
        (TOKENIZERS, {"vocab_size": 500}, {"vocab_size": 500}),
        (SIZES, {"n_layers": 1}, {"model": "n_layers=1, width=64"}),
        (SIZES, {"n_layers": 2, "width": 128}, {"model": "n_layers=2, width=128"}),
        (SIZES, {"n_layers": 2}, {"n_layers": 2}),  # two of them
        (SIZES, {"n_layers": 1, "width": 96}, {"n_layers": 1, "width": 96}),  # none
        (SIZES, {"model": "n_layers=2, width=96"}, {"model": "n_layers=2, width=96"}),
        (EPOCHS, {"batch_size": 16, "epochs": 5}, {"training": "batch_size=16, epochs=2.0..9.0", "epochs.2": 5}),
    ],
)
def test_the_values_of_a_branch_become_its_label(body, given, wanted):
    assert with_labels(space(body), given) == wanted
