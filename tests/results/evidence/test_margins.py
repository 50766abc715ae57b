"""Margins of few examples, worked out by hand."""

import random
import statistics

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score, matthews_corrcoef

from hpsearch.journal.history import FIRST_REPEAT
from hpsearch.journal.origin import Origin
from hpsearch.results.evidence.caveats import at_chance, model_at_chance
from hpsearch.results.evidence.comparisons import against_default, beaten, comparisons, unbeaten
from hpsearch.results.evidence.margins import Value, chance, examples_of, margin, paired_error
from hpsearch.tasks.scores.classification import replicates
from hpsearch.tasks.scores.translation import Scoring, bleu
from tests.results.evidence.test_caveats import event, one
from tests.results.evidence.test_comparisons import TFIDF, with_baselines, with_default

F1 = {"metric": "val/f1_macro", "direction": "maximize"}


def sized(study, examples):
    """The study with so many validation examples."""
    study.origin = Origin(data={"sets": {"stars": {"valid": {"examples": examples, "tokens": 9}}}})
    return study


def test_the_margin_of_two_shares_is_that_of_agresti_and_caffo():
    """15 and 16 of 30 right: 2 * sqrt(.5 * .5 / 32 + (17/32) * (15/32) / 32) = 0.24976."""
    assert margin("val/accuracy", Value(15 / 30), Value(16 / 30), examples=30) == pytest.approx(0.24976, abs=1e-5)
    expected = pytest.approx(2 * (2 * 31 / 32 / 32 / 32) ** 0.5)
    assert margin("test/stars/f1_macro", Value(1.0), Value(1.0), examples=30) == expected
    assert margin("val/accuracy", Value(0.5), Value(0.6), examples=None) is None
    assert margin("val/bleu", Value(20.0), Value(21.0), examples=30) is None


def test_the_margin_of_losses_is_of_what_two_models_do_not_share():
    one, other = Value(4.0, stderr=0.05), Value(4.1, stderr=0.04)
    assert margin("val/loss", one, other, examples=30) == pytest.approx(2 * 0.05)
    assert margin("val/loss", Value(4.0), Value(4.1), examples=30) is None


def test_of_the_best_of_ten_trials_a_margin_is_wider():
    """Nine comparisons at 5 % in all: the 99.72% quantile, 2.773 of the normal distribution, 3.091 of t(19)."""
    one, other = Value(4.0, stderr=0.05), Value(4.1, stderr=0.04)
    assert margin("val/loss", one, other, examples=30, comparisons=9) == pytest.approx(2.773 * 0.05, rel=1e-3)
    paired = [Value(1.0, [float(i) for i in range(20)]), Value(2.0, [0.0] * 20)]
    ratio = margin("val/loss", *paired, examples=9, comparisons=9) / margin("val/loss", *paired, examples=9)
    assert ratio == pytest.approx(stats.t.ppf(1 - 0.05 / 18, 19) / stats.t.ppf(0.975, 19))


def test_of_a_mean_the_paired_margin_is_that_of_a_t_test():
    """20 examples, a group each: the jackknife of a mean is exact, so the margin is half of scipy's interval."""
    draw = np.random.default_rng(0)
    ours = draw.normal(2.0, 1.0, 20)
    theirs = ours + draw.normal(0.1, 0.2, 20)
    left = [[float(np.delete(values, i).mean()) for i in range(20)] for values in (ours, theirs)]
    one, other = (Value(float(values.mean()), each) for values, each in zip((ours, theirs), left, strict=True))
    interval = stats.ttest_rel(ours, theirs).confidence_interval()
    assert margin("val/loss", one, other, examples=None) == pytest.approx((interval.high - interval.low) / 2)


def answers(draw, n, *, shares=(0.6, 0.3, 0.1)):
    """Labels, and the answers of two models that are as good, and wrong on some of the same examples."""
    truth = draw.choice(len(shares), n, p=shares)
    hard, other = draw.normal(size=n), draw.choice(len(shares), n, p=shares)
    wrong = [0.8 * hard + 0.6 * draw.normal(size=n) > 1.0 for _ in range(2)]
    return truth, *(np.where(each, other, truth) for each in wrong)


def test_the_paired_error_of_f1_is_that_of_a_bootstrap():
    """Of 400 examples with three labels, by scipy's bootstrap over pairs of answers."""
    truth, ours, theirs = answers(np.random.default_rng(4), 400)

    def difference(y, a, b):
        return scores(y, a, 3)["f1_macro"] - scores(y, b, 3)["f1_macro"]

    options = {"paired": True, "vectorized": False, "n_resamples": 200, "rng": 0}
    expected = stats.bootstrap((truth, ours, theirs), difference, **options).standard_error
    assert scores(truth, ours, 3)["f1_macro"] == pytest.approx(f1_score(truth, ours, average="macro"))
    left = [replicates(truth.tolist(), each.tolist(), 3)["f1_macro"] for each in (ours, theirs)]
    assert paired_error(*left) == pytest.approx(expected, rel=0.3)  # of 20 groups an error is known to 16 %


def test_the_paired_error_of_bleu_is_that_of_koehns_bootstrap():
    """Two systems on the same 120 sentences, resampled together, each time scored by sacrebleu."""
    draw = np.random.default_rng(7)
    references = [" ".join(draw.choice(list("abcdefghij"), draw.integers(5, 12))) for _ in range(120)]

    def system(wrong):
        return [" ".join(w if draw.random() > wrong else "z" for w in text.split()) for text in references]

    both, scoring = (system(0.2), system(0.25)), Scoring(ter=False)
    left = [scoring.replicates(outputs, references, metric="bleu")["bleu"] for outputs in both]
    differences = []
    for _ in range(60):
        rows = draw.integers(0, 120, 120)
        some = [references[i] for i in rows]
        one, other = (bleu([outputs[i] for i in rows], some)[0] for outputs in both)
        differences.append(one - other)
    assert paired_error(*left) == pytest.approx(np.std(differences), rel=0.4)
    assert margin("val/bleu", Value(50.0, left[0]), Value(45.0, left[1]), examples=120) > 0


@pytest.mark.parametrize(("name", "n"), [("f1_macro", 60), ("f1_macro", 500), ("accuracy", 60), ("mcc", 200)])
def test_two_equal_models_are_told_apart_once_in_twenty(name, n):
    draw, apart = np.random.default_rng(n), []
    for _ in range(400):
        truth, *both = answers(draw, n)
        each = [scores(truth, guessed, 3)[name] for guessed in both]
        left = [replicates(truth.tolist(), guessed.tolist(), 3)[name] for guessed in both]
        pair = [Value(value, others) for value, others in zip(each, left, strict=True)]
        apart.append(abs(each[0] - each[1]) > margin(f"val/{name}", *pair, examples=n))
    assert 0.005 <= np.mean(apart) <= 0.08  # 0.05, and of 400 draws ± 0.022; less where few examples differ


def scores(truth, guessed, n_labels):
    """The scores of answers by hand, as quick as 400 draws need."""
    each = np.zeros((n_labels, n_labels))
    np.add.at(each, (truth, guessed), 1)
    right, true, given, n = np.diag(each), each.sum(1), each.sum(0), len(truth)
    root = ((n**2 - (true**2).sum()) * (n**2 - (given**2).sum())) ** 0.5
    return {
        "f1_macro": (2 * right / (true + given)).mean(),
        "accuracy": right.sum() / n,
        "mcc": (n * right.sum() - (true * given).sum()) / root,
    }


def test_the_chance_limit_is_two_standard_deviations_over_permutations():
    """Of 31 examples 2 / sqrt(30) = 0.365; scikit-learn's mcc over permuted answers deviates by half of that."""
    assert chance("val/mcc", 0.1, 31) == pytest.approx(0.36515, abs=1e-5)
    assert chance("val/mcc", 0.1, 401) == pytest.approx(0.1)
    assert chance("val/mcc", 0.1, None) == 0.1
    assert chance("val/bleu", 1.0, 31) == 1.0
    truth, draw = [0] * 16 + [1] * 15, random.Random(0)
    found = [matthews_corrcoef(truth, draw.sample(truth, len(truth))) for _ in range(300)]
    assert statistics.pstdev(found) == pytest.approx(chance("val/mcc", 0.1, 31) / 2, rel=0.15)


def test_the_examples_are_those_of_the_metrics_split_and_set():
    data = {"a": {"valid": {"examples": 31}, "test": {"examples": 40}}, "b": {"valid": {"examples": 7}}}
    assert [examples_of(data, name) for name in ("val/a/f1", "test/a/mcc", "val/b/f1")] == [31, 40, 7]
    assert examples_of(data, "val/f1") is None  # of two sets together
    assert examples_of({"a": data["a"]}, "val/f1") == 31
    assert examples_of({}, "val/f1") is None


def test_less_than_one_example_is_no_different():
    """0.5643 against 0.5397: 0.0246, of 31 examples."""
    study = sized(with_default([{"val/f1_macro": 0.5397}], [{"val/f1_macro": 0.5643}], **F1), 31)
    assert against_default(study) == (
        "the winner is no different from the default config (trial 0, 0.5397): they differ by 0.0246 ± 0.24 "
        "of 31 validation examples (one seed each, seed noise not measured)"
    )
    assert against_default(sized(study, 10_000)) == (
        "the winner is better than the default config (trial 0, 0.5397) by 0.0246 ± 0.014 "
        "(one seed each, seed noise not measured)"
    )


def test_fresh_seeds_do_not_make_up_for_few_examples():
    """0.56 and 0.54 by two seeds each that hardly differ: clear of the seeds, and less than one of 31 examples."""
    study = sized(with_default([{"val/f1_macro": 0.54}], [{"val/f1_macro": 0.56}], **F1), 31)
    for trial, values in ((1, (0.56, 0.561)), (0, (0.54, 0.541))):
        for repeat, value in enumerate(values):
            asked = {"params": {}, "internal": {}, "config": {}, "confirms": trial, "repeat": repeat + 1}
            number = FIRST_REPEAT + 2 * trial + repeat
            study.add(event("trial_asked", trial=number, **asked))
            study.add(event("trial_finished", trial=number, outcome="completed", value=value, best_evaluation=None))
    assert against_default(study).startswith(
        "with fresh seeds the winner is no different from the default config (trial 0, 0.5405): they differ by 0.02 ± "
    )
    assert against_default(study).endswith(", by seeds and 31 validation examples")


def test_a_baseline_is_beaten_only_by_more_than_the_margin():
    study = sized(with_baselines(TFIDF, curves=[[{"val/f1_macro": 0.92}]], **F1), 31)
    assert beaten(study) == ""
    assert unbeaten(study) == [
        "the winner is no different from TF-IDF: val/f1_macro 0.9200 against 0.8890, a difference of 0.031 ± 0.16 "
        "of 31 validation examples"
    ]
    assert comparisons(study)[0].tie
    many = sized(study, 100_000)
    assert beaten(many) == "the winner beats TF-IDF (val/f1_macro 0.8890, by 0.031 ± 0.0026)"
    assert unbeaten(many) == []


def test_what_is_no_better_than_chance_beats_nothing():
    study = sized(with_baselines({**TFIDF, "metrics": {"val/loss": 9.0}}, curves=[one(2.0, 0.2)]), 31)
    [line] = at_chance(study)
    assert "(f1_macro 0.5, mcc 0.2; of 31 examples up to 0.37 may be luck)" in line
    assert beaten(study) == ""
    assert at_chance(sized(study, 1000)) == []
    assert beaten(study) == "the winner beats TF-IDF (val/loss 9.0000, by 7 ± 0.02)"


def test_a_model_at_chance_is_said_to_be():
    assert model_at_chance({"test/mcc": -0.24, "val/mcc": 0.0}, lambda name: 31, split="test") == [
        "the model is no better than chance on its test data (test/mcc -0.24; of 31 examples up to 0.37 may be luck)"
    ]
    assert model_at_chance({"test/mcc": 0.2}, lambda name: 1000, split="test") == []
    assert model_at_chance({"test/a/mcc": 0.0, "test/a/accuracy": 1.0}, lambda name: 9, split="test") == []
