"""Scores of labels, compared with values by hand and with scikit-learn."""

import math
import random

import pytest
import sklearn.metrics
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef, precision_score, recall_score

from hpsearch.tasks.scores import classification


def test_f1_by_hand():
    """Label 7: precision 1/2, recall 1/1, F1 2/3. Label 9: precision 1/1, recall 1/2, F1 2/3. Label 8: never, 0."""
    result = classification.scores([7, 9, 9], [7, 7, 9], [7, 8, 9])
    assert result["f1_macro"] == pytest.approx((2 / 3 + 0 + 2 / 3) / 3)
    assert result["f1_micro"] == pytest.approx(2 / 3)
    assert result["accuracy"] == pytest.approx(2 / 3)


def test_f1_is_sklearns():
    y_true, y_pred, labels = [0, 1, 2, 2, 1, 0, 3, 3], [0, 2, 2, 2, 1, 1, 3, 0], [0, 1, 2, 3]
    result = classification.scores(y_true, y_pred, labels)
    assert result["f1_macro"] == sklearn.metrics.f1_score(y_true, y_pred, average="macro")
    assert result["f1_micro"] == sklearn.metrics.f1_score(y_true, y_pred, average="micro")
    assert result["accuracy"] == sklearn.metrics.accuracy_score(y_true, y_pred) == 5 / 8


def test_one_label_predicted_throughout_warns_of_nothing():
    result = classification.scores([0, 1, 1], [1, 1, 1], [0, 1])  # pytest turns a warning into an error
    assert result["f1_macro"] == pytest.approx((0 + 0.8) / 2)


def test_confusion_counts_true_by_row_and_predicted_by_column():
    assert classification.confusion([5, 5, 6, 6, 6], [6, 6, 6, 6, 5], [5, 6, 7]) == [[0, 2, 0], [1, 2, 0], [0, 0, 0]]


@pytest.mark.parametrize("seed", range(4))
def test_every_score_of_labels_is_sklearns(seed):
    """Unbalanced labels, of which one is never true and one never guessed."""
    rng = random.Random(seed)
    truth = rng.choices([0, 1, 2, 3], weights=[70, 20, 10, 5], k=60)
    guesses = [t if rng.random() < 0.6 else rng.choice([0, 1, 2, 4]) for t in truth]
    labels = [0, 1, 2, 3, 4]
    found = classification.scores(truth, guesses, labels, positive=1)
    averages = {"f1_macro": "macro", "f1_micro": "micro", "f1_weighted": "weighted"}
    scored = {k: f1_score(truth, guesses, labels=labels, average=v, zero_division=0) for k, v in averages.items()}
    scored["accuracy"], scored["mcc"] = accuracy_score(truth, guesses), matthews_corrcoef(truth, guesses)
    of_one = {"labels": [1], "average": None}
    scored["f1"] = f1_score(truth, guesses, **of_one)[0]
    scored["precision"] = precision_score(truth, guesses, **of_one)[0]
    scored["recall"] = recall_score(truth, guesses, **of_one)[0]
    assert found == pytest.approx(scored)


def test_matthews_correlation_by_hand():
    """6 true positives, 3 true negatives, 1 false positive, 2 false negatives."""
    truth, guesses = [1] * 8 + [0] * 4, [1] * 6 + [0] * 2 + [1] + [0] * 3
    expected = (6 * 3 - 1 * 2) / math.sqrt(7 * 8 * 4 * 5)
    assert classification.scores(truth, guesses, [0, 1])["mcc"] == pytest.approx(expected)


def test_the_majority_label_throughout_is_chance_by_mcc_alone():
    found = classification.scores([0] * 9 + [1], [0] * 10, [0, 1], positive=1)
    assert (found["accuracy"], found["mcc"], found["f1"], found["precision"]) == (0.9, 0.0, 0.0, 0.0)


def test_without_a_positive_label_there_is_no_f1_of_one():
    assert {"f1", "precision", "recall"}.isdisjoint(classification.scores([0, 1], [0, 1], [0, 1]))


def test_a_perfect_guess_of_labels_that_a_split_lacks_has_the_ceiling_that_is_told():
    truth = [0, 0, 0]
    assert classification.scores(truth, truth, [0, 1, 2, 3])["f1_macro"] == 0.25  # told of: test_measurable.py
