"""The sentences that describe trials and studies in MLflow."""

from __future__ import annotations

import math
from typing import Any

import pytest

from hpsearch.contract import Evaluation
from hpsearch.journal.history import History
from hpsearch.journal.origin import Origin
from hpsearch.journal.trial_history import BestEvaluation, TrialHistory
from hpsearch.outcome import Outcome
from hpsearch.views.mlflow.descriptions import LONGEST, escaped, of_study, of_trial


def evaluation(index: int, loss: float) -> Evaluation:
    return Evaluation(index, index, index / 4, {"val/loss": loss}, tokens=10 * index, epoch=index / 2)


def trial(number: int, *losses: float, **fields: Any) -> TrialHistory:
    found = TrialHistory(number, config={"seed": 1}, **fields)
    found.evaluations = {i: evaluation(i, loss) for i, loss in enumerate(losses, 1)}
    return found


def history(*trials: TrialHistory, **fields: Any) -> History:
    return History(study="reviews", trials={one.number: one for one in trials}, **fields)


BEST = "Best val/loss: 1.5000, at evaluation 2, 50% of its training, epoch 1."


@pytest.mark.parametrize(
    ("outcome", "reason", "begins"),
    [
        (Outcome.COMPLETED, "", "Trained to its end."),
        (Outcome.PRUNED, "loss 1.9 is behind", "Pruned at 75% of its training: loss 1.9 is behind."),
        (Outcome.OVERFIT, "it rose", "Stopped because it overfits at 75% of its training: it rose; it counts by its"),
        (Outcome.DIVERGED, "not finite", "Diverged at 75% of its training: not finite; it cannot win."),
        (Outcome.OUT_OF_MEMORY, "", "Ran out of memory at 75% of its training; it cannot win."),
        (Outcome.FAILED, "ValueError: x", "Failed at 75% of its training: ValueError: x."),
        (None, "", "Interrupted at 75% of its training; it counts by its best evaluation so far, and a run"),
    ],
)
def test_a_trial_says_how_it_ended_and_why(outcome: Outcome | None, reason: str, begins: str) -> None:
    one = trial(3, 2.4, 1.5, 1.9, outcome=outcome, reason=reason)
    said = of_trial(history(one), one)
    assert said.startswith(begins)
    assert said.endswith(BEST)


def test_a_paused_trial_a_repeat_and_the_default_config_are_named() -> None:
    paused = trial(3, 2.4, 1.5, paused=True, reason="the others come first")
    said = of_trial(history(paused), paused)
    assert said == f"Paused by the policy, which may resume it at 50% of its training: the others come first. {BEST}"
    default = trial(0, 2.4, 1.5, outcome=Outcome.COMPLETED, label="default")
    assert of_trial(history(default), default, winner=True).startswith("The winner: best.yaml has its config. It is")
    repeat = trial(1_000_000, 2.4, 1.5, outcome=Outcome.COMPLETED, confirms=7, repeat=2)
    found = History(repeats={repeat.number: repeat})
    assert of_trial(found, repeat).startswith("Repeat 2 of trial 7. Trained to its end.")


def test_a_trial_without_a_finite_value_says_so() -> None:
    one = trial(3, math.nan, outcome=Outcome.DIVERGED)
    assert of_trial(history(one), one).endswith("It has no value of val/loss.")
    empty = trial(4, outcome=Outcome.FAILED, reason="no such file")
    assert of_trial(history(empty), empty) == "Failed: no such file. It has no value of val/loss."


def test_a_cooled_down_trial_names_the_branch() -> None:
    one = trial(3, 2.4, 1.5, 1.9, outcome=Outcome.OVERFIT)
    branch = Evaluation(2, 3, 0.6, {"val/loss": 1.25}, epoch=1.5, branch={"training": {"epochs": 1.5}})
    one.branches, one.best = {2: branch}, BestEvaluation.of(branch, "val/loss")
    said = of_trial(history(one), one)
    assert said.endswith("Best val/loss: 1.2500, at the end of its cool-down from evaluation 2, epoch 1.5.")


def test_what_others_wrote_has_no_meaning_in_markdown_or_html() -> None:
    evil = "<img src=x onerror=alert(1)> [here](javascript:alert(1)) **bold** `code`\n# title"
    one = trial(3, 2.4, outcome=Outcome.FAILED, reason=evil)
    said = of_trial(history(one), one)
    assert "<" not in said
    assert "\n" not in said
    assert "\\[here\\](javascript:alert(1))" in said
    assert "\\*\\*bold\\*\\*" in said
    assert escaped("数据 n_layers _x_ a\\b") == "数据 n_layers \\_x\\_ a\\\\b"


def test_descriptions_fit_into_a_tag() -> None:
    one = trial(3, 2.4, outcome=Outcome.FAILED, reason="x" * 100_000)
    assert len(of_trial(history(one), one)) <= LONGEST
    space = {f"param_{i}" * 9: {"choices": list(range(50))} for i in range(100)}
    assert len(of_study(history(one, space=space), experiment="1", run="r")) <= LONGEST


def test_a_study_says_what_was_searched_and_found_and_what_to_do_next() -> None:
    one = trial(0, 2.4, 1.5, outcome=Outcome.COMPLETED, value=1.5)
    two = trial(1, 2.9, outcome=Outcome.PRUNED, value=2.9)
    data = {"sets": {"pairs": {"train": {"examples": 1822, "tokens": 9}, "valid": {"examples": 208}}}}
    space = {"n_layers": {"low": 1, "high": 6, "step": 1, "log": False}, "width": {"choices": [32, 48]}}
    found = history(one, two, space=space, origin=Origin(data=data))
    said = of_study(found, experiment="4", run="abc", option=" --home '/a b'", files=["best.yaml", "space.yaml"])
    result, searched, files, commands = said.split("\n\n")
    assert result == "**Best: trial 0**, val/loss **1.5000**. 2 trials: 1 completed, 1 pruned."
    assert searched == (
        "**Searched** for val/loss (lower is better): `n_layers` 1 .. 6, step 1; `width` 32 | 48. "
        "Data: pairs: train 1,822, valid 208 examples."
    )
    assert files == (
        "**Files** of [the study's run](#/experiments/4/runs/abc): "
        "[best.yaml](#/experiments/4/runs/abc/artifacts/best.yaml) · "
        "[space.yaml](#/experiments/4/runs/abc/artifacts/space.yaml)"
    )
    assert "hpsearch show reviews --home '/a b'" in commands


def test_a_study_without_a_value_says_so() -> None:
    assert of_study(history(), experiment="1", run="r").startswith("**No trial has a value yet.** No trial has begun.")
