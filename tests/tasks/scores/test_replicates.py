"""Metrics without a group of the examples, against scikit-learn and sacrebleu on the others, and sums by hand."""

import math

import numpy as np
import pytest

from hpsearch.tasks.scores.classification import replicates, scores
from hpsearch.tasks.scores.losses import Sums
from hpsearch.tasks.scores.replicates import GROUPS, dealt, known, stretch
from hpsearch.tasks.scores.translation import Scoring

WORDS = ["the", "old", "cat", "sat", "on", "a", "red", "mat", "and", "saw", "two", "dogs", "near", "it"]


def test_examples_are_dealt_evenly_and_always_alike():
    groups = dealt(103)
    assert sorted(np.bincount(groups)) == [5] * 17 + [6] * 3
    assert dealt(103).tolist() == groups.tolist() != sorted(groups)
    assert sorted(dealt(7)) == list(range(7))  # fewer examples than groups: one each
    assert dealt(0).tolist() == []


def test_of_a_text_a_group_is_a_stretch():
    parts = [stretch(0, 30, 100), stretch(30, 70, 100)]
    assert np.concatenate(parts).tolist() == [i // 5 for i in range(100)]
    assert stretch(0, 3, 3).tolist() == [0, 1, 2]


def test_scores_without_a_group_are_those_of_the_other_examples():
    draw = np.random.default_rng(1)
    truth = draw.integers(0, 4, 90)
    guessed = np.where(draw.random(90) < 0.6, truth, draw.integers(0, 4, 90))
    found = replicates(truth.tolist(), guessed.tolist(), 5, positive=2)  # the fifth label never occurs
    for group in range(GROUPS):
        others = dealt(90) != group
        expected = scores(truth[others].tolist(), guessed[others].tolist(), range(5), positive=2)
        assert {name: values[group] for name, values in found.items()} == pytest.approx(expected)


def test_of_one_label_matthews_correlation_is_0():
    assert replicates([1] * 40, [1] * 40, 2)["mcc"] == [0.0] * GROUPS


@pytest.mark.parametrize("metric", ["bleu", "chrf", "ter", "exact_match"])
@pytest.mark.parametrize("tokenize", ["13a", "char"])
def test_translation_scores_without_a_group_are_those_of_the_other_examples(metric, tokenize):
    draw = np.random.default_rng(2)
    references = [" ".join(draw.choice(WORDS, draw.integers(4, 9))) for _ in range(40)]
    outputs = [" ".join(w if draw.random() < 0.8 else "x" for w in text.split()) for text in references]
    scoring = Scoring(tokenize=tokenize, ter=True)
    found = scoring.replicates(outputs, references, metric=metric)
    assert set(found) == {"bleu", metric}
    for group in (0, 7):
        rows = [i for i in range(40) if dealt(40)[i] != group]
        expected, _ = scoring.score([outputs[i] for i in rows], [references[i] for i in rows])
        assert found[metric][group] == pytest.approx(expected[metric])
        assert found["bleu"][group] == pytest.approx(expected["bleu"])


def test_losses_without_a_group_are_by_hand():
    sums = Sums(nll=6.0, tokens=4, n_bytes=8, groups=[(1.0, 1.0), (5.0, 3.0), (0.0, 0.0)])
    found = sums.replicates()  # an empty group is none
    assert found["loss"] == pytest.approx([5 / 3, 1.0])
    assert found["perplexity"] == pytest.approx([math.exp(5 / 3), math.e])
    assert found["bits_per_byte"] == pytest.approx([5 / 3 / 2 / math.log(2), 0.5 / math.log(2)])  # 2 bytes a token


def test_over_sets_groups_are_added_by_weight():
    total = Sums()
    total.add(Sums(nll=6.0, tokens=4, groups=[(1.0, 1.0), (5.0, 3.0)]), 2.0)
    total.add(Sums(nll=1.0, tokens=2, groups=[(1.0, 1.0), (0.0, 1.0)]))
    assert total.groups == [(3.0, 3.0), (10.0, 7.0)]
    total.add(Sums(nll=1.0, tokens=2))  # a set without groups
    assert (total.groups, total.replicates()) == ([], {})


def test_what_is_not_finite_or_alone_is_not_known():
    assert known({"a": [1.0, 1 / 3], "b": [1.0, math.inf], "c": [1.0], "d": [0.5, 0.5]}) == {
        "a": [1.0, 0.33333333],
        "d": [0.5, 0.5],
    }
