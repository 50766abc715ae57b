"""Margins of few examples, worked out by hand."""

import random
import statistics

import pytest
from sklearn.metrics import matthews_corrcoef

from hpsearch.journal.history import FIRST_REPEAT
from hpsearch.journal.origin import Origin
from hpsearch.results.evidence.caveats import at_chance, model_at_chance
from hpsearch.results.evidence.comparisons import against_default, beaten, comparisons, unbeaten
from hpsearch.results.evidence.margins import chance, examples_of, margin
from tests.results.evidence.test_caveats import event, one
from tests.results.evidence.test_comparisons import TFIDF, with_baselines, with_default

F1 = {"metric": "val/f1_macro", "direction": "maximize"}


def sized(study, examples):
    """The study with so many validation examples."""
    study.origin = Origin(data={"sets": {"stars": {"valid": {"examples": examples, "tokens": 9}}}})
    return study


def test_the_margin_of_two_shares_is_that_of_agresti_and_caffo():
    """15 and 16 of 30 right: 2 * sqrt(.5 * .5 / 32 + (17/32) * (15/32) / 32) = 0.24976."""
    assert margin("val/accuracy", 15 / 30, 16 / 30, examples=30) == pytest.approx(0.24976, abs=1e-5)
    assert margin("test/stars/f1_macro", 1.0, 1.0, examples=30) == pytest.approx(2 * (2 * 31 / 32 / 32 / 32) ** 0.5)
    assert margin("val/accuracy", 0.5, 0.6, examples=None) is None
    assert margin("val/bleu", 20.0, 21.0, examples=30) is None


def test_the_margin_of_losses_is_of_what_two_models_do_not_share():
    assert margin("val/loss", 4.0, 4.1, examples=30, stderr=0.05) == pytest.approx(2 * 0.2 * 0.05)
    assert margin("val/loss", 4.0, 4.1, examples=30) is None


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
        "of 31 validation examples"
    )
    assert against_default(sized(study, 10_000)) == (
        "the winner is better than the default config (trial 0, 0.5397) by 0.0246 ± 0.014"
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
    assert against_default(study).endswith(", ± 0.25 of 31 validation examples")


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
    assert beaten(study) == "the winner beats TF-IDF (val/loss 9.0000)"


def test_a_model_at_chance_is_said_to_be():
    assert model_at_chance({"test/mcc": -0.24, "val/mcc": 0.0}, lambda name: 31, split="test") == [
        "the model is no better than chance on its test data (test/mcc -0.24; of 31 examples up to 0.37 may be luck)"
    ]
    assert model_at_chance({"test/mcc": 0.2}, lambda name: 1000, split="test") == []
    assert model_at_chance({"test/a/mcc": 0.0, "test/a/accuracy": 1.0}, lambda name: 9, split="test") == []
