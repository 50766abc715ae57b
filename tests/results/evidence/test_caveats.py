"""Warnings about a study's results."""

import math
from dataclasses import replace

import pytest

from hpsearch.journal.history import FIRST_REPEAT, History
from hpsearch.outcome import Outcome
from hpsearch.results.evidence.caveats import at_chance, caveats, constant_objective, in_vain
from tests.searching import ask, evaluation, experiment, opened

STARS = "val/stars"


def event(name, **fields):
    return {"event": name, "time": 1.0, **fields}


def history(*curves, metric="val/loss", direction="minimize", outcome="completed"):
    """A study whose trials measured these metrics, evaluation by evaluation."""
    events = [event("study_created", study="s", objective={"metric": metric, "direction": direction})]
    for n, curve in enumerate(curves):
        for i, metrics in enumerate(curve, start=1):
            measured = replace(evaluation(i, 1.0), metrics=metrics).to_dict()
            events.append(event("evaluation", trial=n, evaluation=measured))
        sign = 1 if direction == "minimize" else -1
        finite = [(sign * m[metric], i) for i, m in enumerate(curve, 1) if math.isfinite(m.get(metric, math.nan))]
        best = {"index": min(finite)[1]} if finite else None
        value = sign * min(finite)[0] if finite else None
        told = {"outcome": outcome, "value": value, "best_evaluation": best}
        events.append(event("trial_finished", trial=n, **told))
    return History.of(events)


def constant(metric, *curves, direction="maximize"):
    return constant_objective(
        history(*([{metric: v} for v in curve] for curve in curves), metric=metric, direction=direction)
    )


@pytest.mark.parametrize(
    ("metric", "value", "reason"),
    [
        ("val/bleu", 0.0, "evaluation.bleu_tokenize fits the language"),
        ("val/pairs/bleu", 0.0, "no output shares as many words in a row"),
        ("val/bleu", 100.00000000000004, "the best possible value"),
        ("val/exact_match", 0.0, "no output equals its reference"),
        ("val/ter", 0.0, "the best possible value"),
        ("val/ter", 100.0, "may be empty"),
        ("val/f1_macro", 0.4, "one label whatever the text"),
        ("val/mcc", 0.0, "one label whatever the text"),
        ("val/accuracy", 1.0, "the best possible value"),
        ("val/loss", 2.5, "do not differ"),
        ("val/loss", math.nan, "never a finite number"),
    ],
)
def test_a_constant_objective_is_reported_with_the_likely_reason(metric, value, reason):
    line = constant(metric, [value] * 3, [value] * 4)
    assert line.startswith(f"{metric} is {value:g} at every evaluation of 2 trials")
    assert reason in line


def test_an_objective_that_changes_or_has_few_values_is_not_reported():
    assert constant("val/bleu", [0, 0, 0], [0, 0, 0.1]) is None
    assert constant("val/bleu", [0, 0, 0], [1, 1, 1]) is None
    assert constant("val/bleu", [0, 0, 0]) is None  # one trial has nothing to be compared with
    assert constant("val/bleu", [0, 0, 0], [0, 0]) is None  # too early to say
    assert constant("val/loss", [math.nan] * 3, [math.nan, 1.0, 1.0]) is None
    assert caveats(History()) == []


def one(loss, mcc, *, f1=0.5, accuracy=0.7):
    """An evaluation of two sets, one of them with these values."""
    return [
        {"val/loss": loss, f"{STARS}/mcc": mcc, f"{STARS}/f1_macro": f1, f"{STARS}/accuracy": accuracy, "val/mcc": 1}
    ]


def test_a_winner_at_chance_is_reported_with_a_better_trial():
    told = history(one(2.0, 0.01, f1=0.46), one(2.5, 0.1), one(2.1, 0.88, f1=0.94))
    assert at_chance(told) == [
        "trial 0 is best by val/loss, but no better than chance on data set 'stars' (f1_macro 0.46, mcc 0.01); "
        "trial 2 is (f1_macro 0.94, mcc 0.88; val/loss 2.1000 against 2.0000): "
        "objective.metric val/stars/f1_macro chooses by that set"
    ]


def confirmed(told, **means):
    """The study after fresh seeds with these values, of trial0, trial1, ..."""
    for repeat, (name, value) in enumerate(means.items()):
        number = FIRST_REPEAT + repeat
        asked = {"params": {}, "internal": {}, "config": {}, "confirms": int(name.removeprefix("trial")), "repeat": 1}
        told.add(event("trial_asked", trial=number, **asked))
        told.add(event("trial_finished", trial=number, outcome="completed", value=value, best_evaluation=None))
    return told


def test_after_a_confirmation_the_warning_is_about_its_winner():
    good = confirmed(history(one(2.0, 0.0), one(2.1, 0.9)), trial0=2.3, trial1=2.2)
    assert at_chance(good) == []  # trial 1 has won
    [line] = at_chance(confirmed(history(one(2.0, 0.9), one(2.1, 0.0)), trial0=2.3, trial1=2.2))
    assert line.startswith("trial 1 is the winner by fresh seeds, but no better than chance on data set 'stars'")
    assert "; trial 0 is (f1_macro 0.5, mcc 0.9; val/loss 2.0000 against 2.1000)" in line


def test_an_unfinished_winner_is_not_warned_of_nor_is_another_trial():
    told = history(one(2.0, 0.0), one(1.9, 0.0))
    told.trials[1].outcome, told.trials[1].config = None, {"seed": 0}
    assert told.leader().number == 1
    assert at_chance(told) == []


def test_the_winners_best_evaluation_counts():
    curve = [*one(2.0, 0.9), *one(2.5, 0.0)]
    assert at_chance(history(curve, one(2.2, 0.9))) == []
    assert len(at_chance(history(curve[::-1], one(1.9, 0.0), one(2.2, 0.9)))) == 1


def test_a_set_that_no_trial_learns_is_reported():
    [line] = at_chance(history(one(2.0, 0.01), one(2.1, 0.2)))
    assert line.endswith("and no other trial is clearly better: train longer, or look at the data")


def test_a_winner_better_than_chance_is_not_reported():
    assert at_chance(history(one(2.0, 0.11), one(2.1, 0.9))) == []
    assert at_chance(history(one(2.0, 0.0, accuracy=1.0), one(2.1, 0.9))) == []  # valid has one label: mcc is 0
    assert at_chance(history([{"val/loss": 1.0}], [{"val/loss": 2.0}])) == []
    assert at_chance(history(one(2.0, 0.0), outcome="pruned")) == []


def test_a_bleu_near_zero_is_at_chance():
    def pairs(loss, bleu):
        return [{"val/loss": loss, "val/pairs/bleu": bleu, "val/pairs/chrf": 2 * bleu, "val/text/loss": 1.0}]

    [line] = at_chance(history(pairs(1.0, 0.3), pairs(1.1, 22.0)))
    assert "data set 'pairs' (chrf 0.6, bleu 0.3); trial 1 is (chrf 44, bleu 22;" in line
    assert "objective.metric val/pairs/bleu" in line


def test_scores_computed_in_different_ways_are_reported():
    told = history([{"val/bleu": 1.0}], [{"val/bleu": 2.0}], [{"val/bleu": 3.0}], metric="val/bleu")
    for number, tokenize in enumerate(["char", "ja-mecab", "char"]):
        told.trials[number].evaluations[1].signatures.update({"bleu": f"tok:{tokenize}", "chrf": f"nc:{number}"})
    assert [line for line in caveats(told) if "same way" in line] == [
        "val/bleu was not computed in the same way by all trials, so it cannot compare them: "
        "tok:char (trial 0 and 1 more); tok:ja-mecab (trial 1 and 0 more)"
    ]
    told.trials[1].evaluations[1].signatures.update({"bleu": "tok:char", "chrf": "nc:0"})
    assert [line for line in caveats(told) if "same way" in line] == []


def test_a_single_set_is_not_named():
    alone = [{"val/loss": 1.0, "val/mcc": 0.0, "val/f1_macro": 0.4}]
    other = [{"val/loss": 1.1, "val/mcc": 0.9, "val/f1_macro": 0.9}]
    [line] = at_chance(history(alone, other))
    assert "chance on its data (f1_macro 0.4, mcc 0)" in line
    assert "objective.metric val/f1_macro" in line


def test_a_cooldown_that_made_the_trial_worse_is_told_and_does_not_count(tmp_path):
    wanted = experiment("objective: {metric: val/bits_per_byte}\nsearch: {pruner: none}\n")
    study = opened(wanted, tmp_path / "toy")
    study.start(ask(study), device="cpu", threads=1, worker=0)
    for index, bits in enumerate([1.4, 1.2, 1.3], start=1):
        study.report(0, evaluation(index, bits, metric="val/bits_per_byte"))
    assert in_vain(study.history, 0) == ""
    shorter = {"training": {"epochs": 1.5}}
    study.report(0, replace(evaluation(2, 1.25, metric="val/bits_per_byte"), branch=shorter))
    assert in_vain(study.history, 0) == (
        "trial 0: its cool-down ended with val/bits_per_byte 1.2500, no better than the 1.2000 of evaluation 2, "
        "by which it counts"
    )
    trial = study.finish(0, Outcome.OVERFIT)
    assert (trial.value, trial.best.index, trial.best.branch) == (1.2, 2, {})
    study.journal.close()
