"""The winner beside the baselines."""

from hpsearch.journal.history import FIRST_REPEAT
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.outcome import Outcome
from hpsearch.results.evidence.comparisons import against_default, beaten, comparisons, named, unbeaten, unmeasured
from tests.results.evidence.test_caveats import event, history

TFIDF = {"name": "TF-IDF", "metrics": {"val/loss": 0.6, "val/f1_macro": 0.889}, "note": ""}
MAJORITY = {"name": "the majority class", "metrics": {"val/loss": 2.0, "val/f1_macro": 0.05}, "note": ""}


def with_baselines(*baselines, curves, **options):
    study = history(*curves, **options)
    study.add(event("baselines_measured", baselines=list(baselines), failed=[]))
    return study


def test_the_objective_is_compared():
    study = with_baselines(TFIDF, MAJORITY, curves=[[{"val/loss": 0.7, "val/f1_macro": 0.874}]])
    assert beaten(study) == "the winner beats the majority class (val/loss 2.0000, by 1.3 ± 0.007)"
    assert unbeaten(study) == ["the winner does not beat TF-IDF: val/loss 0.7000 against 0.6000"]


def test_higher_may_be_better():
    options = {"metric": "val/f1_macro", "direction": "maximize"}
    study = with_baselines(TFIDF, MAJORITY, curves=[[{"val/f1_macro": 0.9}]], **options)
    assert beaten(study) == "the winner beats TF-IDF (val/f1_macro 0.8890) and the majority class (val/f1_macro 0.0500)"
    assert unbeaten(study) == []
    study = with_baselines(TFIDF, curves=[[{"val/f1_macro": 0.889}]], **options)
    assert unbeaten(study) == ["the winner equals TF-IDF: val/f1_macro 0.8890"]


def test_another_metric_is_compared_in_its_own_direction():
    copy = {"name": "a copy", "metrics": {"val/bleu": 2.0}, "note": ""}
    study = with_baselines(copy, curves=[[{"val/loss": 3.0, "val/bleu": 1.5}]])
    assert unbeaten(study) == ["the winner does not beat a copy: val/bleu 1.5000 against 2.0000"]


def test_a_set_is_compared_by_its_like_of_the_objective():
    of_set = {"name": "TF-IDF", "metrics": {"val/reviews/f1_macro": 0.5, "val/reviews/loss": 0.6}, "note": ""}
    measured = {"val/loss": 3.0, "val/reviews/loss": 0.5, "val/reviews/f1_macro": 0.4}
    [found] = comparisons(with_baselines(of_set, curves=[[measured]]))
    assert (found.metric, found.winner, found.baseline, found.beaten) == ("val/reviews/loss", 0.5, 0.6, True)


def test_nothing_to_compare_says_nothing():
    other = {"name": "a copy", "metrics": {"val/bleu": 2.0}, "note": ""}
    for study in (with_baselines(other, curves=[[{"val/loss": 3.0}]]), with_baselines(TFIDF, curves=[]), history()):
        assert (beaten(study), unbeaten(study)) == ("", [])


def test_a_baseline_is_named_with_its_value_and_its_sample():
    study = with_baselines(TFIDF, curves=[])
    assert named(study, TFIDF) == "TF-IDF (val/loss 0.6000)"
    assert named(study, {**TFIDF, "metrics": {}, "note": "learnt from 2 of 3"}) == "TF-IDF, learnt from 2 of 3"


def with_default(*curves, outcome="completed", label="default", **options):
    study = history(*curves, outcome=outcome, **options)
    study.trials[0].label = label
    return study


def test_the_winner_is_better_than_the_default_by_so_much():
    study = with_default([{"val/loss": 4.5}], [{"val/loss": 4.373}])
    assert against_default(study) == (  # 2 * 0.005 * 4.373 * sqrt(2)
        "the winner is better than the default config (trial 0, 4.5000) by 0.127 ± 0.062 "
        "(one seed each, seed noise assumed)"
    )
    study = with_default([{"val/f1": 0.5}], [{"val/f1": 0.75}], metric="val/f1", direction="maximize")
    assert against_default(study) == (
        "the winner is better than the default config (trial 0, 0.5000) by 0.25; whether by chance is not "
        "known (one seed each, seed noise not measured)"
    )


def test_the_default_may_win():
    study = with_default([{"val/loss": 4.3}], [{"val/loss": 4.4}])
    assert against_default(study) == "the winner is the default config, trial 0: no other trial is better"
    study = with_default([{"val/loss": 4.3}], [{"val/loss": 4.3}])
    assert against_default(study) == (
        "the winner is the default config, trial 0, in a tie with trial 1: no other trial is better"
    )


def test_a_default_that_was_pruned_has_no_final_value_to_compare_with():
    study = with_default([{"val/loss": 5.0}], [{"val/loss": 4.0}])
    study.trials[0].outcome = Outcome.PRUNED
    assert against_default(study) == (
        "the default config, trial 0, is pruned at val/loss 5.0000: by how much the winner is better is not measured"
    )


def test_a_default_without_a_value_is_named():
    study = with_default([{"val/loss": float("nan")}], [{"val/loss": 4.0}])
    study.trials[0].outcome = Outcome.DIVERGED
    assert against_default(study) == "the default config, trial 0, has no value: it is diverged"


def test_before_a_trial_has_ended_there_is_no_winner_to_speak_of():
    far = {"name": "far too bad", "metrics": {"val/loss": 9.0}, "note": ""}
    near = {"name": "far too good", "metrics": {"val/loss": 0.1}, "note": ""}
    study = with_default([{"val/loss": 4.3}], [{"val/loss": 4.4}])
    study.baselines = [far, near]
    for trial in study.trials.values():
        trial.config, trial.outcome = {"seed": 1}, None
    assert study.leader().number == 0
    assert (against_default(study), beaten(study), unbeaten(study)) == ("", "", [])
    study.stopped = "finished"  # the budget ended before any trial: what there is counts
    assert against_default(study) == "the winner is the default config, trial 0: no other trial is better"
    assert beaten(study) == "the winner beats far too bad (val/loss 9.0000, by 4.7 ± 0.043)"
    assert len(unbeaten(study)) == 1


def test_without_a_default_or_another_trial_nothing_is_said():
    assert against_default(with_default([{"val/loss": 4.5}], [{"val/loss": 4.3}], label="")) == ""
    assert against_default(with_default([{"val/loss": 4.5}])) == ""
    assert against_default(history()) == ""


def confirmed(default, winner):
    """A study of two trials, the first one the default config, and their values with fresh seeds."""
    study = with_baselines(curves=[[{"val/loss": 3.0}], [{"val/loss": 2.0}]])
    study.trials[0].label = "default"
    for trial, values in ((0, default), (1, winner)):
        for value in values:
            at = FIRST_REPEAT + len(study.repeats)
            study.repeats[at] = TrialHistory(at, confirms=trial, outcome=Outcome.COMPLETED, value=value)
    return study


def test_with_fresh_seeds_the_default_config_is_compared_by_its_mean():
    study = confirmed([3.1, 3.3], [2.1, 2.3])  # sigma sqrt(0.02), 2 degrees of freedom: 4.3 * 0.1414 * sqrt(2 / 2)
    assert against_default(study) == (
        "with fresh seeds the winner is better than the default config (trial 0, 3.2000) by 1 ± 0.61"
    )
    assert against_default(confirmed([2.2, 2.4], [2.1, 2.3])) == (
        "with fresh seeds the winner is no different from the default config (trial 0, 2.3000): "
        "they differ by 0.1 ± 0.61"
    )
    assert "(trial 0, 3.2000) by 1" in against_default(confirmed([3.2], [2.2]))


def test_with_fresh_seeds_the_default_config_may_win():
    said = "the winner is the default config, trial 0: with fresh seeds no other trial is better"
    assert against_default(confirmed([2.0, 2.1], [3.1, 3.3])) == said
    tied = "the winner is the default config, trial 0, in a tie with trial 1: with fresh seeds no other trial is better"
    assert against_default(confirmed([2.0, 2.1], [2.1, 2.3])) == tied  # sigma 0.112: 0.15 of 0.48
    assert against_default(confirmed([0.975], [0.975])) == tied
    assert against_default(confirmed([0.9], [0.975])) == said  # of one seed each, only equal values are a tie


def test_one_fresh_seed_each_measures_no_noise():
    said = "the noise between seeds is not measured: hpsearch confirm s --seeds 2 measures it"
    assert unmeasured(confirmed([2.0], [2.1])) == f"with one fresh seed each, {said}"
    assert unmeasured(confirmed([2.0], [2.1, float("nan")])) == said


def test_without_fresh_seeds_of_the_default_config_the_search_says():
    """Sigma is 0.1414 with 1 degree of freedom: t = 12.71, times sqrt(1 / 2 + 1) is 2.2."""
    assert against_default(confirmed([], [2.1, 2.3])) == (
        "with fresh seeds of its own the winner is no different from the default config (trial 0, 3.0000): "
        "they differ by 0.8 ± 2.2"
    )
    assert against_default(confirmed([], [2.15, 2.151])) == (
        "with fresh seeds of its own the winner is better than the default config (trial 0, 3.0000) by 0.849 ± 0.011"
    )
