"""The pictures of every kind of study can be drawn, and show what the journal has."""

from __future__ import annotations

import math
import random
import struct
from pathlib import Path
from typing import Any

import pytest

from hpsearch.contract import Evaluation
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import BestEvaluation, TrialHistory
from hpsearch.outcome import Outcome
from hpsearch.results import pictures
from hpsearch.results.pictures.drawing import SHOWN
from hpsearch.results.pictures.marks import MARKS
from hpsearch.results.pictures.scale import log_ticks
from hpsearch.results.pictures.values import f1_of_each

SPACE: dict[str, Any] = {
    "learning_rate": {"low": 1e-4, "high": 1e-1, "step": None, "log": True},
    "batch_size": {"choices": [8, 16, 32]},
    "schedule": {"choices": ["wsd", "cosine"]},
    "cooldown": {"low": 0.0, "high": 0.5, "step": None, "log": False},
    "width": {"low": 64, "high": 64, "step": None, "log": False},
}


def evaluation(index: int, loss: float) -> Evaluation:
    metrics = {"val/loss": loss, "val/bleu": 30 - loss}
    return Evaluation(index, index, index / 8, metrics, tokens=1000 * index, epoch=index / 4)


def finished(number: int, outcome: str, losses: list[float]) -> TrialHistory:
    """A trial whose loss depends on its learning rate alone; `cooldown` exists with one schedule only."""
    draw = random.Random(number)
    params: dict[str, Any] = {"learning_rate": 10 ** draw.uniform(-4, -1), "batch_size": draw.choice([8, 16, 32])}
    params |= {"schedule": "wsd", "cooldown": 0.2} if number % 2 else {"schedule": "cosine"}
    params["width"] = 64
    shift = math.log10(params["learning_rate"])
    evaluations = {i: evaluation(i, loss + shift) for i, loss in enumerate(losses, start=1)}
    value = min((e.metrics["val/loss"] for e in evaluations.values()), default=None)
    kept = {"outcome": Outcome(outcome), "reason": "why"}
    value = None if outcome == "failed" else value
    return TrialHistory(number, params=params, evaluations=evaluations, value=value, training=[(500, 3.0)], **kept)


def history(trials: list[TrialHistory], **options: Any) -> History:
    numbers = [trial.number for trial in trials]
    return History("study", space=SPACE, trials={t.number: t for t in trials}, finished=numbers, **options)


def mixed(n: int) -> History:
    kinds = ["completed", "pruned", "overfit", "completed", "diverged", "failed"]
    curves = {"pruned": [9.0, 8.5], "overfit": [9.0, 7.0, 7.5, 8.0], "diverged": [9.0, math.nan], "failed": []}
    chosen = [kinds[i % len(kinds)] for i in range(n)]
    return history([finished(i, kind, curves.get(kind, [9.0, 8.0, 7.0])) for i, kind in enumerate(chosen)])


def size(png: bytes | None) -> tuple[int, int]:
    """Width and height in pixels, from a PNG's header."""
    assert png is not None
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", png[16:24])


STUDIES = {
    "one trial": (mixed(1), {"curves", "history", "parallel_coordinates", "slices"}),
    "every outcome": (mixed(12), set(pictures.STUDY_PICTURES)),
    "maximised": (history(list(mixed(12).trials.values()), metric="val/bleu", direction="maximize"), None),
    "all failed": (history([finished(i, "failed", []) for i in range(5)]), {"history"}),
    "nothing but nan": (history([finished(i, "diverged", [math.nan]) for i in range(5)]), {"history"}),
    "equal trials": (history([finished(3, "completed", [2.0])] * 5), None),
    "exploded": (history([finished(i, "completed", [9.0, 1e30 if i else 3.0]) for i in range(6)]), None),
    "nothing yet": (History("study", space=SPACE), set()),
}


@pytest.mark.parametrize("kind", STUDIES)
def test_every_study_can_be_drawn(kind: str) -> None:
    told, wanted = STUDIES[kind]
    drawn = {name: draw(told) for name, draw in pictures.STUDY_PICTURES.items()}
    assert all(min(size(png)) > 100 for png in drawn.values() if png is not None)
    if wanted is not None:
        assert {name for name, png in drawn.items() if png is not None} == wanted


def test_every_trial_can_be_drawn() -> None:
    told = mixed(6)
    assert [pictures.trial_curves(told, n) is not None for n in range(6)] == [True, True, True, True, True, False]
    told.metric, told.direction = "val/bleu", "maximize"
    height = {metric: size(pictures.trial_curves(told, 0))[1] for metric in [told.metric]}
    told.metric = "val/loss"
    assert height["val/bleu"] > size(pictures.trial_curves(told, 0))[1]  # a panel more


def test_without_a_loss_there_is_no_empty_panel_of_losses() -> None:
    scores = {i: Evaluation(i, i, i / 4, {"val/score": 0.1 * i}) for i in range(1, 5)}
    told = history([TrialHistory(0, evaluations=scores, value=0.4, outcome=Outcome.COMPLETED)])
    told.metric, told.direction = "val/score", "maximize"
    alone = size(pictures.trial_curves(told, 0))
    for evaluation in scores.values():
        evaluation.metrics["val/loss"] = 2.0
    assert size(pictures.trial_curves(told, 0))[1] > alone[1]  # a panel more


def test_the_parameter_that_matters_is_the_important_one() -> None:
    shares = pictures.importance_shares(history([finished(i, "completed", [5.0]) for i in range(16)]))
    assert set(shares) == {"learning_rate", "batch_size", "schedule"}  # not the conditional, not the constant one
    assert shares["learning_rate"] > 0.8
    assert sum(shares.values()) == pytest.approx(1)


def tried(number: int, outcome: str, losses: list[float], *, of: int = 20, **more: Any) -> TrialHistory:
    """A trial of the hyperparameters a and b, evaluated at the first of `of` equal fractions."""
    evaluations = {i: Evaluation(i, i, i / of, {"val/loss": loss}) for i, loss in enumerate(losses, start=1)}
    value = min(losses) if outcome in ("completed", "short") else None
    return TrialHistory(number, evaluations=evaluations, value=value, outcome=Outcome(outcome), **more)


def pruned_study(n: int) -> History:
    """The loss depends on `a` alone; trials with bad values of it are cut short after `b` evaluations."""
    space = {"a": {"low": 0.0, "high": 1.0}, "b": {"low": 1, "high": 16}}
    trials = []
    for number in range(n):
        draw = random.Random(number)
        params = {"a": draw.random(), "b": draw.randint(1, 16)}
        curve = [params["a"] + 10 / i for i in range(1, 21)]
        is_bad = params["a"] > 0.4
        losses = curve[: params["b"]] if is_bad else curve
        trials.append(tried(number, "pruned" if is_bad else "completed", losses, params=params))
    return History("s", space=space, trials={t.number: t for t in trials}, finished=[t.number for t in trials])


def test_how_long_a_trial_was_trained_is_no_importance() -> None:
    """By best values `b` would explain nearly all: the loss of a trial that was cut short is 10 / b above its end."""
    found = pictures.importances_of(pruned_study(60))
    assert found is not None
    assert found.shares["a"] > 0.9
    assert (found.trials, found.cut) == (60, sum(random.Random(i).random() > 0.4 for i in range(60)))
    assert found.basis == f"60 trials, {found.cut} of them cut short, which count by their expected end"
    assert found.caution == ""


def test_a_trial_that_the_budget_cut_counts_by_its_expected_end() -> None:
    """The same, but the bad trials cooled down where the others were pruned, and have a value and fewer `b` of that."""
    told = pruned_study(60)
    for trial in told.trials.values():
        if trial.outcome is Outcome.PRUNED:
            last = trial.evaluations[max(trial.evaluations)]
            trial.value, share = last.metrics["val/loss"] - 0.2, last.index / 20
            branch = {"training": {"b": 1}}
            trial.outcome, trial.best = Outcome.COMPLETED, BestEvaluation(last.index, progress=share, branch=branch)
    found = pictures.importances_of(told)
    assert found is not None
    assert found.shares["a"] > 0.9
    assert found.cut == sum(random.Random(i).random() > 0.4 for i in range(60))


def test_few_trials_are_said_to_be_few() -> None:
    found = pictures.importances_of(history([finished(i, "completed", [5.0]) for i in range(8)]))
    assert found is not None
    assert (found.basis, found.cut) == ("8 trials, all trained out", 0)
    assert found.caution == "few trials for 3 hyperparameters: the shares are rough"


def test_a_short_training_is_not_compared_with_a_whole_one() -> None:
    """Configs at horizon 1/9 count by the end expected of them: those that went on gained 1 from there."""
    space = {"a": {"low": 0.0, "high": 1.0}, "b": {"low": 0.0, "high": 1.0}}
    trials, number = {}, 0
    for n in range(12):
        params = {"a": n / 11, "b": (n * 5 % 12) / 11}
        first = tried(number, "short", [5 + params["a"]], of=1, params=params, horizon=1 / 9)
        trials[number] = first
        number += 1
        if n < 4:  # the best ones are trained whole, as trials of their own
            trials[number] = tried(number, "completed", [4 + params["a"]], of=1, params=params)
            trials[number].of = first.number
            number += 1
    found = pictures.importances_of(History("s", space=space, trials=trials, finished=list(trials)))
    assert found is not None
    assert (found.trials, found.cut) == (12, 8)
    assert found.shares["a"] > 0.9


def test_a_stopped_trial_counts_by_its_best_value() -> None:
    told = mixed(6)
    assert pictures.score(told, told.trials[1]) == told.trials[1].evaluations[2].metrics["val/loss"]
    assert math.isnan(pictures.score(told, told.trials[5]))


@pytest.mark.parametrize("n", [1, 2, 20, 60])
def test_a_confusion_matrix_of_any_size(n: int) -> None:
    counts = [[5 if i == j else 0 for j in range(n)] for i in range(n)]
    assert min(size(pictures.confusion([f"label {i}" for i in range(n)], counts))) > 100


def test_each_label_of_a_confusion_matrix_has_its_f1() -> None:
    """Of the first: precision 8/10, recall 8/9, F1 16/19; the third is guessed and never true; the last the reverse."""
    counts = [[8, 1, 0, 0], [1, 4, 1, 0], [0, 0, 0, 0], [1, 1, 0, 0]]
    assert f1_of_each(counts) == [f"{16 / 19:.2f}", f"{8 / 12:.2f}", "-", "0.00"]


def test_scales_place_choices_evenly_and_logarithms_by_ratio() -> None:
    assert [pictures.Scale({"choices": [8, 16, 64]}, [64]).share(value) for value in (8, 16, 64)] == [0, 0.5, 1]
    assert pictures.Scale(SPACE["learning_rate"], [0.01]).share(1e-1**2.5) == pytest.approx(0.5)
    assert pictures.Scale({"low": 3, "high": 3}, [3]).share(3) == 0.5


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (1e-4, 1e-1, [1e-4, 1e-3, 1e-2, 1e-1]),
        (5e-4, 2e-2, [1e-3, 3e-3, 1e-2]),
        (1.0, 6.0, [1, 2, 5]),
        (3.0, 4.0, [3, 4]),
        (2.0, 2.0, [2]),
        (1e-8, 1.0, [10.0**e for e in range(-8, 1)]),
    ],
)
def test_every_logarithmic_axis_has_labelled_ticks(low: float, high: float, ticks: list[float]) -> None:
    assert log_ticks(low, high) == pytest.approx(ticks)


def test_outcomes_differ_without_colour() -> None:
    assert set(MARKS) == set(Outcome)
    shown = [outcome for outcome in SHOWN if outcome is not Outcome.INTERRUPTED]
    looks = {(MARKS[outcome].marker, MARKS[outcome].filled, MARKS[outcome].dash) for outcome in shown}
    assert len(looks) == len(shown)


def test_distributions_are_over_the_values_themselves() -> None:
    known = pictures.distributions({**SPACE, "n_layers": {"low": 1, "high": 5, "step": 2, "log": False}})
    assert known["batch_size"].choices == (8, 16, 32)
    assert known["learning_rate"].log
    assert (known["n_layers"].low, known["n_layers"].high, known["n_layers"].step) == (1, 5, 2)


def test_pictures_as_files(tmp_path: Path) -> None:
    written = pictures.write_pictures(mixed(3), tmp_path / "report")
    assert [path.name for path in written] == ["curves.png", "history.png", "parallel_coordinates.png", "slices.png"]
    assert all(path.stat().st_size > 1000 for path in written)
