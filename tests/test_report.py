"""The pictures of every kind of study can be drawn, and show what the journal has."""

from __future__ import annotations

import math
import random
import struct
from pathlib import Path
from typing import Any

import pytest

from hpsearch import report
from hpsearch.contract import Evaluation
from hpsearch.journal.history import History
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.outcome import Outcome
from hpsearch.report.values import f1_of_each

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
    "every outcome": (mixed(12), set(report.STUDY_PICTURES)),
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
    drawn = {name: draw(told) for name, draw in report.STUDY_PICTURES.items()}
    assert all(min(size(png)) > 100 for png in drawn.values() if png is not None)
    if wanted is not None:
        assert {name for name, png in drawn.items() if png is not None} == wanted


def test_every_trial_can_be_drawn() -> None:
    told = mixed(6)
    assert [report.trial_curves(told, n) is not None for n in range(6)] == [True, True, True, True, True, False]
    told.metric, told.direction = "val/bleu", "maximize"
    height = {metric: size(report.trial_curves(told, 0))[1] for metric in [told.metric]}
    told.metric = "val/loss"
    assert height["val/bleu"] > size(report.trial_curves(told, 0))[1]  # a panel more


def test_the_parameter_that_matters_is_the_important_one() -> None:
    shares = report.importance_shares(history([finished(i, "completed", [5.0]) for i in range(16)]))
    assert set(shares) == {"learning_rate", "batch_size", "schedule"}  # not the conditional, not the constant one
    assert shares["learning_rate"] > 0.8
    assert sum(shares.values()) == pytest.approx(1)


def test_a_stopped_trial_counts_by_its_best_value() -> None:
    told = mixed(6)
    assert report.score(told, told.trials[1]) == told.trials[1].evaluations[2].metrics["val/loss"]
    assert math.isnan(report.score(told, told.trials[5]))


@pytest.mark.parametrize("n", [1, 2, 20, 60])
def test_a_confusion_matrix_of_any_size(n: int) -> None:
    counts = [[5 if i == j else 0 for j in range(n)] for i in range(n)]
    assert min(size(report.confusion([f"label {i}" for i in range(n)], counts))) > 100


def test_each_label_of_a_confusion_matrix_has_its_f1() -> None:
    """Of the first: precision 8/10, recall 8/9, F1 16/19; the third is guessed and never true; the last the reverse."""
    counts = [[8, 1, 0, 0], [1, 4, 1, 0], [0, 0, 0, 0], [1, 1, 0, 0]]
    assert f1_of_each(counts) == [f"{16 / 19:.2f}", f"{8 / 12:.2f}", "-", "0.00"]


def test_scales_place_choices_evenly_and_logarithms_by_ratio() -> None:
    assert [report.Scale({"choices": [8, 16, 64]}, [64]).share(value) for value in (8, 16, 64)] == [0, 0.5, 1]
    assert report.Scale(SPACE["learning_rate"], [0.01]).share(1e-1**2.5) == pytest.approx(0.5)
    assert report.Scale({"low": 3, "high": 3}, [3]).share(3) == 0.5


def test_distributions_are_over_the_values_themselves() -> None:
    known = report.distributions({**SPACE, "n_layers": {"low": 1, "high": 5, "step": 2, "log": False}})
    assert known["batch_size"].choices == (8, 16, 32)
    assert known["learning_rate"].log
    assert (known["n_layers"].low, known["n_layers"].high, known["n_layers"].step) == (1, 5, 2)


def test_pictures_as_files(tmp_path: Path) -> None:
    written = report.write_pictures(mixed(3), tmp_path / "report")
    assert [path.name for path in written] == ["curves.png", "history.png", "parallel_coordinates.png", "slices.png"]
    assert all(path.stat().st_size > 1000 for path in written)
