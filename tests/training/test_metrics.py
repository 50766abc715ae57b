"""Metrics against values known by hand and against the libraries called directly."""

import math

import pytest
import sacrebleu
import sklearn.metrics

from hpsearch.training import metrics


def test_perplexity_of_a_uniform_guess_is_the_number_of_choices():
    assert metrics.perplexity(math.log(65)) == pytest.approx(65)


def test_perplexity_beyond_a_float_is_infinite():
    assert metrics.perplexity(1e4) == math.inf
    assert metrics.perplexity(math.inf) == math.inf
    assert math.isnan(metrics.perplexity(math.nan))


def test_bits_per_byte_of_uniform_bytes_is_eight():
    assert metrics.bits_per_byte(1000 * math.log(256), 1000) == pytest.approx(8)


def test_bits_per_byte_of_no_bytes_is_refused():
    with pytest.raises(ValueError, match="at least one byte"):
        metrics.bits_per_byte(1.0, 0)


PERFECT = ["the cat sat on the mat today", "a dog ran after the ball"]


def test_perfect_translations_score_a_hundred():
    assert metrics.bleu(PERFECT, PERFECT)[0] == pytest.approx(100)
    assert metrics.chrf(PERFECT, PERFECT)[0] == pytest.approx(100)


def test_translations_with_nothing_right_score_zero():
    assert metrics.bleu(["x y z w v"], ["a b c d e"])[0] < 10  # sacrebleu smooths: 100/10, 100/16, ... of no match
    assert metrics.chrf(["xyz"], ["abc"])[0] == 0
    assert metrics.bleu(["", ""], PERFECT)[0] == 0


def test_bleu_by_hand():
    """5 of 6 words, 3 of 5 pairs, 2 of 4 triples, 1 of 3 quadruples; equal lengths, so no brevity penalty."""
    expected = 100 * (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25
    assert metrics.bleu(["the cat sat on a mat"], ["the cat sat on the mat"])[0] == pytest.approx(expected)


def test_scores_are_sacrebleus_over_the_corpus():
    hypotheses = ["the cat sat on mat", "a dog ran after ball .", "Bonjour le monde"]
    references = ["the cat sat on the mat", "a dog ran after the ball.", "Salut le monde entier"]
    assert metrics.bleu(hypotheses, references)[0] == sacrebleu.corpus_bleu(hypotheses, [references]).score
    assert metrics.chrf(hypotheses, references)[0] == sacrebleu.corpus_chrf(hypotheses, [references]).score


def test_signatures_say_how_it_was_computed():
    version = sacrebleu.__version__
    signature = metrics.bleu(PERFECT, PERFECT)[1]
    assert signature == f"nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:{version}"
    assert metrics.chrf(PERFECT, PERFECT)[1] == f"nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:{version}"


@pytest.mark.parametrize("score", [metrics.bleu, metrics.chrf])
def test_hypotheses_and_references_must_pair_up(score):
    with pytest.raises(ValueError, match="1 hypotheses against 2 references"):
        score(["a"], ["a", "b"])
    with pytest.raises(ValueError, match="0 hypotheses"):
        score([], [])


def test_f1_by_hand():
    """Label 7: precision 1/2, recall 1/1, F1 2/3. Label 9: precision 1/1, recall 1/2, F1 2/3. Label 8: never, 0."""
    result = metrics.classification([7, 9, 9], [7, 7, 9], [7, 8, 9])
    assert result["f1_macro"] == pytest.approx((2 / 3 + 0 + 2 / 3) / 3)
    assert result["f1_micro"] == pytest.approx(2 / 3)
    assert result["accuracy"] == pytest.approx(2 / 3)


def test_f1_is_sklearns():
    y_true, y_pred, labels = [0, 1, 2, 2, 1, 0, 3, 3], [0, 2, 2, 2, 1, 1, 3, 0], [0, 1, 2, 3]
    result = metrics.classification(y_true, y_pred, labels)
    assert result["f1_macro"] == sklearn.metrics.f1_score(y_true, y_pred, average="macro")
    assert result["f1_micro"] == sklearn.metrics.f1_score(y_true, y_pred, average="micro")
    assert result["accuracy"] == sklearn.metrics.accuracy_score(y_true, y_pred) == 5 / 8


def test_one_label_predicted_throughout_warns_of_nothing():
    result = metrics.classification([0, 1, 1], [1, 1, 1], [0, 1])  # pytest turns a warning into an error
    assert result["f1_macro"] == pytest.approx((0 + 0.8) / 2)


def test_confusion_counts_true_by_row_and_predicted_by_column():
    assert metrics.confusion([5, 5, 6, 6, 6], [5, 6, 6, 6, 5], [5, 6, 7]) == [[1, 1, 0], [1, 2, 0], [0, 0, 0]]
